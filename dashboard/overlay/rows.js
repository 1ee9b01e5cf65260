// @ts-check
// Paints the text: only the rows in sight, each a line of spans, one span per cell. A row that stays in sight keeps
// its elements; another neuron only changes their class names.

import { colourClass, colourIndex, probabilityClass, rgb, stripes } from "./colour.js";
import { columnsAt, kindOf, rowOf } from "./layout.js";
import { guessesAt } from "./payload.js";
import { markOf } from "./words.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */
/** @typedef {{payload: Payload, layout: Layout, trace: Float32Array, scale: Scale, theme: "light" | "dark",
 *             unknown: Set<number>, cursor: number, marked: [number, number] | null, expects: boolean}} Sight */

export const ROW_HEIGHT = 22;
const GUESS_HEIGHT = 17;
const GUESS_ROWS = 3;
/** Rows kept ready above and below the visible ones, so that a fast scroll meets painted text. */
const SPARE_ROWS = 12;

/** @param {boolean} expects */
export function rowHeight(expects) {
  return expects ? ROW_HEIGHT + GUESS_ROWS * GUESS_HEIGHT + 5 : ROW_HEIGHT;
}

/**
 * Which rows to keep for a scroll position.
 * @param {{top: number, height: number, rowHeight: number, count: number}} view in CSS pixels
 * @returns {[number, number]} first row and the one after the last
 */
export function rowsInSight({ top, height, rowHeight: step, count }) {
  const first = Math.floor(top / step) - SPARE_ROWS;
  const stop = Math.ceil((top + height) / step) + SPARE_ROWS;
  return [Math.max(0, Math.min(first, count)), Math.max(0, Math.min(stop, count))];
}

export class Rows {
  /** @param {HTMLElement} scroller @param {HTMLElement} sheet */
  constructor(scroller, sheet) {
    this.scroller = scroller;
    this.sheet = sheet;
    /** @type {Map<number, HTMLElement>} */
    this.kept = new Map();
    /** @type {Sight | null} */
    this.sight = null;
  }

  /** Starts over: another text, another width, another theme. @param {Sight} sight */
  rebuild(sight) {
    this.sight = sight;
    this.kept.clear();
    this.sheet.replaceChildren();
    this.sheet.style.height = `${sight.layout.lines.length * rowHeight(sight.expects)}px`;
    this.fill();
  }

  /** Same text, other colours. @param {Sight} sight */
  recolour(sight) {
    this.sight = sight;
    for (const [row, element] of this.kept) this.colourRow(row, element);
  }

  /** Adds the rows that came into sight and drops those that left it. */
  fill() {
    if (this.sight === null) return;
    const step = rowHeight(this.sight.expects);
    const [first, stop] = rowsInSight({
      top: this.scroller.scrollTop, height: this.scroller.clientHeight, rowHeight: step, count: this.sight.layout.lines.length,
    });
    for (const [row, element] of this.kept) {
      if (row >= first && row < stop) continue;
      element.remove();
      this.kept.delete(row);
    }
    const fresh = document.createDocumentFragment();
    for (let row = first; row < stop; row += 1) {
      if (this.kept.has(row)) continue;
      const element = this.buildRow(row);
      element.style.transform = `translateY(${row * step}px)`;
      this.kept.set(row, element);
      fresh.append(element);
    }
    this.sheet.append(fresh);
  }

  /** Paints again the rows that hold positions `from` to `to`. @param {number} from @param {number} to */
  touch(from, to) {
    if (this.sight === null || this.sight.layout.lines.length === 0) return;
    const first = rowOf(this.sight.layout, Math.min(from, to));
    const last = rowOf(this.sight.layout, Math.max(from, to));
    for (const [row, element] of this.kept) if (row >= first && row <= last) this.colourRow(row, element);
  }

