// @ts-check
// Where every character of the text stands. Pure: text and a column limit in, typed arrays out.
//
//   code points ──segment──► cells (what is drawn as one: a letter with its accents, an emoji) ──layoutRows──► rows
//
// Positions are code points everywhere. A cell is 1 or 2 columns wide; a tab reaches to the next tab stop.

import { isInvisible } from "./words.js";

/** Characters every monospace font draws one column wide, each a cell of its own. */
const PLAIN = "\\x20-\\x7e\\u00a1-\\u00ac\\u00ae-\\u02ff\\u0370-\\u0377\\u0386-\\u03ff\\u0400-\\u0482\\u048a-\\u052f";
const PLAIN_CHARACTER = new RegExp(`^[${PLAIN}]$`);
const EASY = new RegExp(`[\\n\\t${PLAIN}]*`, "y");
const HARD = new RegExp(`[^\\n\\t${PLAIN}]*`, "y");
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const WIDE = new RegExp(
  "\\p{Emoji_Presentation}|\\p{Extended_Pictographic}\\ufe0f|\\ufe0f\\u20e3|" +
  "[\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f\\uff01-\\uff60\\uffe0-\\uffe6]|" +
  "[\\u{20000}-\\u{3fffd}]", "u");
const SEGMENTER = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** Segmenting works on whole strings: a run of any length is cut into stretches of this many UTF-16 units. */
const STRETCH = 4096;

/**
 * @typedef {object} Cells
 * @property {Int32Array} starts   (n_cells + 1) position of each cell's first code point; the last entry is n_chars
 * @property {Uint8Array} widths   (n_cells) columns; 0 for a tab
 */
/**
 * @typedef {object} Layout
 * @property {string[]} chars      the code points
 * @property {Cells} cells
 * @property {number} tab
 * @property {Int32Array} rows     (n_rows + 1) first cell of each row
 * @property {Int32Array} places   (n_rows + 1) position of each row's first code point
 * @property {Int32Array} lines    (n_rows) line number within its document, from 1
 * @property {Int32Array} lineStarts  (n_rows) position where that line begins
 * @property {number} widest       columns of the widest row
 */

/**
 * @param {string} text
 * @param {string[]} chars its code points
 * @param {number[]} breaks positions where something new begins (documents): no cell reaches across
 * @returns {Cells}
 */
export function segment(text, chars, breaks) {
  const starts = new Int32Array(chars.length + 1);
  const widths = new Uint8Array(chars.length);
  const documents = new Set(breaks);
  let count = 0;
  let at = 0;
  /** @param {number} length @param {number} width */
  const add = (length, width) => {
    for (let stop = at + 1, end = at + length; stop <= end; stop += 1) {
      if (stop < end && !documents.has(stop)) continue;
      starts[count] = at;
      widths[count] = width;
      count += 1;
      at = stop;
    }
  };
  for (let from = 0; from < text.length;) {
    const easy = runEnd(EASY, text, from);
    // An accent belongs to the letter before it, so the last easy character is left to the hard ones.
    const plain = easy < text.length && easy > from ? easy - 1 : easy;
    for (; from < plain; from += 1) add(1, text[from] === "\t" ? 0 : 1);
    const hard = runEnd(HARD, text, easy);
    for (const cluster of clustersOf(text, from, hard)) {
      add(cluster.length === 1 ? 1 : Array.from(cluster).length, columnsOf(cluster));
    }
    from = hard;
  }
  starts[count] = chars.length;
  return { starts: starts.slice(0, count + 1), widths: widths.slice(0, count) };
}

/** @param {RegExp} sticky @param {string} text @param {number} from where the run that begins here ends */
function runEnd(sticky, text, from) {
  sticky.lastIndex = from;
  return from + (sticky.exec(text)?.[0].length ?? 0);
}

/** @param {string} text @param {number} from @param {number} end both in UTF-16 units */
function* clustersOf(text, from, end) {
  for (let start = from; start < end;) {
    let stop = Math.min(start + STRETCH, end);
    if (stop < end && /[\udc00-\udfff]/.test(text[stop])) stop -= 1; // keep surrogate pairs whole
    const clusters = Array.from(SEGMENTER.segment(text.slice(start, stop)), (one) => one.segment);
    if (stop < end && clusters.length > 1) stop -= clusters.pop()?.length ?? 0; // it may go on
    yield* clusters;
    start = stop;
  }
}

