// @ts-check
// The text, cut into rows for the room there is. It is cut into cells once, and laid out again when the room changes.

import { layoutRows, segment } from "./layout.js";

/** @typedef {import("./layout.js").Layout} Layout */

const MOST_COLUMNS = 160;
const FEWEST_COLUMNS = 20;
/** A line that is not to be broken is broken here all the same. */
const LONGEST_ROW = 400;

export class Page {
  /** @param {import("./frame.js").Frame} frame */
  constructor(frame) {
    this.frame = frame;
    this.text = "";
    /** @type {number[]} where documents begin */ this.breaks = [];
    /** @type {Set<number>} positions of characters the network does not know */ this.unknown = new Set();
    this.mostLines = 1;
    this.room = "";
    /** Widths of a column and of what stands before the first, in CSS pixels. */ this.column = 8;
    this.gutter = 0;
    /** @type {string[]} */ this.chars = [];
    /** @type {import("./layout.js").Cells} */ this.cells = segment("", [], []);
    /** @type {Layout} */ this.layout = layoutRows([], this.cells, { columns: 1, tab: 4, breaks: [] });
  }

  /**
   * @param {string} text
   * @param {import("./payload.js").Header} header
   * @param {Iterable<number>} unknown
   * @param {import("./view.js").Look} look
   */
  take(text, header, unknown, look) {
    this.text = text;
    this.chars = Array.from(text);
    this.breaks = header.documents.map((one) => one.start);
    this.unknown = new Set(unknown);
    this.cells = segment(text, this.chars, this.breaks);
    this.mostLines = 1;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.mostLines += 1;
    this.room = "";
    this.fit(look);
  }

  /** Breaks the text into rows of the columns there is room for. @param {import("./view.js").Look} look @returns {boolean} whether anything changed */
  fit({ wrap, tab }) {
    const { root, ruler, scroller } = this.frame;
    const column = ruler.getBoundingClientRect().width / 100 || 8;
    const gutter = (Math.max(String(this.mostLines).length, 3) + 2) * column;
    const space = Math.floor((scroller.clientWidth - gutter) / column) - 2; // one for the newline, one for air
    const columns = wrap ? Math.min(Math.max(space, FEWEST_COLUMNS), MOST_COLUMNS) : LONGEST_ROW;
    const room = `${columns} ${column} ${tab}`;
    if (room === this.room) return false;
    this.room = room;
    this.column = column;
    this.gutter = gutter;
    root.style.setProperty("--column", `${column}px`);
    root.style.setProperty("--gutter", `${gutter}px`);
    this.layout = layoutRows(this.chars, this.cells, { columns, tab, breaks: this.breaks });
    return true;
  }
}
