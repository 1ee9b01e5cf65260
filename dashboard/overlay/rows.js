// @ts-check
// Paints the text: only the rows in sight, each a line of spans, one span per cell. A row that stays in sight keeps
// its elements; another neuron only changes their class names. Under the text of a row lie, when asked for, a strip for
// each pinned neuron and what the network expected.

import { probabilityClass, rgb, stripes, tableOf } from "./colour.js";
import { columnsAt, kindOf, rowOf } from "./layout.js";
import { markOf } from "./words.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./colour.js").Trace} Trace */
/**
 * @typedef {object} Sight what painters need to know
 * @property {import("./payload.js").Payload} payload
 * @property {Layout} layout
 * @property {import("./source.js").Source} source
 * @property {import("./view.js").Look} look
 * @property {import("./view.js").Choice} wanted
 * @property {import("./view.js").Choice} shown    what is painted: what was wanted, or what was there before it came
 * @property {Trace} trace                 of the chosen neuron
 * @property {Trace} colouring             what the letters show: the trace, or the loss
 * @property {{neuron: string, trace: Trace | undefined}[]} pins
 * @property {"light" | "dark"} theme
 * @property {string} palette
 * @property {Set<number>} unknown
 * @property {number} cursor
 * @property {[number, number] | null} marked
 */

const ROW_HEIGHT = 22;
const GUESS_HEIGHT = 15;
const GUESS_ROWS = 5;
const STRIP_HEIGHT = 6;
/** Rows kept ready above and below the visible ones, so that a fast scroll meets painted text. */
const SPARE_ROWS = 8;

/** @param {import("./view.js").Look} look */
export function rowHeight({ expects, pins }) {
  return ROW_HEIGHT + stripsHeight(pins.length) + (expects ? GUESS_ROWS * GUESS_HEIGHT + 6 : 0);
}

/** @param {number} count */
function stripsHeight(count) {
  return count === 0 ? 0 : count * STRIP_HEIGHT + 4;
}

/**
 * Which rows to keep for a scroll position.
 * @param {{top: number, height: number, rowHeight: number, count: number}} view in CSS pixels
 * @param {number} [spare] rows more on both sides
 * @returns {[number, number]} first row and the one after the last
 */
export function rowsInSight({ top, height, rowHeight: step, count }, spare = SPARE_ROWS) {
  const first = Math.floor(top / step) - spare;
  const stop = Math.ceil((top + height) / step) + spare;
  return [Math.max(0, Math.min(first, count)), Math.max(0, Math.min(stop, count))];
}

/** Whether words from right to left stand in a row. @param {Element} element */
function isMeasured(element) {
  return element.querySelector("[data-kind=rtl]") !== null;
}

/** What a row reads. @param {Layout} layout @param {number} row */
function contentOf({ chars, places }, row) {
  return chars.slice(places[row], places[row + 1]).join("");
}

export class Rows {
  /** @param {import("./viewport.js").Viewport} viewport @param {HTMLElement} sheet */
  constructor(viewport, sheet) {
    this.viewport = viewport;
    this.sheet = sheet;
    /** @type {Map<number, HTMLElement>} */
    this.kept = new Map();
    /** @type {Sight | null} */
    this.sight = null;
    /** @type {Map<number, Element[]>} rows whose guesses are under way */
    this.unguessed = new Map();
    /** @type {Map<number, HTMLElement>} rows out of sight that have the colours of before */
    this.stale = new Map();
  }

  /** Starts over: another text, another width, another theme. @param {Sight} sight */
  rebuild(sight) {
    this.sight = sight;
    this.kept.clear();
    this.stale.clear();
    this.unguessed.clear();
    this.sheet.replaceChildren();
    this.stretch(sight);
    this.fill({ spare: false });
  }

