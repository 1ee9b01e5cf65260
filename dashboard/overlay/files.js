// @ts-check
// The documents of a text, one row each: its name, the neuron's trace over it, and how strong it gets there. A row leads
// to where that is. Many rows are painted a few at a time, after the text.

import { element, button } from "./bar.js";
import { paintLine } from "./map.js";
import { showEnd } from "./words.js";

/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./payload.js").TextDocument} TextDocument */

const ROWS_AT_ONCE = 24;
const PAINT_AFTER_MS = 60;

/**
 * The document that holds a position.
 * @param {TextDocument[]} documents in order, without gaps
 * @param {number} at
 */
export function documentAt(documents, at) {
  let low = 0, high = documents.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (documents[middle].start <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Where a trace is furthest from zero within a stretch; the start where it has no value there.
 * @param {import("./colour.js").Trace} trace
 * @param {{start: number, stop: number}} stretch
 */
export function strongestIn({ codes, none, levels }, { start, stop }) {
  const size = levels.map(Math.abs);
  let best = start, far = -1;
  for (let at = start; at < stop; at += 1) {
    const entry = codes[at];
    if (entry !== none && size[entry] > far) { far = size[entry]; best = at; }
  }
  return best;
}

export class Files {
  /** @param {(action: import("./view.js").Action) => void} act @param {(at: number) => void} jump */
  constructor(act, jump) {
    this.jump = jump;
    this.root = element("div", "part files");
    const head = element("h3", "", "Files"), steps = element("span", "steps");
    steps.append(
      button("‹", "previous file ({)", () => act({ type: "file", step: -1 })),
      button("›", "next file (})", () => act({ type: "file", step: 1 })),
    );
    head.append(steps);
    this.list = element("div", "list");
    this.root.append(head, this.list);
    this.root.hidden = true;
    /** @type {TextDocument[]} */ this.documents = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.waiting = undefined;
  }

  /** @param {Sight} sight */
  show(sight) {
    const { documents } = sight.payload.header;
    this.root.hidden = documents.length < 2;
    const isOther = documents.length !== this.documents.length
      || documents.some(({ name, start }, place) => name !== this.documents[place].name || start !== this.documents[place].start);
    this.documents = documents;
    if (isOther) this.build(documents);
    this.stop();
    if (!this.root.hidden) this.waiting = setTimeout(() => this.paint(sight, 0), PAINT_AFTER_MS);
  }

  stop() {
    clearTimeout(this.waiting);
  }

  /** @param {TextDocument[]} documents */
  build(documents) {
    this.list.replaceChildren(...documents.map(({ name, start }) => {
      const row = button("", name, () => this.jump(Number(row.dataset.peak ?? start)));
      const line = document.createElement("canvas");
      row.classList.add("file");
      line.width = 60;
      line.height = 1;
      row.append(element("span", "name", name), line, element("span", "number"));
      return row;
    }));
  }

  /** @param {Sight} sight @param {number} first */
  paint(sight, first) {
    const stop = Math.min(first + ROWS_AT_ONCE, this.documents.length);
    for (let place = first; place < stop; place += 1) {
      const one = this.documents[place], row = /** @type {HTMLElement} */ (this.list.children[place]);
      const [, line, number] = row.children;
      if (one.stop === one.start) continue;
      const peak = strongestIn(sight.trace, one), { scale } = sight.trace;
      paintLine(/** @type {HTMLCanvasElement} */ (line), sight, sight.trace, one);
      number.textContent = showEnd(sight.trace.level(peak), scale.kind === "diverging");
      row.dataset.peak = String(peak);
    }
    if (stop < this.documents.length) this.waiting = setTimeout(() => this.paint(sight, stop), 0);
  }

  /** @param {number} at the cursor */
  showPlace(at) {
    if (this.documents.length < 2) return;
    const here = documentAt(this.documents, at);
    for (let place = 0; place < this.list.children.length; place += 1) {
      const isHere = place === here, row = this.list.children[place];
      if (isHere === row.hasAttribute("aria-current")) continue;
      row.toggleAttribute("aria-current", isHere);
      if (isHere) this.list.scrollTop = /** @type {HTMLElement} */ (row).offsetTop - this.list.offsetTop - this.list.clientHeight / 3;
    }
  }

  /** Where the file `step` further begins, round again. @param {number} at @param {number} step */
  neighbour(at, step) {
    const count = this.documents.length;
    return count < 2 ? null : this.documents[(documentAt(this.documents, at) + step + count) % count].start;
  }
}
