// @ts-check
// The column beside the text: what the neuron is, what happens at the character that is pointed at, and which neurons
// are kept in sight. Pointing never waits for Python: what is not there yet shows a dash.

import { button, element, press } from "./bar.js";
import { colourIndex, entryBelow, rgb } from "./colour.js";
import { Files, documentAt } from "./files.js";
import { lineAndColumn } from "./layout.js";
import { paintLine } from "./map.js";
import { markOf, nameOf, showCount, showEnd, showValue, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Scale} Scale */
/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./view.js").Action} Action */

const MOST_GUESSES = 5;
/** Characters shown of a place: before it, and from it on. */
const BEFORE_SPOT = 14, AFTER_SPOT = 9;
const NATS_PER_BIT = Math.LN2;

export class Panel {
  /** @param {(action: Action) => void} act @param {(at: number) => void} jump */
  constructor(act, jump) {
    this.act = act;
    this.jump = jump;
    this.files = new Files(act, jump);
    this.root = element("div", "panel");
    this.title = element("p", "title");
    this.evidence = element("p", "evidence");
    this.char = element("span", "char");
    this.name = element("p", "name");
    this.place = element("p", "place");
    this.values = element("div", "values");
    this.guesses = element("div", "values");
    this.guessHead = element("h3", "", "Expects next");
    this.pins = element("div", "pins");
    this.suggested = element("div", "suggested");
    this.offered = "";
    const here = element("div", "here"), about = element("div", "about");
    const who = this.who = element("div", "part who"), what = element("div", "part"), next = element("div", "part");
    const kept = element("div", "part kept");
    this.spots = element("div", "part spots");
    this.spotList = element("div", "list");
    /** @type {unknown[]} the trace and the text whose spots are listed */ this.listed = [];
    this.spots.append(element("h3", "", "Peaks in this text"), this.spotList);
    this.spots.hidden = true;
    about.append(this.place, this.name);
    here.append(this.char, about);
    who.append(element("h3", "", "This neuron"), this.title, this.evidence);
    this.where = element("h3", "", "At the cursor");
    what.append(this.where, here, this.values);
    next.append(this.guessHead, this.guesses);
    kept.append(element("h3", "", "In sight under every line"), this.pins, this.suggested);
    this.root.append(who, what, next, this.spots, this.files.root, kept);
  }

  /** @param {Sight} sight */
  showNeuron(sight) {
    const { payload: { header }, shown } = sight;
    const isTold = shown.neuron === header.neuron; // Python says what is known once the reader has settled
    this.title.textContent = (isTold ? header.title : null) ?? "";
    this.evidence.textContent = (isTold ? header.evidence : null) ?? "";
    this.who.hidden = isTold && this.title.textContent === "" && this.evidence.textContent === "";
    this.showPins(sight);
    this.files.show(sight);
  }

  /** Where the neuron is furthest from its mean: what stands there, and a way there. @param {Sight} sight @param {number[]} peaks */
  showPeaks({ trace, layout: { chars } }, peaks) {
    if (this.listed[0] === trace && this.listed[1] === chars) return;
    this.listed = [trace, chars];
    this.spots.hidden = peaks.length === 0;
    this.spotList.replaceChildren(...peaks.map((at) => {
      const row = button("", `go to position ${showCount(at)}`, () => this.jump(at));
      const words = element("span", "words"), said = chars.slice(Math.max(at - BEFORE_SPOT, 0), at + AFTER_SPOT).map(onOneLine);
      const place = Math.min(at, BEFORE_SPOT);
      row.classList.add("spot");
      words.append(said.slice(0, place).join(""), element("b", "", said[place]), said.slice(place + 1).join(""));
      row.append(words, element("span", "number", showEnd(trace.level(at), trace.scale.kind === "diverging")));
      return row;
    }));
  }

  /** One row for each pinned neuron with its trace over the whole text, then what could be pinned. @param {Sight} sight */
  showPins(sight) {
    const { pins, shown, look, payload: { header } } = sight;
    const before = /** @type {HTMLElement[]} */ (Array.from(this.pins.children));
    const rows = pins.map(({ neuron }) => before.find((row) => row.dataset.neuron === neuron) ?? this.pinRow(neuron));
    renew(this.pins, rows);
    pins.forEach(({ neuron, trace }, place) => {
      const [name, line] = rows[place].children;
      if (trace !== undefined) paintLine(/** @type {HTMLCanvasElement} */ (line), sight, trace);
      press(name, neuron === shown.neuron);
    });
    const offers = Object.entries(header.suggested).map(([why, some]) =>
      button(why, `pin ${some.join(", ")}`, () => this.act({ type: "pin-all", name: some.join() })));
    if (!look.pins.includes(shown.neuron)) {
      offers.unshift(button(`this one, ${shown.neuron}`, "keep it in sight (b)", () => this.act({ type: "pin" })));
    }
    if (header.source !== null) {
      offers.push(button("most like this one", "pin the neurons whose values go with it", () => this.act({ type: "pin-similar" })));
    }
    const said = [pins.length === 0 ? "Pin " : "Also ", ...offers.map((offer) => `${offer.textContent} ${offer.title}`)].join("\n");
    if (said === this.offered) return; // what has the keys keeps them
    this.offered = said;
    this.suggested.replaceChildren(element("span", "", pins.length === 0 ? "Pin " : "Also "), ...offers);
  }

  /** @param {string} neuron */
  pinRow(neuron) {
    const row = element("div", "pin"), line = document.createElement("canvas");
    row.dataset.neuron = neuron;
    line.width = 140;
    line.height = 1;
    row.append(
      button(neuron, `show ${neuron}`, () => this.act({ type: "neuron", name: neuron })),
      line,
      button("×", `take ${neuron} off`, () => this.act({ type: "pin", name: neuron })),
    );
    return row;
  }