  /**
   * Another version of the text: rows that read as they did keep their elements, which saves the browser laying them
   * out anew.
   * @param {Sight} sight
   */
  revise(sight) {
    const before = this.sight;
    if (before === null || before.look !== sight.look || sight.look.expects) return this.rebuild(sight);
    /** @type {Map<string, [number, HTMLElement][]>} */ const known = new Map();
    for (const one of Array.from(this.kept).sort(([row], [other]) => row - other)) {
      const words = contentOf(before.layout, one[0]), alike = known.get(words);
      if (alike === undefined) known.set(words, [one]);
      else alike.push(one);
    }
    this.sight = sight;
    this.kept.clear();
    this.stale.clear();
    this.stretch(sight);
    const view = { ...this.viewport.place(), rowHeight: rowHeight(sight.look), count: sight.layout.lines.length };
    const [begin, end] = rowsInSight(view, 0), [first, stop] = rowsInSight(view);
    for (let row = first; row < stop; row += 1) {
      const [was, element] = known.get(contentOf(sight.layout, row))?.shift() ?? [];
      if (was === undefined || element === undefined) continue;
      this.kept.set(row, element);
      this.place(row, element, sight.layout.places[row] - before.layout.places[was]);
      if (row >= begin && row < end) this.colourRow(row, element);
      else this.stale.set(row, element);
    }
    for (const rest of known.values()) for (const [, element] of rest) element.remove();
    /** @type {HTMLElement | null} */ let above = null;
    for (const element of this.kept.values()) { // a screen reader goes through them in this order
      if (element.previousElementSibling !== above) this.sheet.insertBefore(element, above?.nextElementSibling ?? this.sheet.firstElementChild);
      above = element;
    }
    this.fill({ spare: false });
  }

  /** Room for all rows of a text. @param {Sight} sight */
  stretch({ layout, look }) {
    const height = `${layout.lines.length * rowHeight(look)}px`;
    if (this.sheet.style.height !== height) this.viewport.moved(); // a shorter text may not reach as far as was scrolled
    this.sheet.style.height = height;
    this.sheet.style.setProperty("--row", `${rowHeight(look)}px`);
    this.sheet.style.width = look.wrap ? "" : `calc(var(--gutter) + ${layout.widest + 2} * var(--column))`;
  }

  /** Same text, other colours: those of the rows in sight at once, of the spare ones in `catchUp`. @param {Sight} sight */
  recolour(sight) {
    this.sight = sight;
    const { top, height } = this.viewport.place(), step = rowHeight(sight.look);
    for (const [row, element] of this.kept) {
      if ((row + 1) * step <= top || row * step >= top + height) this.stale.set(row, element);
      else this.colourRow(row, element);
    }
  }

  /** Gives the rows that were out of sight the colours of now, and adds those that were left out. */
  catchUp() {
    for (const [row, element] of this.stale) this.colourRow(row, element);
    this.fill();
  }

  /**
   * Adds the rows that came into sight and drops those that left it.
   * @param {{spare?: boolean}} [options] spare: whether to add rows above and below them too, which can wait
   */
  fill({ spare = true } = {}) {
    if (this.sight === null) return;
    const step = rowHeight(this.sight.look);
    const hasMore = this.sight.pins.length > 0 || this.sight.look.expects; // under the letters
    const view = { ...this.viewport.place(), rowHeight: step, count: this.sight.layout.lines.length };
    const [first, stop] = rowsInSight(view), [begin, end] = spare ? [first, stop] : rowsInSight(view, 0);
    for (const [row, element] of this.kept) {
      if (row >= first && row < stop) continue;
      element.remove();
      this.kept.delete(row);
      this.stale.delete(row);
      this.unguessed.delete(row);
    }
    const below = Array.from(this.kept.keys()).filter((row) => row >= end);
    let next = this.kept.get(Math.min(...below)) ?? null;
    for (let row = end - 1; row >= begin; row -= 1) {
      const element = this.kept.get(row) ?? this.buildRow(row);
      if (!this.kept.has(row)) {
        this.sheet.insertBefore(element, next);
        if (hasMore && isMeasured(element)) this.measure(row, element);
      }
      this.kept.set(row, element);
      next = element;
    }
  }

  /** What could not be drawn under a row before it was on the page. @param {number} row @param {HTMLElement} element */
  measure(row, element) {
    const strips = element.querySelector("canvas");
    if (strips !== null) this.paintStrips(row, element, strips);
    if (this.unguessed.has(row)) this.fillGuesses(row);
  }

