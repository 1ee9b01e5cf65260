// @ts-check
// Value to colour. The tables come from palette.py; this file only finds the entry, by the same rule as
// palette.colour_index, and turns the tables into style rules: `.d37` is entry 37 of the diverging table, `.s37` and
// `.p37` of the ones for gates and for probabilities.

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */

const ZERO = 128;
const KINDS = ["diverging", "sequential", "probability"];

/** @typedef {{payload: Payload, theme: "light" | "dark", palette: string}} Tables which colours are in use */

/**
 * The entry for a value: 0..255, or -1 for nan.
 * @param {number} value
 * @param {Scale} scale
 */
export function colourIndex(value, scale) {
  if (Number.isNaN(value)) return -1;
  if (scale.kind === "diverging") {
    const reach = Math.max(Math.abs(scale.low), Math.abs(scale.high));
    return Math.floor(ZERO + 127 * clip(value / reach, -1, 1) + 0.5);
  }
  return Math.floor(255 * clip((value - scale.low) / (scale.high - scale.low), 0, 1) + 0.5);
}

/**
 * A value for each entry of the table, the other way round from colourIndex: where only colours are known.
 * @param {Scale} scale
 */
export function levelsOf({ kind, low, high }) {
  const reach = Math.max(Math.abs(low), Math.abs(high));
  return Float32Array.from({ length: 256 }, (_, index) =>
    kind === "diverging" ? (reach * (index - ZERO)) / 127 : low + ((high - low) * index) / 255);
}

/** One signal over a text: its values, or, where it was fetched, only the colour of each character. */
export class Trace {
  /**
   * @param {Float32Array | Uint8Array} data
   * @param {Scale} scale
   * @param {[number, number] | null} [reach] its own lowest and highest value
   * @param {number} [known] up to where it is known; what follows is from before an edit
   */
  constructor(data, scale, reach, known = data.length) {
    this.known = known;
    this.scale = scale;
    this.length = data.length;
    this.bytes = data.byteLength;
    this.values = data instanceof Float32Array ? data : null;
    this.entries = data instanceof Float32Array ? null : data;
    this.none = this.values === null && scale.kind === "diverging" ? 0 : -1;
    this.levels = levelsOf(scale);
    /** @type {Uint8Array | Int16Array | null} */ this.painted = this.entries;
    this.reach = reach === undefined ? reachOf(this) : reach;
  }

  /** The entry of the colour table for every character; `none` for nan. Loops over a long text go by these. */
  get codes() {
    const { values, scale } = this;
    this.painted ??= new Int16Array(this.length).map((_, at) => colourIndex(/** @type {Float32Array} */ (values)[at], scale));
    return this.painted; // `Int16Array.from` takes ten times as long, of a long text too long for a frame
  }

  /** The entry of the colour table: 0..255, or -1 for nan. @param {number} at */
  entry(at) {
    if (this.entries === null) return colourIndex(/** @type {Float32Array} */ (this.values)[at], this.scale);
    return this.entries[at] === this.none ? -1 : this.entries[at];
  }

  /** The value, or the one its colour stands for: enough for a picture. @param {number} at */
  level(at) {
    if (this.entries === null) return /** @type {Float32Array} */ (this.values)[at];
    return this.entries[at] === this.none ? NaN : this.levels[this.entries[at]];
  }

  /** The class that colours a character. @param {number} at */
  className(at) {
    const entry = this.entry(at);
    const colour = entry < 0 ? "none" : this.scale.kind[0] + entry;
    return at < this.known ? colour : `${colour} behind`;
  }
}

/** @param {Trace} trace @returns {[number, number] | null} null where every value is nan */
function reachOf(trace) {
  let low = Infinity, high = -Infinity;
  for (let at = 0; at < trace.length; at += 1) {
    const value = trace.level(at);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? null : [low, high];
}

/** @param {number} probability */
export function probabilityClass(probability) {
  return `p${Math.floor(255 * clip(probability, 0, 1) + 0.5)}`;
}

/**
 * @param {Tables} tables
 * @param {Scale["kind"]} kind
 * @returns {ArrayLike<number>} red, green, blue of 256 entries
 */
export function tableOf({ payload, theme, palette }, kind) {
  return payload.sections[`lut/${palette}/${kind}/${theme}`];
}

/**
 * @param {Tables} tables
 * @param {Scale["kind"]} kind
 * @param {number} index
 */
export function rgb(tables, kind, index) {
  return entry(tableOf(tables, kind), index);
}

/**
 * The entry of what a bar or a curve shows below zero. The one ramp of a single hue begins with the colour of the paper,
 * where nothing would be seen: there it is that of zero, which in the other palettes is the paper's.
 * @param {Tables} tables
 * @param {number} index the entry in a palette with a colour at both ends
 */
export function entryBelow(tables, index) {
  const isRamp = rgb(tables, "diverging", ZERO) !== rgb(tables, "sequential", 0);
  return isRamp ? ZERO : index;
}

/**
 * The style rules of all tables in use.
 * @param {Tables} tables
 */
export function colourRules(tables) {
  const rules = [];
  for (const kind of KINDS) {
    const table = tableOf(tables, /** @type {Scale["kind"]} */ (kind));
    const inks = tables.payload.sections[`ink/${tables.palette}/${kind}/${tables.theme}`];
    for (let index = 0; index < 256; index += 1) {
      rules.push(`.${kind[0]}${index}{background-color:${entry(table, index)};color:${entry(inks, index)}}`);
    }
  }
  return rules.join("\n");
}

/**
 * Gives an element the legend's ramp, from the scale's low to its high; nothing is done where it has it, for a browser
 * takes a millisecond to read 256 colours.
 * @param {HTMLElement} element
 * @param {Tables} tables
 * @param {Scale["kind"]} kind
 */
export function paintRamp(element, tables, kind) {
  const ramp = `${tables.palette} ${kind} ${tables.theme}`;
  if (element.dataset.ramp === ramp) return;
  element.dataset.ramp = ramp;
  const stops = [];
  for (let index = kind === "diverging" ? 1 : 0; index < 256; index += 1) stops.push(rgb(tables, kind, index));
  element.style.backgroundImage = `linear-gradient(90deg, ${stops.join(", ")})`;
}

/**
 * Stripes for a cell of several code points (an emoji with a joiner, a letter with accents): one for each value.
 * @param {string[]} colours
 */
export function stripes(colours) {
  const step = 100 / colours.length;
  const stops = colours.map((colour, place) => `${colour} ${place * step}% ${(place + 1) * step}%`);
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

/**
 * @param {string} colour "rgb(r, g, b)" or "#rrggbb", as Streamlit writes its theme
 * @returns {"light" | "dark"}
 */
export function themeOf(colour) {
  const hex = /^#([0-9a-f]{3,8})$/i.exec(colour.trim())?.[1];
  const digits = hex !== undefined && hex.length < 6 ? Array.from(hex, (digit) => digit + digit).join("") : hex;
  const parts = digits === undefined
    ? (colour.match(/[\d.]+/g) ?? ["255", "255", "255"]).slice(0, 3).map(Number)
    : [0, 2, 4].map((start) => parseInt(digits.slice(start, start + 2), 16));
  return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 128 ? "dark" : "light";
}

/**
 * @param {ArrayLike<number>} table
 * @param {number} index
 */
function entry(table, index) {
  return `rgb(${table[3 * index]}, ${table[3 * index + 1]}, ${table[3 * index + 2]})`;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
