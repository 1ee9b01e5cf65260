// @ts-check
// The strip above the text: which neuron, which signal, what the colours mean, what else can be shown.

import { colourIndex, paintRamp } from "./colour.js";
import { KEYS, TABS } from "./view.js";
import { showCount, showEnd, signalLetter, signalTitle } from "./words.js";

/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./view.js").Action} Action */

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** @param {string} text @param {string} title @param {() => void} press */
export function button(text, title, press) {
  const made = element("button", "button", text);
  made.setAttribute("type", "button");
  made.title = title;
  if (text.length === 1) made.setAttribute("aria-label", title); // a sign says nothing by itself
  made.addEventListener("click", press);
  return made;
}

export class Bar {
  /** @param {(action: Action) => void} act */
  constructor(act) {
    this.act = act;
    this.root = element("div", "bar");
    this.neuron = this.button("", "go to a neuron (g)", { type: "go" });
    this.neuron.classList.add("neuron");
    this.waiting = element("span", "waiting");
    this.waiting.setAttribute("role", "status");
    this.signals = element("div", "signals");
    this.signals.setAttribute("role", "group");
    this.signals.setAttribute("aria-label", "signal");
    this.expects = this.button("expects", "what the network expects next, under each line (e)", { type: "expects" });
    this.surprise = this.button("surprise", "colour by how surprising each character was (s)", { type: "surprise" });
    this.pin = this.button("pin", "keep this neuron in sight under every line (b)", { type: "pin" });
    this.menu = new Menu(act);
    this.legend = element("div", "legend");
    this.low = element("span", "end");
    this.ramp = element("span", "ramp");
    this.lowest = element("i", "reach");
    this.highest = element("i", "reach");
    this.ramp.append(this.lowest, this.highest);
    this.high = element("span", "end");
    this.what = element("span", "what");
    this.legend.append(this.low, this.ramp, this.high, this.what);
    const steps = element("span", "steps");
    steps.append(
      this.button("‹", "previous neuron (p)", { type: "neuron", step: -1 }),
      this.button("›", "next neuron (n)", { type: "neuron", step: 1 }),
    );
    const find = this.button("search", "search in the text (/)", { type: "search" });
    this.write = this.button("write", "write in the text, and see it coloured anew (i)", { type: "write" });
    const help = this.button("?", "keys (?)", { type: "help" });
    this.root.append(this.neuron, steps, this.signals, this.surprise, this.expects, this.pin, find, this.write, this.menu.root,
      this.waiting, this.legend, help);
  }

  /** @param {string} text @param {string} title @param {Action} action */
  button(text, title, action) {
    return button(text, title, () => this.act(action));
  }

  /** Something about what was pressed, until something else happens. @param {string} words */
  say(words) {
    this.waiting.textContent = words;
  }

  /** @param {Sight} sight */
  show(sight) {
    const { payload, wanted, shown, colouring, look } = sight;
    const isWaiting = wanted.neuron !== shown.neuron || wanted.signal !== shown.signal;
    const isSurprise = colouring !== sight.trace;
    this.neuron.textContent = wanted.neuron;
    this.neuron.setAttribute("aria-label", `neuron ${wanted.neuron}: go to another (g)`);
    this.root.classList.toggle("loading", isWaiting);
    this.waiting.textContent = isWaiting ? `still showing ${shown.neuron} ${signalTitle(shown.signal)}` : "";
    this.showSignals(payload.header.layers[Number(wanted.neuron.split(":")[0])].signals, wanted.signal);
    this.write.hidden = payload.header.editable === 0;
    this.expects.hidden = !sight.source.hasGuesses();
    press(this.expects, look.expects);
    press(this.surprise, look.colour === "surprise");
    press(this.pin, look.pins.includes(wanted.neuron));
    this.menu.show(sight);
    const { scale } = colouring;
    this.low.textContent = showEnd(scale.low, scale.kind === "diverging");
    this.high.textContent = showEnd(scale.high, scale.kind === "diverging");
    paintRamp(this.ramp, sight, scale.kind);
    this.what.textContent = isSurprise ? "nats of surprise" : signalTitle(shown.signal);
    this.showReach(colouring);
  }

  /** How much of the scale this neuron uses. @param {import("./colour.js").Trace} trace */
  showReach({ scale, reach }) {
    const [first, last] = scale.kind === "diverging" ? [1, 255] : [0, 255];
    this.lowest.hidden = this.highest.hidden = reach === null;
    this.legend.title = "";
    if (reach === null) return;
    [this.lowest, this.highest].forEach((tick, end) => {
      tick.style.left = `${(100 * (colourIndex(reach[end], scale) - first)) / (last - first)}%`;
    });
    this.legend.title = `its own values reach from ${showEnd(reach[0], true)} to ${showEnd(reach[1], true)}`;
  }

