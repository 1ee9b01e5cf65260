// @ts-check
// Value to colour. The tables come from palette.py; this file only finds the entry, by the same rule as
// palette.colour_index, and turns the tables into style rules: `.d37` is entry 37 of the diverging table.

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */

const ZERO = 128;
const KINDS = { d: "diverging", s: "sequential", p: "probability" };

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
 * The class that colours a character.
 * @param {number} value
 * @param {Scale} scale
 */
export function colourClass(value, scale) {
  const index = colourIndex(value, scale);
  if (index < 0) return "none";
  return (scale.kind === "diverging" ? "d" : "s") + index;
}

/** @param {number} probability */
export function probabilityClass(probability) {
  return `p${Math.floor(255 * clip(probability, 0, 1) + 0.5)}`;
}

/**
 * @param {Payload} payload
 * @param {"diverging" | "sequential" | "probability"} kind
 * @param {"light" | "dark"} theme
 * @param {number} index
 */
export function rgb(payload, kind, theme, index) {
  return entry(payload.sections[`lut/${kind}/${theme}`], index);
}

/**
 * The style rules of all tables for one theme.
 * @param {Payload} payload
 * @param {"light" | "dark"} theme
 */
export function colourRules(payload, theme) {
  const rules = [];
  for (const [letter, kind] of Object.entries(KINDS)) {
    const table = payload.sections[`lut/${kind}/${theme}`];
    const inks = payload.sections[`ink/${kind}/${theme}`];
    for (let index = 0; index < 256; index += 1) {
      rules.push(`.${letter}${index}{background-color:${entry(table, index)};color:${entry(inks, index)}}`);
    }
  }
  return rules.join("\n");
}

/**
 * The legend's ramp, from the scale's low to its high.
 * @param {Payload} payload
 * @param {"diverging" | "sequential"} kind
 * @param {"light" | "dark"} theme
 */
export function rampGradient(payload, kind, theme) {
  const stops = [];
  for (let index = kind === "diverging" ? 1 : 0; index < 256; index += 1) stops.push(rgb(payload, kind, theme, index));
  return `linear-gradient(90deg, ${stops.join(", ")})`;
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