  /** @param {number} row */
  buildRow(row) {
    const { layout, payload, expects } = /** @type {Sight} */ (this.sight);
    const element = document.createElement("div");
    element.className = "row";
    element.dataset.row = String(row);
    const start = layout.places[row];
    if (start === layout.lineStarts[row]) element.dataset.line = String(layout.lines[row]);
    const begun = payload.header.documents.find((one) => one.start === start);
    if (begun !== undefined && payload.header.documents.length > 1) element.dataset.document = begun.name;
    const text = document.createElement("div");
    text.className = "text";
    let column = 0;
    for (let cell = layout.rows[row]; cell < layout.rows[row + 1]; cell += 1) {
      const width = columnsAt(layout.cells, cell, column, layout.tab);
      text.append(this.buildCell(cell, width));
      column += width;
    }
    element.append(text);
    if (expects) element.append(...this.buildGuesses(row));
    this.colourRow(row, element);
    return element;
  }

  /** @param {number} cell @param {number} width in columns */
  buildCell(cell, width) {
    const { layout } = /** @type {Sight} */ (this.sight);
    const start = layout.cells.starts[cell];
    const kind = kindOf(layout, cell);
    const span = document.createElement("span");
    span.textContent = layout.chars.slice(start, layout.cells.starts[cell + 1]).join("");
    span.dataset.at = String(start);
    span.dataset.kind = kind;
    if (kind !== "plain" && kind !== "rtl" && kind !== "space") span.style.width = `calc(${width} * var(--column))`;
    if (kind !== "plain" && kind !== "rtl" && kind !== "boxed") span.dataset.mark = markOf(layout.chars[start]);
    return span;
  }

  /** @param {number} row @param {HTMLElement} element */
  colourRow(row, element) {
    const sight = /** @type {Sight} */ (this.sight);
    const { layout: { cells, rows }, trace, scale, unknown, cursor, marked } = sight;
    const spans = /** @type {HTMLElement} */ (element.firstElementChild).children;
    for (let place = 0; place < spans.length; place += 1) {
      const cell = rows[row] + place;
      const start = cells.starts[cell], stop = cells.starts[cell + 1];
      let name = colourClass(trace[start], scale);
      if (unknown.has(start)) name += " unknown";
      if (cursor >= start && cursor < stop) name += " cursor";
      if (marked !== null && stop > marked[0] && start <= marked[1]) name += " marked";
      const span = /** @type {HTMLElement} */ (spans[place]);
      if (span.className !== name) span.className = name;
      if (stop - start > 1) span.style.backgroundImage = this.stripesOf(sight, start, stop);
    }
  }

  /** @param {Sight} sight @param {number} start @param {number} stop */
  stripesOf({ payload, trace, scale, theme }, start, stop) {
    const colours = [];
    for (let at = start; at < stop; at += 1) {
      const index = colourIndex(trace[at], scale);
      colours.push(index < 0 ? "transparent" : rgb(payload, scale.kind, theme, index));
    }
    return stripes(colours);
  }

  /**
   * The likeliest next characters under each character, likeliest on top.
   * @param {number} row
   */
  buildGuesses(row) {
    const { layout, payload } = /** @type {Sight} */ (this.sight);
    const lines = Array.from({ length: GUESS_ROWS }, () => {
      const line = document.createElement("div");
      line.className = "guesses";
      line.setAttribute("aria-hidden", "true");
      return line;
    });
    let column = 0;
    for (let cell = layout.rows[row]; cell < layout.rows[row + 1]; cell += 1) {
      const width = columnsAt(layout.cells, cell, column, layout.tab);
      column += width;
      const guesses = guessesAt(payload, layout.cells.starts[cell + 1] - 1);
      lines.forEach((line, place) => {
        const span = document.createElement("span");
        span.style.width = `calc(${width} * var(--column))`;
        const guess = guesses[place];
        if (guess !== undefined) {
          span.textContent = markOf(guess.char);
          span.className = probabilityClass(guess.probability) + (guess.probability < 0.05 ? " faint" : "");
        }
        line.append(span);
      });
    }
    return lines;
  }
}