  /** Where a row stands: on the sheet, in its line and document, in the text. @param {number} row @param {HTMLElement} element @param {number} moved by so many characters since it was built */
  place(row, element, moved = 0) {
    const { layout, payload: { header: { documents } }, look } = /** @type {Sight} */ (this.sight);
    const start = layout.places[row];
    const begun = documents.length > 1 ? documents.findLast((one) => one.start === start) : undefined;
    element.style.transform = `translateY(${row * rowHeight(look)}px)`;
    element.dataset.row = String(row);
    for (const [name, value] of [
      ["line", start === layout.lineStarts[row] ? String(layout.lines[row]) : undefined], ["document", begun?.name],
    ]) {
      if (value === undefined) delete element.dataset[/** @type {string} */ (name)];
      else element.dataset[/** @type {string} */ (name)] = value;
    }
    if (moved === 0) return;
    for (const span of /** @type {HTMLCollectionOf<HTMLElement>} */ (element.children[0].children)) {
      span.dataset.at = String(Number(span.dataset.at) + moved);
    }
  }

  /** Paints again the rows that hold positions `from` to `to`. @param {number} from @param {number} to */
  touch(from, to) {
    if (this.sight === null || this.sight.layout.lines.length === 0) return;
    const first = rowOf(this.sight.layout, Math.min(from, to));
    const last = rowOf(this.sight.layout, Math.max(from, to));
    for (const [row, element] of this.kept) if (row >= first && row <= last) this.colourRow(row, element);
  }

  /** Guesses that were under way have come. */
  guess() {
    for (const row of Array.from(this.unguessed.keys())) this.fillGuesses(row);
  }

  /** @param {number} row */
  buildRow(row) {
    const { layout, look, pins } = /** @type {Sight} */ (this.sight);
    const element = document.createElement("div");
    element.className = "row";
    this.place(row, element);
    const text = document.createElement("div");
    text.className = "text";
    let column = 0;
    for (let cell = layout.rows[row]; cell < layout.rows[row + 1]; cell += 1) {
      const width = columnsAt(layout.cells, cell, column, layout.tab);
      text.append(this.buildCell(cell, width));
      column += width;
    }
    element.append(text);
    if (pins.length > 0) element.append(this.buildStrips());
    this.colourRow(row, element);
    if (look.expects) this.buildGuesses(row, element);
    return element;
  }

  /** @param {number} cell @param {number} width in columns */
  buildCell(cell, width) {
    const { layout } = /** @type {Sight} */ (this.sight);
    const start = layout.cells.starts[cell], stop = layout.cells.starts[cell + 1];
    const kind = kindOf(layout, cell);
    const span = document.createElement("span");
    span.append(stop - start === 1 ? layout.chars[start] : layout.chars.slice(start, stop).join(""));
    span.setAttribute("data-at", String(start)); // there are thousands of them, and `dataset` takes longer
    if (kind === "plain") return span;
    span.dataset.kind = kind;
    if (kind !== "rtl" && kind !== "space") span.style.width = `calc(${width} * var(--column))`;
    if (kind !== "rtl" && kind !== "boxed") span.dataset.mark = markOf(layout.chars[start]);
    return span;
  }

  /** @param {number} row @param {HTMLElement} element */
  colourRow(row, element) {
    this.stale.delete(row);
    const sight = /** @type {Sight} */ (this.sight);
    const { layout: { cells, rows }, colouring, unknown, cursor, marked } = sight;
    const spans = /** @type {HTMLElement} */ (element.firstElementChild).children;
    for (let place = 0; place < spans.length; place += 1) {
      const cell = rows[row] + place;
      const start = cells.starts[cell], stop = cells.starts[cell + 1];
      let name = colouring.className(start);
      if (unknown.has(start)) name += " unknown";
      if (cursor >= start && cursor < stop) name += " cursor";
      if (marked !== null && stop > marked[0] && start <= marked[1]) name += " marked";
      const span = /** @type {HTMLElement} */ (spans[place]);
      if (span.className !== name) span.className = name;
      if (stop - start > 1) span.style.backgroundImage = this.stripesOf(sight, start, stop);
    }
    const strips = element.querySelector("canvas");
    if (strips !== null) this.paintStrips(row, element, strips);
  }

  /** @param {Sight} sight @param {number} start @param {number} stop */
  stripesOf(sight, start, stop) {
    const { colouring } = sight, colours = [];
    for (let at = start; at < stop; at += 1) {
      const index = colouring.entry(at);
      colours.push(index < 0 ? "transparent" : rgb(sight, colouring.scale.kind, index));
    }
    return stripes(colours);
  }