/** @param {string} cluster */
function columnsOf(cluster) {
  if (cluster === "\t") return 0;
  return WIDE.test(cluster) ? 2 : 1;
}

/**
 * Breaks lines into rows of at most `columns` columns, after a space where one is near.
 * @param {string[]} chars
 * @param {Cells} cells
 * @param {{columns: number, tab: number, breaks: number[]}} options
 * @returns {Layout}
 */
export function layoutRows(chars, cells, { columns, tab, breaks }) {
  /** @type {number[]} */ const rows = [];
  /** @type {number[]} */ const lines = [];
  /** @type {number[]} */ const lineStarts = [];
  const count = cells.widths.length;
  const documents = new Set(breaks);
  let line = 1, lineStart = 0, rowStart = 0, column = 0, afterSpace = -1, widest = 0;
  /** @param {number} from @param {number} to */
  const close = (from, to) => {
    rows.push(from);
    lines.push(line);
    lineStarts.push(lineStart);
    widest = Math.max(widest, column);
    rowStart = to;
    column = 0;
    afterSpace = -1;
  };
  for (let cell = 0; cell < count; cell += 1) {
    const at = cells.starts[cell];
    const newDocument = at > 0 && documents.has(at);
    if (newDocument) {
      if (cell > rowStart) close(rowStart, cell);
      line = 1;
      lineStart = at;
    }
    if (chars[at] === "\n") {
      close(rowStart, cell + 1);
      line += 1;
      lineStart = at + 1;
      continue;
    }
    if (column + columnsAt(cells, cell, column, tab) > columns && cell > rowStart) {
      const broken = afterSpace > rowStart && cell - afterSpace < columns / 3 ? afterSpace : cell;
      close(rowStart, broken);
      for (let kept = broken; kept < cell; kept += 1) column += columnsAt(cells, kept, column, tab);
    }
    column += columnsAt(cells, cell, column, tab);
    if (chars[at] === " ") afterSpace = cell + 1;
  }
  if (rowStart < count) close(rowStart, count);
  rows.push(count);
  const places = Int32Array.from(rows, (cell) => cells.starts[cell]);
  return {
    chars, cells, tab, places, rows: Int32Array.from(rows),
    lines: Int32Array.from(lines), lineStarts: Int32Array.from(lineStarts), widest,
  };
}

/**
 * @param {Cells} cells
 * @param {number} cell
 * @param {number} column where it starts
 * @param {number} tab
 */
export function columnsAt(cells, cell, column, tab) {
  const width = cells.widths[cell];
  return width === 0 ? tab - (column % tab) : width;
}

/**
 * The last entry of an ascending array that is not above `value`.
 * @param {Int32Array} ascending
 * @param {number} value
 */
