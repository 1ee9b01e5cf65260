// @ts-check
// A version of a text that is being written, as something to look at. The network may have read its beginning alone so
// far: what follows keeps the colours it had before the edit, paler, until the rest comes.

import { Trace } from "./colour.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {{text: string, trace: Trace | undefined}} Before what was in sight until now */

/**
 * @param {Payload} base the text that the draft began as
 * @param {{key: string, name: string, text: string}} version
 * @param {Payload} answer what serve.py said of it
 * @returns {Payload}
 */
export function draftPayload({ header, sections }, { key, name, text }, { header: { source, ready } }) {
  const tables = Object.entries(sections).filter(([one]) => /^(lut|ink)\//.test(one));
  const chars = Array.from(text).length;
  const layers = header.layers.map((one) => ({ ...one, signals: one.signals.filter((signal) => ready.includes(signal)) }));
  return {
    header: { ...header, key, source, ready, chars, layers, scales: {}, guesses: 0, documents: [{ name, start: 0, stop: chars }] },
    text, sections: Object.fromEntries(tables),
  };
}

/**
 * The trace of a version; where nothing is known yet it has the colours of the same characters before.
 * @param {Payload} answer
 * @param {string[]} chars
 * @param {Before} before
 */
export function draftTrace({ header, sections }, chars, { text, trace }) {
  const { scale, reach } = /** @type {{scale: import("./payload.js").Scale, reach: [number, number] | null}} */ (/** @type {unknown} */ (header));
  const read = /** @type {Uint8Array | Float32Array} */ (sections.trace);
  if (read.length === chars.length || read instanceof Float32Array) return new Trace(read, scale, reach);
  const entries = new Uint8Array(chars.length), old = Array.from(text);
  entries.set(read);
  for (let back = 1; trace !== undefined && back <= Math.min(chars.length - read.length, old.length); back += 1) {
    if (chars[chars.length - back] !== old[old.length - back]) break;
    entries[chars.length - back] = Math.max(trace.entry(old.length - back), 0);
  }
  return new Trace(entries, scale, reach, read.length);
}

// What was written is not lost with the page: it stays with the window until it is kept.

const WRITTEN = "charscope draft";

/** @returns {{name: string, text: string} | null} what was written last in this window and is not among the texts kept */
export function writtenBefore() {
  try {
    return JSON.parse(sessionStorage.getItem(WRITTEN) ?? "null");
  } catch {
    return null;
  }
}

/** @param {{name: string, text: string} | null} written an empty text takes no other's place; null forgets */
export function rememberWritten(written) {
  try {
    if (written === null) sessionStorage.removeItem(WRITTEN);
    else if (written.text !== "") sessionStorage.setItem(WRITTEN, JSON.stringify(written));
  } catch { /* a page inside a frame may have no such place */ }
}

// A field to write in knows one kind of line end, \n. The text's own ones stay where nothing was written.

const LINE_END = /\r\n?|\n/g;

/** The text as a field shows it. @param {string} exact */
export function inField(exact) {
  return exact.replace(LINE_END, "\n");
}

/** How many UTF-16 units of the exact text stand before a place in the field. @param {string} exact @param {number} place */
export function exactPlace(exact, place) {
  let at = 0;
  for (let shown = 0; shown < place && at < exact.length; shown += 1) at += exact.startsWith("\r\n", at) ? 2 : 1;
  return at;
}

/**
 * The exact text after the field's was changed in one place; a new line ends as the text's first one does, but for
 * where two ends would become one.
 * @param {string} exact as it was
 * @param {string} value what the field has now
 */
export function afterChange(exact, value) {
  const shown = inField(exact), shorter = Math.min(shown.length, value.length);
  let start = 0, rest = 0;
  while (start < shorter && shown[start] === value[start]) start += 1;
  while (rest < shorter - start && shown[shown.length - 1 - rest] === value[value.length - 1 - rest]) rest += 1;
  const written = value.slice(start, value.length - rest).replaceAll("\n", exact.match(LINE_END)?.[0] ?? "\n");
  const before = exact.slice(0, exactPlace(exact, start)), after = exact.slice(exactPlace(exact, shown.length - rest));
  const first = !isOneEnd(before, written + after) ? "" : written === "" ? "\n" : "\r";
  const last = isOneEnd(written, after) ? "\n" : "";
  return before + first + written + last + after;
}

/** Whether an end of a line that stood alone would be read as one with the next. @param {string} left @param {string} right */
function isOneEnd(left, right) {
  return left.endsWith("\r") && right.startsWith("\n");
}