  /**
   * From where to where each cell of a row reaches: in columns, or in pixels where words from right to left stand in it,
   * which lie as they like. Those are measured, so they are known only of a row that is on the page.
   * @param {number} row @param {Element} element @returns {{unit: "columns" | "pixels", reaches: [number, number][]}}
   */
  reaches(row, element) {
    const { layout } = /** @type {Sight} */ (this.sight);
    const text = /** @type {Element} */ (element.firstElementChild);
    if (isMeasured(element)) {
      const { left } = text.getBoundingClientRect();
      return { unit: "pixels", reaches: Array.from(text.children, (one) => {
        const place = one.getBoundingClientRect();
        return [Math.round(place.left - left), Math.round(place.right - left)];
      }) };
    }
    /** @type {[number, number][]} */ const reaches = [];
    let column = 0;
    for (let cell = layout.rows[row]; cell < layout.rows[row + 1]; cell += 1) {
      const begin = column;
      column += columnsAt(layout.cells, cell, column, layout.tab);
      reaches.push([begin, column]);
    }
    return { unit: "columns", reaches };
  }

  // Pinned neurons: one pixel for each column, stretched to the width of the letters above.

  buildStrips() {
    const { pins } = /** @type {Sight} */ (this.sight);
    const canvas = document.createElement("canvas");
    canvas.className = "strips";
    canvas.setAttribute("aria-hidden", "true");
    canvas.height = pins.length;
    canvas.style.height = `${pins.length * STRIP_HEIGHT}px`;
    return canvas;
  }

  /** @param {number} row @param {Element} element @param {HTMLCanvasElement} canvas */
  paintStrips(row, element, canvas) {
    const sight = /** @type {Sight} */ (this.sight);
    const { layout, pins } = sight, { unit, reaches } = this.reaches(row, element);
    const width = reaches.reduce((most, [, stop]) => Math.max(most, stop), 1);
    if (canvas.width !== width || canvas.style.width === "") {
      canvas.width = width;
      canvas.style.width = unit === "columns" ? `calc(${width} * var(--column))` : `${width}px`;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const picture = context.createImageData(canvas.width, pins.length);
    pins.forEach(({ trace }, line) => {
      if (trace === undefined) return;
      const table = tableOf(sight, trace.scale.kind);
      reaches.forEach(([begin, stop], number) => {
        const index = trace.entry(layout.cells.starts[layout.rows[row] + number]);
        for (let column = begin; column < stop; column += 1) {
          const place = 4 * (line * canvas.width + column);
          for (let part = 0; part < 3; part += 1) picture.data[place + part] = table[3 * Math.max(index, 0) + part];
          picture.data[place + 3] = index < 0 ? 0 : 255;
        }
      });
    });
    context.putImageData(picture, 0, 0);
  }

  // What the network expected: the likeliest next characters under each character, likeliest on top.

  /** @param {number} row @param {HTMLElement} element */
  buildGuesses(row, element) {
    const lines = Array.from({ length: GUESS_ROWS }, () => {
      const line = document.createElement("div");
      line.className = "guesses";
      line.setAttribute("aria-hidden", "true");
      return line;
    });
    element.append(...lines);
    this.unguessed.set(row, lines);
    this.fillGuesses(row);
  }

  /** @param {number} row */
  fillGuesses(row) {
    const { layout, source } = /** @type {Sight} */ (this.sight);
    const lines = this.unguessed.get(row) ?? [], element = lines[0]?.parentElement;
    if (!element || (isMeasured(element) && !element.isConnected)) return;
    const { unit, reaches } = this.reaches(row, element);
    /** @type {HTMLElement[][]} */ const made = lines.map(() => []);
    for (const [number, [begin, stop]] of reaches.entries()) {
      const cell = layout.rows[row] + number;
      const last = layout.cells.starts[cell + 1] - 1, guesses = source.guesses(last), came = layout.chars[last + 1];
      if (guesses === undefined) return;
      lines.forEach((_, place) => {
        const span = document.createElement("span");
        if (unit === "columns") span.style.width = `calc(${stop - begin} * var(--column))`;
        else Object.assign(span.style, { position: "absolute", left: `${begin}px`, width: `${stop - begin}px` });
        const guess = guesses[place];
        if (guess !== undefined && guess.probability >= 0.005) {
          span.textContent = markOf(guess.char);
          span.className = probabilityClass(guess.probability) + (guess.char === came ? " came" : guess.probability < 0.08 ? " faint" : "");
        }
        made[place].push(span);
      });
    }
    lines.forEach((line, place) => line.replaceChildren(...made[place]));
    this.unguessed.delete(row);
  }
}