export function lastNotAbove(ascending, value) {
  let low = 0, high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ascending[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** @param {Layout} layout @param {number} at */
export function rowOf(layout, at) {
  return Math.max(0, Math.min(lastNotAbove(layout.places, at), layout.lines.length - 1));
}

/** @param {Layout} layout @param {number} at */
export function cellOf(layout, at) {
  return Math.min(lastNotAbove(layout.cells.starts, at), layout.cells.widths.length - 1);
}

/** @param {Layout} layout @param {number} at @returns {[number, number]} line and column, both from 1 */
export function lineAndColumn(layout, at) {
  const row = rowOf(layout, at);
  return layout.lines.length === 0 ? [1, 1] : [layout.lines[row], at - layout.lineStarts[row] + 1];
}

/**
 * Where the next match of a search lies, round again at the end of the text; lower case finds capitals too.
 * @param {string} text
 * @param {string} wanted
 * @param {number} from UTF-16 units, as is the answer
 * @param {1 | -1} step
 * @returns {number} -1 where there is none
 */
export function findNext(text, wanted, from, step) {
  if (wanted === "") return -1;
  const where = searched(text, wanted);
  if (step > 0) {
    const found = where.indexOf(wanted, from);
    return found >= 0 ? found : where.indexOf(wanted);
  }
  const found = from < 0 ? -1 : where.lastIndexOf(wanted, from);
  return found >= 0 ? found : where.lastIndexOf(wanted);
}

/**
 * How often a text holds what is sought, and which of the matches begins at a place; matches that overlap count each.
 * @param {string} text
 * @param {string} wanted lower case finds capitals too, as in findNext
 * @param {number} place UTF-16 units
 * @returns {[number, number]} which one, from 1, and how many
 */
export function countMatches(text, wanted, place) {
  const where = searched(text, wanted);
  let number = 0, count = 0;
  for (let at = where.indexOf(wanted); at >= 0; at = where.indexOf(wanted, at + 1)) {
    count += 1;
    if (at <= place) number = count;
  }
  return [number, count];
}

/** @param {string} text @param {string} wanted what is looked through: without capitals where none are asked for */
function searched(text, wanted) {
  if (wanted !== wanted.toLowerCase()) return text;
  return text.replaceAll("\u0130", "i").toLowerCase(); // the one letter that is longer when it is small
}

/** Counts code points. @param {string} text @param {number} units @returns {number} in the first `units` UTF-16 units */
export function codePointsIn(text, units) {
  let count = 0;
  for (let at = 0; at < units; at += 1) if ((text.charCodeAt(at) & 0xfc00) !== 0xdc00) count += 1;
  return count;
}

/** @param {string} text @param {number} points @returns {number} UTF-16 units of the first code points */
export function unitsIn(text, points) {
  let at = 0;
  for (let count = 0; count < points && at < text.length; count += 1) {
    at += (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
  }
  return at;
}

/** @param {Layout} layout @param {number} at the screen column where its cell begins */
export function screenColumn(layout, at) {
  const target = cellOf(layout, at);
  let column = 0;
  for (let cell = layout.rows[rowOf(layout, at)]; cell < target; cell += 1) {
    column += columnsAt(layout.cells, cell, column, layout.tab);
  }
  return column;
}

/** @param {Layout} layout @param {number} row @param {number} goal the position nearest to a screen column */
export function atColumn(layout, row, goal) {
  let column = 0;
  let cell = layout.rows[row];
  for (const last = layout.rows[row + 1] - 1; cell < last; cell += 1) {
    const next = column + columnsAt(layout.cells, cell, column, layout.tab);
    if (next > goal) break;
    column = next;
  }
  return layout.cells.starts[cell];
}

/**
 * Where a move leads from `at`. Up and down keep to the screen column `goal`.
 * @param {Layout} layout
 * @param {number} at
 * @param {string} move
 * @param {{goal: number, page: number}} options rows per page
 */
export function moved(layout, at, move, { goal, page }) {
  const last = layout.chars.length - 1;
  const row = rowOf(layout, at);
  const bottom = layout.lines.length - 1;
  /** @param {number} target */
  const toRow = (target) => atColumn(layout, Math.max(0, Math.min(target, bottom)), goal);
  switch (move) {
    case "left": return Math.max(0, at - 1);
    case "right": return Math.min(last, at + 1);
    case "up": return toRow(row - 1);
    case "down": return toRow(row + 1);
    case "page-up": return toRow(row - page);
    case "page-down": return toRow(row + page);
    case "line-start": return layout.places[row];
    case "line-end": return layout.places[row + 1] - 1;
    case "text-start": return 0;
    case "text-end": return last;
    default: return at;
  }
}

/**
 * How a cell has to be drawn so that its neighbours stay in their columns.
 * @param {Layout} layout
 * @param {number} cell
 * @returns {"plain" | "space" | "newline" | "tab" | "invisible" | "boxed" | "rtl"}
 */
export function kindOf({ chars, cells }, cell) {
  const start = cells.starts[cell];
  const char = chars[start];
  if (char === " ") return "space";
  if (char === "\n") return "newline";
  if (char === "\t") return "tab";
  if (RIGHT_TO_LEFT.test(char) && !isInvisible(char)) return "rtl"; // with its points and vowel signs
  if (cells.starts[cell + 1] - start > 1) return "boxed";
  if (PLAIN_CHARACTER.test(char)) return "plain";
  return isInvisible(char) ? "invisible" : "boxed";
}