  /** @param {string[]} signals @param {string} current */
  showSignals(signals, current) {
    const known = Array.from(this.signals.children, (one) => /** @type {HTMLElement} */ (one).dataset.signal);
    if (known.join() !== signals.join()) {
      this.signals.replaceChildren(...signals.map((signal, place) => {
        const made = this.button(signalLetter(signal), `${signalTitle(signal)} (${place + 1})`, { type: "signal", place });
        made.dataset.signal = signal;
        return made;
      }));
    }
    for (const one of this.signals.children) press(one, /** @type {HTMLElement} */ (one).dataset.signal === current);
  }
}

/** @param {Element} one @param {boolean} isPressed */
export function press(one, isPressed) {
  one.setAttribute("aria-pressed", String(isPressed));
}

/** What is chosen once: colours, white space, long lines, tabs. */
class Menu {
  /** @param {(action: Action) => void} act */
  constructor(act) {
    this.act = act;
    this.root = document.createElement("details");
    this.root.className = "menu";
    const head = element("summary", "button", "view");
    head.title = "colours, white space, long lines, tabs";
    this.palettes = element("div", "choices");
    this.spaces = button("white space", "marks for spaces, tabs and newlines (w)", () => act({ type: "spaces" }));
    this.wrap = button("break long lines", "break long lines, or scroll sideways (l)", () => act({ type: "wrap" }));
    this.tabs = element("div", "choices");
    for (const width of TABS) {
      const made = button(String(width), `tabs of ${width} columns (t)`, () => act({ type: "tab", place: width }));
      made.dataset.tab = String(width);
      this.tabs.append(made);
    }
    const card = element("div", "card");
    card.append(element("h3", "", "Colours"), this.palettes, element("h3", "", "Text"), this.spaces, this.wrap,
      element("h3", "", "Tab width"), this.tabs);
    this.root.append(head, card);
  }

  /** @param {Sight} sight */
  show(sight) {
    const { palettes } = sight.payload.header;
    if (this.palettes.childElementCount === 0) {
      for (const [name, title] of Object.entries(palettes)) {
        const made = button("", `${title} (c)`, () => this.act({ type: "palette", name }));
        made.dataset.palette = name;
        made.append(element("span", "swatch"), document.createTextNode(title));
        this.palettes.append(made);
      }
    }
    for (const one of /** @type {HTMLCollectionOf<HTMLElement>} */ (this.palettes.children)) {
      const palette = one.dataset.palette ?? "";
      press(one, palette === sight.look.palette);
      paintRamp(/** @type {HTMLElement} */ (one.firstElementChild), { ...sight, palette }, "diverging");
    }
    press(this.spaces, sight.look.spaces);
    press(this.wrap, sight.look.wrap);
    for (const one of this.tabs.children) press(one, /** @type {HTMLElement} */ (one).dataset.tab === String(sight.look.tab));
  }
}

/** What can be asked about a marked stretch; stands below the text while there is one. */
export class MarkBar {
  /** @param {(action: Action) => void} act */
  constructor(act) {
    this.root = element("div", "mark-bar");
    this.said = element("span", "said");
    this.here = button("which neurons are on exactly here?", "rank all neurons by this stretch (Enter)", () => act({ type: "ask", name: "here" }));
    this.elsewhere = button("", "places where this neuron is as it is here (o)", () => act({ type: "ask", name: "elsewhere" }));
    this.root.append(this.said, this.here, this.elsewhere, button("×", "unmark (Esc)", () => act({ type: "escape" })));
    this.root.hidden = true;
  }

  /** @param {Sight} sight @param {boolean} isMarking */
  show({ marked, shown }, isMarking) {
    const count = marked === null ? 0 : marked[1] - marked[0] + 1;
    this.root.hidden = count < 2 && !isMarking;
    this.said.textContent = count < 2 ? "marking: move with the arrows, m ends it" : `${showCount(count)} characters marked`;
    this.here.hidden = this.elsewhere.hidden = count < 2;
    this.elsewhere.textContent = `where else is ${shown.neuron} like this?`;
  }
}

/** The card of keys. */
export function helpCard() {
  const card = element("div", "help");
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", "keys");
  card.tabIndex = -1;
  card.hidden = true;
  for (const [keys, meaning] of KEYS) card.append(element("kbd", "", keys), element("span", "", meaning));
  return card;
}