  /**
   * @param {Sight} sight
   * @param {number} at
   * @param {boolean} isPointer whether the mouse is there, or the cursor
   */
  showPlace(sight, at, isPointer) {
    const { layout, unknown } = sight;
    if (layout.chars.length === 0) {
      this.place.textContent = "The text is empty.";
      return;
    }
    const char = layout.chars[at];
    const [line, column] = lineAndColumn(layout, at);
    this.where.textContent = isPointer ? "At the pointer" : "At the cursor";
    this.char.textContent = markOf(char);
    const name = nameOf(char) === char ? "" : `${nameOf(char)} · `;
    const { documents } = sight.payload.header;
    const file = documents.length > 1 ? documents[documentAt(documents, at)].name : null;
    this.place.textContent = file === null ? `line ${showCount(line)}, column ${showCount(column)}` : `${file}:${line}`;
    this.files.showPlace(at);
    this.name.textContent = `${name}position ${showCount(at)}${unknown.has(at) ? " · not in the vocabulary" : ""}`;
    this.values.replaceChildren(...this.valueRows(sight, at));
    const guesses = sight.source.guesses(at)?.slice(0, MOST_GUESSES) ?? (sight.source.awaits("guesses") ? undefined : []);
    this.guessHead.hidden = guesses !== undefined && guesses.length === 0;
    if (guesses === undefined) return; // under way: the ones before stay for a moment
    this.guesses.replaceChildren(...guesses.map(({ char: next, probability }) => {
      const colour = rgb(sight, "probability", 200);
      return bar(markOf(next), nameOf(next), probability.toFixed(3), 0, probability, colour, "guess");
    }));
  }

  /** One bar for each signal of this neuron, then the loss. @param {Sight} sight @param {number} at */
  valueRows(sight, at) {
    const { payload: { header }, source, shown } = sight;
    const { signals } = header.layers[Number(shown.neuron.split(":")[0])];
    const rows = signals.map((signal) => {
      const choice = { neuron: shown.neuron, signal };
      const value = source.value(choice, at), trace = source.trace(choice);
      const row = value === undefined || trace === undefined ? bar(signalTitle(signal), "not read yet", "…", 0, 0, "", "value")
        : valueBar(sight, signalTitle(signal), value, trace.scale);
      row.dataset.signal = signal;
      row.classList.toggle("shown", signal === shown.signal);
      return row;
    });
    const loss = source.loss()?.values?.[at];
    if (loss !== undefined) {
      const bits = loss / NATS_PER_BIT;
      const said = Number.isNaN(bits) ? "nothing was predicted here" : `${bits.toFixed(2)} bits: how surprising this character was`;
      const share = Math.min(loss / header.surprise.high, 1);
      rows.push(bar("loss, nats", said, showValue(loss), 0, share, rgb(sight, "probability", 200), "loss"));
    }
    return rows;
  }

  /** What a screen reader says after a move. */
  spoken() {
    return [this.char.textContent, this.name.textContent, this.place.textContent,
      ...Array.from(this.values.children, (row) => `${row.firstElementChild?.textContent} ${row.lastElementChild?.textContent}`)].join(", ");
  }
}

/** @param {string} char */
function onOneLine(char) {
  return char === " " ? char : markOf(char);
}

/** Puts other elements in, unless they are there already. @param {HTMLElement} parent @param {HTMLElement[]} wanted */
function renew(parent, wanted) {
  const there = parent.children;
  if (there.length !== wanted.length || wanted.some((one, place) => one !== there[place])) parent.replaceChildren(...wanted);
}

/**
 * Where a value's bar begins and ends, as shares of its track. A diverging bar grows from the middle.
 * @param {number} value
 * @param {Scale} scale
 * @returns {[number, number]}
 */
export function barEnds(value, scale) {
  if (Number.isNaN(value)) return [0, 0];
  const share = Math.min(Math.max((value - scale.low) / (scale.high - scale.low), 0), 1);
  if (scale.kind !== "diverging") return [0, share];
  return share < 0.5 ? [share, 0.5] : [0.5, share];
}

/** @param {Sight} sight @param {string} title @param {number} value @param {Scale} scale */
function valueBar(sight, title, value, scale) {
  const index = colourIndex(value, scale);
  const [from, to] = barEnds(value, scale);
  const colour = index < 0 ? "transparent" : rgb(sight, scale.kind, strong(sight, index, scale));
  return bar(title, title, showValue(value), from, to, colour, "value");
}

/** A bar must be seen even where its value is pale. @param {Sight} sight @param {number} index @param {Scale} scale */
function strong(sight, index, scale) {
  if (scale.kind !== "diverging") return 210;
  return index < 128 ? entryBelow(sight, Math.min(index, 24)) : Math.max(index, 232);
}

/**
 * @param {string} label
 * @param {string} title
 * @param {string} value
 * @param {number} from share of the track
 * @param {number} to
 * @param {string} colour
 * @param {string} className
 */
function bar(label, title, value, from, to, colour, className) {
  const row = element("div", className);
  const track = element("span", "track"), fill = element("span", "fill");
  row.title = title;
  fill.style.left = `${100 * from}%`;
  fill.style.width = `${100 * (Number.isNaN(to) ? 0 : to - from)}%`;
  fill.style.backgroundColor = colour;
  track.append(fill);
  row.append(element("span", "label", label), track, element("span", "number", value));
  return row;
}
