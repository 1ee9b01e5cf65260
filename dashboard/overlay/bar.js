// @ts-check
// The strip above the text: which neuron, which signal, what the colours mean, what else can be shown.

import { rampGradient } from "./colour.js";
import { KEYS } from "./view.js";
import { showEnd, signalLetter, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */
/** @typedef {import("./view.js").Choice} Choice */

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

export class Bar {
  /** @param {(action: import("./view.js").Action) => void} act */
  constructor(act) {
    this.act = act;
    this.root = element("div", "bar");
    this.neuron = element("span", "neuron");
    this.waiting = element("span", "waiting");
    this.waiting.setAttribute("role", "status");
    this.signals = element("div", "signals");
    this.signals.setAttribute("role", "group");
    this.signals.setAttribute("aria-label", "signal");
    this.expects = this.button("expects", "what the network expects next, under each line (e)", { type: "expects" });
    this.marks = this.button("marks", "show spaces, tabs and newlines (w)", { type: "marks" });
    this.help = this.button("?", "keys (?)", { type: "help" });
    this.legend = element("div", "legend");
    this.low = element("span", "end");
    this.ramp = element("span", "ramp");
    this.high = element("span", "end");
    this.what = element("span", "what");
    this.legend.append(this.low, this.ramp, this.high, this.what);
    const steps = element("span", "steps");
    steps.append(
      this.button("‹", "previous neuron (p)", { type: "neuron", step: -1 }),
      this.button("›", "next neuron (n)", { type: "neuron", step: 1 }),
    );
    this.root.append(this.neuron, steps, this.signals, this.expects, this.marks, this.waiting, this.legend, this.help);
  }

  /** @param {string} text @param {string} title @param {import("./view.js").Action} action */
  button(text, title, action) {
    const made = element("button", "button", text);
    made.setAttribute("type", "button");
    made.title = title;
    made.setAttribute("aria-label", title);
    made.addEventListener("click", () => this.act(action));
    return made;
  }

  /**
   * @param {{payload: Payload, wanted: Choice, shown: Choice, scale: Scale, theme: "light" | "dark",
   *          expects: boolean, marks: boolean}} state
   */
  show({ payload, wanted, shown, scale, theme, expects, marks }) {
    const isWaiting = wanted.neuron !== shown.neuron || wanted.signal !== shown.signal;
    this.neuron.textContent = wanted.neuron;
    this.root.classList.toggle("loading", isWaiting);
    this.waiting.textContent = isWaiting ? `still showing ${shown.neuron} ${signalTitle(shown.signal)}` : "";
    this.showSignals(payload.header.layers[Number(wanted.neuron.split(":")[0])].signals, wanted.signal);
    this.low.textContent = showEnd(scale.low, scale.kind === "diverging");
    this.high.textContent = showEnd(scale.high, scale.kind === "diverging");
    this.ramp.style.backgroundImage = rampGradient(payload, scale.kind, theme);
    this.what.textContent = signalTitle(shown.signal);
    this.expects.hidden = payload.header.guesses === 0;
    this.expects.setAttribute("aria-pressed", String(expects));
    this.marks.setAttribute("aria-pressed", String(marks));
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
    for (const one of this.signals.children) {
      one.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (one).dataset.signal === current));
    }
  }
}

/** The card of keys. */
export function helpCard() {
  const card = element("div", "help");
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", "keys");
  card.hidden = true;
  for (const [keys, meaning] of KEYS) card.append(element("kbd", "", keys), element("span", "", meaning));
  return card;
}
