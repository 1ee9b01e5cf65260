// @ts-check
// What the reader looks at: neuron, look, cursor and mark; and how that is handed to the painters. It knows nothing of
// Python: `changed` is called when the reader has moved.

import { colourRules } from "./colour.js";
import { buildFrame } from "./frame.js";
import { moved, rowOf, screenColumn } from "./layout.js";
import { Page } from "./page.js";
import { Rows, rowHeight } from "./rows.js";
import { Source } from "./source.js";
import { likelyNext, sameChoice, withSignal } from "./view.js";
import { AfterPaint, Viewport } from "./viewport.js";
import { showCount, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {import("./view.js").Look} Look */

const SPEAK_AFTER_MS = 300;

export class Reader {
  /**
   * @param {(kind: import("./source.js").Kind, path: string) => void} arrived
   * @param {Parameters<typeof buildFrame>[0]} reader
   */
  constructor(arrived, reader) {
    /** @type {Payload | null} */ this.payload = null;
    /** @type {string | null} which text is laid out */ this.key = null;
    /** @type {Choice} */ this.wanted = { neuron: "", signal: "" };
    /** @type {Choice} */ this.shown = this.wanted;
    /** @type {Look} */ this.look = { palette: "", colour: "neuron", expects: false, spaces: false, wrap: true, tab: 4, pins: [], mark: null };
    this.cursor = 0;
    /** The screen column that moving up and down keeps to. */ this.goal = 0;
    /** @type {number | null} where marking began */ this.anchor = null;
    /** Whether arrows mark without shift. */ this.isMarking = false;
    /** @type {number | null} */ this.pointer = null;
    this.isFilling = false;
    /** Whether a text is laid out that could not be painted yet, for want of a trace. */ this.isOwed = false;
    /** @type {"light" | "dark"} */ this.theme = "light";
    /** @type {Choice | null} the last that was said to a screen reader */ this.announced = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.speech = undefined;
    this.frame = buildFrame(reader);
    this.page = new Page(this.frame);
    this.source = new Source(arrived);
    this.viewport = new Viewport(this.frame.scroller);
    this.rows = new Rows(this.viewport, this.frame.sheet);
    this.later = new AfterPaint();
  }

  /** The reader has moved. */
  changed() {}

  /** A text that had to wait for its colours is painted. */
  begun() {}

  // Painting.

  /** Everything the painters need to know; null while nothing can be painted. @returns {Sight | null} */
  sight() {
    const { payload, source, look, wanted, theme, cursor } = this;
    if (payload === null || this.key === null) return null;
    const shown = [wanted, this.meanwhile(wanted), this.shown, { neuron: payload.header.neuron, signal: payload.header.signal }]
      .find((choice) => source.trace(choice) !== undefined);
    if (shown === undefined) return null;
    this.shown = shown;
    const trace = /** @type {import("./colour.js").Trace} */ (source.trace(shown));
    const loss = look.colour === "surprise" ? source.loss() : undefined;
    const { layers } = payload.header;
    return {
      payload, source, look, wanted, shown, theme, cursor, trace, palette: look.palette,
      layout: this.page.layout, unknown: this.page.unknown, marked: this.marked(),
      colouring: loss ?? trace,
      pins: look.pins.map((neuron) => ({ neuron, trace: source.trace(withSignal(layers, neuron, shown.signal)) })),
    };
  }

  /** What is shown of a neuron while the network still reads the text for the wanted signal. @param {Choice} choice @returns {Choice} */
  meanwhile({ neuron, signal }) {
    const ready = this.payload?.header.ready ?? [];
    if (ready.length === 0 || ready.includes(signal)) return { neuron, signal };
    return { neuron, signal: ready.includes(this.shown.signal) ? this.shown.signal : ready[0] };
  }

  /**
   * The text at once, and what stands beside it when that has been painted.
   * @param {{rebuild: boolean | "changed", top?: number}} options rebuild: every row, or those that read otherwise than
   *   before; top: the position that is to stay on top
   */
  show({ rebuild, top }) {
    if (this.key === null || this.payload === null) return;
    this.source.ask(this.meanwhile(this.wanted));
    const sight = this.sight();
    const isOwed = this.isOwed;
    this.isOwed = sight === null && (isOwed || rebuild !== false);
    if (sight === null) return;
    const { bar, scroller, colours, root } = this.frame;
    const tables = `${this.look.palette} ${this.theme}`;
    if (colours.dataset.tables !== tables) colours.textContent = colourRules(sight);
    colours.dataset.tables = tables;
    if (rebuild === "changed" && !isOwed) this.rows.revise(sight);
    else if (rebuild || isOwed) this.rows.rebuild(sight);
    else this.rows.recolour(sight);
    this.rows.guess(); // what the network expected may have come along
    if (top !== undefined) this.viewport.scrollTo(rowOf(sight.layout, top) * rowHeight(this.look));
    bar.show(sight);
    this.rows.fill({ spare: false });
    root.dataset.shown = sight.shown.neuron;
    root.dataset.signal = sight.shown.signal;
    root.dataset.key = this.key;
    root.dataset.known = String(sight.trace.known);
    scroller.setAttribute("aria-label", `${showCount(sight.layout.chars.length)} characters coloured by neuron `
      + `${sight.shown.neuron}, ${signalTitle(sight.shown.signal)}. Arrow keys move, question mark lists all keys.`);
    this.announce(sight);
    this.later.start(() => this.showBeside());
    if (isOwed) this.begun();
  }

  /** Says which neuron the reader has come to, once it is in sight; not the one that a page opens with. @param {Sight} sight */
  announce({ shown, wanted }) {
    if (!sameChoice(shown, wanted) || sameChoice(shown, this.announced)) return;
    if (this.announced !== null) this.frame.spoken.textContent = `neuron ${shown.neuron}, ${signalTitle(shown.signal)}`;
    this.announced = shown;
  }

  /** The rows that are kept out of sight, the panel, the whole text at a glance; then what may be wanted next is fetched. */
  showBeside() {
    const sight = this.sight();
    if (sight === null) return;
    this.rows.catchUp();
    const hadKeys = this.hasKeys();
    this.frame.panel.showNeuron(sight);
    this.frame.panel.showPeaks(sight, this.frame.overview.findPeaks(sight.trace));
    if (hadKeys && !this.hasKeys()) this.takeKeys(); // what was pressed there is gone
    this.frame.overview.show(sight);
    this.showPlace();
    const { layers } = sight.payload.header;
    const pins = this.look.pins.map((neuron) => withSignal(layers, neuron, this.wanted.signal));
    const isWhole = sight.trace.known === sight.trace.length; // else the rest of a draft is under way, which comes first
    if (isWhole && sameChoice(sight.shown, this.wanted)) this.source.prefetch([...pins, ...likelyNext(layers, this.wanted)]);
  }

  /** Whether keys come here. */
  hasKeys() {
    const { root } = this.frame, where = /** @type {Document | ShadowRoot} */ (root.getRootNode());
    return where.activeElement !== null && root.contains(where.activeElement);
  }

  /** Outside of it keys mean other things: r would rerun the app, c open a dialog. */
  takeKeys() {
    this.frame.scroller.focus({ preventScroll: true });
  }

  /** The panel at the pointer or cursor, and where that is in the whole text. */
  showPlace() {
    const sight = this.sight();
    if (sight === null) return;
    const { panel, overview } = this.frame;
    panel.showPlace(sight, this.pointer ?? this.cursor, this.pointer !== null);
    overview.showPlace(sight, { ...this.viewport.place(), rowHeight: rowHeight(this.look) });
  }

  scrolled() {
    this.viewport.moved();
    if (this.isFilling) return;
    this.isFilling = true;
    requestAnimationFrame(() => {
      this.isFilling = false;
      this.rows.catchUp();
      const { sight } = this.rows;
      if (sight !== null) this.frame.overview.showPlace(sight, { ...this.viewport.place(), rowHeight: rowHeight(this.look) });
    });
  }

  /** The position at the top of what is in sight. */
  topPlace() {
    return this.page.layout.places[Math.floor(this.viewport.top / rowHeight(this.look))] ?? 0;
  }

  // Moving.

  /** @param {string} move @param {boolean} extend */
  moveBy(move, extend) {
    if (this.page.chars.length === 0) return;
    const page = Math.max(1, Math.floor(this.viewport.height / rowHeight(this.look)) - 1);
    this.mark(extend ? this.anchor ?? this.cursor : null);
    this.moveTo(moved(this.page.layout, this.cursor, move, { goal: this.goal, page }), {
      keepGoal: ["up", "down", "page-up", "page-down"].includes(move),
    });
  }

  /** @param {number} at @param {boolean} extend */
  press(at, extend) {
    if (extend && at === this.cursor) return;
    this.mark(extend ? this.anchor ?? this.cursor : null);
    this.moveTo(at);
  }

  /** To a place far away. @param {number} at */
  leap(at) {
    this.mark(null);
    this.moveTo(at, { centre: true });
  }

  /**
   * @param {number} at
   * @param {{centre?: boolean, silent?: boolean, keepGoal?: boolean}} [options]
   */
  moveTo(at, { centre = false, silent = false, keepGoal = false } = {}) {
    const from = this.cursor;
    this.cursor = at;
    this.pointer = null;
    const sight = this.sight();
    if (sight === null) return;
    if (sight.layout.chars.length > 0 && !keepGoal) this.goal = screenColumn(sight.layout, at);
    this.rows.sight = sight;
    this.reveal(sight.layout, at, centre);
    this.rows.touch(from, this.anchor === null ? from : at);
    this.rows.touch(at, at);
    this.showPlace();
    this.showMark();
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.frame.spoken.textContent = this.frame.panel.spoken(); }, SPEAK_AFTER_MS);
    if (!silent) this.changed();
  }

  /** @param {import("./layout.js").Layout} layout @param {number} at @param {boolean} centre */
  reveal(layout, at, centre) {
    const { viewport } = this, { top: first, height } = viewport.place();
    const step = rowHeight(this.look);
    const top = rowOf(layout, at) * step, bottom = top + step;
    const covered = this.frame.prompt.height;
    const isAbove = top < first + covered, isBelow = bottom > first + height;
    if (centre && (isAbove || isBelow)) viewport.scrollTo(top - height / 3);
    else if (isAbove) viewport.scrollTo(top - covered);
    else if (isBelow) viewport.scrollTo(bottom - height);
    if (!this.look.wrap) this.revealColumn(screenColumn(layout, at));
    this.rows.fill({ spare: false }); // the others follow with the scrolling
  }

  /** Of lines that are not broken, with some air before and behind. @param {number} place the column */
  revealColumn(place) {
    const { frame: { scroller }, page: { column, gutter } } = this;
    const left = gutter + place * column, air = Math.min(8 * column, scroller.clientWidth / 4);
    if (left - air < scroller.scrollLeft) scroller.scrollLeft = place === 0 ? 0 : left - air;
    else if (left + column + air > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = left + column + air - scroller.clientWidth;
  }

  // Marking text.

  /** @returns {[number, number] | null} the first and last marked position */
  marked() {
    if (this.anchor === null) return null;
    return [Math.min(this.anchor, this.cursor), Math.max(this.anchor, this.cursor)];
  }

  /** @param {number | null} anchor where marking begins; null unmarks */
  mark(anchor) {
    const before = this.marked();
    this.anchor = anchor;
    const sight = this.sight();
    if (anchor !== null || before === null || sight === null) return;
    this.rows.sight = sight;
    this.rows.touch(...before);
  }

  showMark() {
    const sight = this.sight();
    if (sight !== null) this.frame.markBar.show(sight, this.isMarking);
  }

  toggleMarking() {
    this.isMarking = !this.isMarking;
    if (this.isMarking) this.mark(this.anchor ?? this.cursor);
    this.showMark();
  }

  markAll() {
    const last = this.page.chars.length - 1;
    if (last < 0) return;
    this.anchor = 0;
    this.cursor = last;
    const sight = this.sight();
    if (sight !== null) this.rows.recolour(sight);
    this.showPlace();
    this.showMark();
    this.changed();
  }

  copied() {
    const marked = this.marked();
    return marked === null ? null : this.page.chars.slice(marked[0], marked[1] + 1).join("");
  }

  /** @param {number | null} at */
  pointAt(at) {
    if (at === this.pointer || this.key === null) return;
    this.pointer = at;
    this.showPlace();
  }
}
