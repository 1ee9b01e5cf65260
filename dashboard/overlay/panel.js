// @ts-check
// The column beside the text: what the neuron is, and what happens at the character that is pointed at.
// Everything comes from the payload, so pointing never waits for Python.

import { element } from "./bar.js";
import { colourIndex, rgb } from "./colour.js";
import { lineAndColumn } from "./layout.js";
import { guessesAt, traceOf } from "./payload.js";
import { markOf, nameOf, showCount, showValue, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {{payload: Payload, layout: import("./layout.js").Layout, shown: Choice, theme: "light" | "dark", unknown: Set<number>}} Sight */

const MOST_GUESSES = 5;
const NATS_PER_BIT = Math.LN2;

export class Panel {
  constructor() {
    this.root = element("div", "panel");
    this.title = element("p", "title");
    this.char = element("span", "char");
    this.name = element("p", "name");
    this.place = element("p", "place");
    this.values = element("div", "values");
    this.guesses = element("div", "values");
    this.guessHead = element("h3", "", "Expects next");
    const here = element("div", "here");
    const who = element("div", "part who"), what = element("div", "part"), next = element("div", "part");
    const about = element("div", "about");
    about.append(this.place, this.name);
    here.append(this.char, about);
    who.append(element("h3", "", "This neuron"), this.title);
    this.where = element("h3", "", "At the cursor");
    what.append(this.where, here, this.values);
    next.append(this.guessHead, this.guesses);
    this.root.append(who, what, next);
  }

  /** @param {Sight} sight */
  showNeuron({ payload: { header }, shown }) {
    const [layer, unit] = shown.neuron.split(":");
    const sentence = shown.neuron === header.neuron ? header.title : null;
    this.title.textContent = sentence ?? `Unit ${unit} of layer ${layer}`;
    this.title.classList.toggle("plain", sentence === null);
  }

  /**
   * @param {Sight} sight
   * @param {number} at
   * @param {boolean} isPointer whether the mouse is there, or the cursor
   */
  showPlace(sight, at, isPointer) {
    const { payload, layout, unknown } = sight;
    if (layout.chars.length === 0) {
      this.place.textContent = "The text is empty.";
      return;
    }
    const char = layout.chars[at];
    const [line, column] = lineAndColumn(layout, at);
    this.where.textContent = isPointer ? "At the pointer" : "At the cursor";
    this.char.textContent = markOf(char);
    const name = nameOf(char) === char ? "" : `${nameOf(char)} · `;
    this.place.textContent = `line ${showCount(line)}, column ${showCount(column)}`;
    this.name.textContent = `${name}position ${showCount(at)}${unknown.has(at) ? " · not in the vocabulary" : ""}`;
    this.values.replaceChildren(...this.valueRows(sight, at));
    const guesses = guessesAt(payload, at).slice(0, MOST_GUESSES);
    this.guessHead.hidden = guesses.length === 0;
    this.guesses.replaceChildren(...guesses.map(({ char: next, probability }) => {
      const colour = rgb(payload, "probability", sight.theme, 200);
      return bar(markOf(next), nameOf(next), probability.toFixed(3), 0, probability, colour, "guess");
    }));
  }

  /** One bar for each signal of this neuron that is at hand, then the loss. @param {Sight} sight @param {number} at */
  valueRows({ payload, shown, theme }, at) {
    const rows = [];
    for (const signal of payload.header.layers[Number(shown.neuron.split(":")[0])].signals) {
      const trace = traceOf(payload, shown.neuron, signal);
      if (trace === undefined) continue;
      const scale = payload.header.scales[`${shown.neuron}/${signal}`];
      const value = trace[at];
      const index = colourIndex(value, scale);
      const [from, to] = barEnds(value, scale);
      const colour = index < 0 ? "transparent" : rgb(payload, scale.kind, theme, strong(index, scale));
      const row = bar(signalTitle(signal), signalTitle(signal), showValue(value), from, to, colour, "value");
      row.dataset.signal = signal;
      row.classList.toggle("shown", signal === shown.signal);
      rows.push(row);
    }
    const loss = /** @type {Float32Array | undefined} */ (payload.sections.loss);
    if (loss !== undefined) {
      const bits = loss[at] / NATS_PER_BIT;
      const said = Number.isNaN(bits) ? "nothing was predicted here" : `${bits.toFixed(2)} bits: how surprising this character was`;
      rows.push(bar("loss, nats", said, showValue(loss[at]), 0, Math.min(loss[at] / 6, 1), rgb(payload, "sequential", theme, 200), "loss"));
    }
    return rows;
  }

  /** What a screen reader says after a move. */
  spoken() {
    return [this.char.textContent, this.name.textContent, this.place.textContent,
      ...Array.from(this.values.children, (row) => row.textContent)].join(", ");
  }
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
  if (scale.kind === "sequential") return [0, share];
  return share < 0.5 ? [share, 0.5] : [0.5, share];
}

/** A bar must be seen even where its value is pale. @param {number} index @param {Scale} scale */
function strong(index, scale) {
  if (scale.kind === "sequential") return 210;
  return index < 128 ? Math.min(index, 24) : Math.max(index, 232);
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
