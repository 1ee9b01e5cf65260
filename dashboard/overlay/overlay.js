// @ts-check
// The component: keeps what the reader looks at, hands it to the painters, and tells Python once things have settled.
//
// Streamlit calls the default export again whenever data or theme change, with the same parentElement. So the state
// lives in a map keyed by that element, a call only brings news, and the text is laid out again only if it is another.

import { colourRules, themeOf } from "./colour.js";
import { buildFrame } from "./frame.js";
import { listen } from "./input.js";
import { layoutRows, moved, rowOf, screenColumn, segment } from "./layout.js";
import { decodePayload, traceOf } from "./payload.js";
import { Rows, rowHeight } from "./rows.js";
import { changesChoice, neighbour, sameChoice } from "./view.js";
import { showCount, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {{data: Uint8Array, parentElement: HTMLElement | ShadowRoot,
 *             setStateValue: (name: string, value: unknown) => void}} Message */
/**
 * @typedef {object} Text
 * @property {Payload} payload
 * @property {number[]} breaks   where documents begin
 * @property {import("./layout.js").Cells} cells
 * @property {import("./layout.js").Layout} layout
 * @property {number} mostLines  for the width of the line numbers
 * @property {Set<number>} unknown
 */

/** Python is told when nothing has changed for this long. */
const REPORT_AFTER_MS = 250;
const SPEAK_AFTER_MS = 300;
const MOST_COLUMNS = 160;
const FEWEST_COLUMNS = 20;

class Overlay {
  /** @param {Message} message */
  constructor({ parentElement, setStateValue }) {
    this.setStateValue = setStateValue;
    /** @type {Text | null} */ this.text = null;
    /** @type {Choice} */ this.wanted = { neuron: "", signal: "" };
    /** @type {Choice} */ this.shown = this.wanted;
    /** @type {Choice | null} the last that Python sent */ this.served = null;
    /** @type {Choice[]} */ this.asked = [];
    this.cursor = 0;
    /** The screen column that moving up and down keeps to. */
    this.goal = 0;
    /** @type {number | null} where marking began */ this.anchor = null;
    /** @type {number | null} */ this.pointer = null;
    this.expects = false;
    this.isFilling = false;
    /** @type {"light" | "dark"} */ this.theme = "light";
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.report = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.speech = undefined;
    this.frame = buildFrame((action) => this.act(action));
    this.rows = new Rows(this.frame.scroller, this.frame.sheet);
    parentElement.append(this.frame.colours, this.frame.root);
    this.stopListening = listen(this.frame, {
      act: (action) => this.act(action),
      press: (at, extend) => this.press(at, extend),
      pointAt: (at) => this.pointAt(at),
      scrolled: () => this.scrolled(),
      copied: () => this.copied(),
      layout: () => this.text?.layout,
    });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.frame.scroller);
    document.fonts.ready.then(() => this.resize()); // the code font may come after the first layout
  }

  close() {
    clearTimeout(this.report);
    clearTimeout(this.speech);
    this.observer.disconnect();
    this.stopListening();
    this.frame.root.remove();
    this.frame.colours.remove();
  }

  // News from Python.

  /** A payload, a theme, or both. @param {Message} message */
  receive({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    const theme = themeOf(getComputedStyle(this.frame.root).getPropertyValue("--st-background-color"));
    const before = this.text?.payload;
    const payload = decodePayload(data);
    const { header } = payload;
    const isNewText = before === undefined || before.text !== payload.text
      || JSON.stringify([before.header.documents, before.header.tab]) !== JSON.stringify([header.documents, header.tab]);
    const hasJumped = isNewText || header.jump !== before.header.jump;
    const isNewTheme = theme !== this.theme;
    this.theme = theme;
    this.frame.root.dataset.theme = theme;
    this.frame.colours.textContent = colourRules(payload, theme);
    this.follow(payload, hasJumped);
    if (isNewText || this.text === null) this.takeText(payload);
    else this.text = { ...this.text, payload, unknown: unknownOf(payload) };
    this.show({ rebuild: isNewText || isNewTheme || this.expects });
    if (isNewText || (hasJumped && header.at !== null)) this.moveTo(header.at ?? 0, { centre: true, silent: true });
  }

  /** Decides whether the reader's choice stands, and what can be painted now. @param {Payload} payload @param {boolean} hasJumped */
  follow(payload, hasJumped) {
    const incoming = { neuron: payload.header.neuron, signal: payload.header.signal };
    if (hasJumped || changesChoice(this, incoming)) {
      this.wanted = incoming;
      clearTimeout(this.report);
    }
    if (sameChoice(incoming, this.wanted)) this.asked = [];
    this.served = incoming;
    const choices = [this.wanted, this.shown, incoming];
    this.shown = choices.find(({ neuron, signal }) => traceOf(payload, neuron, signal) !== undefined) ?? incoming;
  }

  /** @param {Payload} payload */
  takeText(payload) {
    const chars = Array.from(payload.text);
    const breaks = payload.header.documents.map((one) => one.start);
    const cells = segment(payload.text, chars, breaks);
    let mostLines = 1;
    for (const char of chars) if (char === "\n") mostLines += 1;
    this.cursor = 0;
    this.anchor = null;
    this.pointer = null;
    this.frame.scroller.scrollTop = 0;
    const layout = this.layOut(chars, cells, { breaks, mostLines, tab: payload.header.tab });
    this.text = { payload, breaks, cells, mostLines, layout, unknown: unknownOf(payload) };
  }

  // The room there is.

  /**
   * Breaks the text into rows of the columns there is room for.
   * @param {string[]} chars
   * @param {import("./layout.js").Cells} cells
   * @param {{breaks: number[], mostLines: number, tab: number}} options
   */
  layOut(chars, cells, { breaks, mostLines, tab }) {
    const { root, ruler, scroller } = this.frame;
    const column = ruler.getBoundingClientRect().width / 100 || 8;
    const gutter = (Math.max(String(mostLines).length, 3) + 2) * column;
    root.style.setProperty("--column", `${column}px`);
    root.style.setProperty("--gutter", `${gutter}px`);
    const room = Math.floor((scroller.clientWidth - gutter) / column) - 2; // one for the newline, one for air
    const columns = Math.min(Math.max(room, FEWEST_COLUMNS), MOST_COLUMNS);
    this.room = `${columns} ${column}`;
    return layoutRows(chars, cells, { columns, tab, breaks });
  }

  /** The window, the fonts or the panel changed: the same characters stay on top. */
  resize() {
    const { text, room } = this;
    const { scroller } = this.frame;
    if (text === null || scroller.clientWidth === 0) return;
    const step = rowHeight(this.expects);
    const top = text.layout.places[Math.floor(scroller.scrollTop / step)] ?? 0;
    const layout = this.layOut(text.layout.chars, text.cells, { ...text, tab: text.layout.tab });
    if (this.room !== room) {
      this.text = { ...text, layout };
      this.show({ rebuild: true });
      scroller.scrollTop = rowOf(layout, top) * step;
    }
    this.rows.fill();
  }

  // Painting.

  /** Everything the painters need to know. @param {Text} text */
  sight({ payload, layout, unknown }) {
    const { shown, wanted, theme, cursor, expects } = this;
    return {
      payload, layout, unknown, shown, wanted, theme, cursor, expects,
      trace: /** @type {Float32Array} */ (traceOf(payload, shown.neuron, shown.signal)),
      scale: payload.header.scales[`${shown.neuron}/${shown.signal}`],
      marked: this.marked(), marks: this.frame.root.classList.contains("marks"),
    };
  }

  /** @param {{rebuild: boolean}} options */
  show({ rebuild }) {
    if (this.text === null) return;
    const sight = this.sight(this.text);
    const { bar, panel, scroller } = this.frame;
    if (rebuild) this.rows.rebuild(sight);
    else this.rows.recolour(sight);
    bar.show(sight);
    panel.showNeuron(sight);
    panel.showPlace(sight, this.pointer ?? this.cursor, this.pointer !== null);
    scroller.setAttribute("aria-label", `${showCount(sight.layout.chars.length)} characters coloured by neuron `
      + `${this.shown.neuron}, ${signalTitle(this.shown.signal)}. Arrow keys move, question mark lists all keys.`);
  }

  scrolled() {
    if (this.isFilling) return;
    this.isFilling = true;
    requestAnimationFrame(() => {
      this.isFilling = false;
      this.rows.fill();
    });
  }

  // What the reader does.

  /** @param {import("./view.js").Action} action */
  act({ type, move = "", extend = false, step = 0, place = 0 }) {
    if (this.text === null) return;
    const { layers } = this.text.payload.header;
    const { root, bar, help } = this.frame;
    switch (type) {
      case "move": this.moveBy(this.text, move, extend); break;
      case "neuron": this.want(this.text, neighbour(layers, this.wanted, step)); break;
      case "signal": {
        const signal = layers[Number(this.wanted.neuron.split(":")[0])].signals[place];
        if (signal !== undefined) this.want(this.text, { ...this.wanted, signal });
        break;
      }
      case "marks":
        root.classList.toggle("marks");
        bar.show(this.sight(this.text));
        break;
      case "expects": this.toggleExpects(this.text); break;
      case "help": help.hidden = !help.hidden; break;
      case "mark-all": this.markAll(this.text); break;
      case "escape":
        help.hidden = true;
        this.mark(null);
        break;
    }
  }

  /** @param {Text} text @param {Choice} choice */
  want({ payload }, choice) {
    this.wanted = choice;
    if (traceOf(payload, choice.neuron, choice.signal) !== undefined) this.shown = choice;
    this.show({ rebuild: false });
    this.tell();
  }

  /** The row of the cursor stays where it is, or the top row where the cursor is out of sight. @param {Text} text */
  toggleExpects({ payload, layout }) {
    if (payload.header.guesses === 0) return;
    const { root, scroller } = this.frame;
    const before = rowHeight(this.expects), after = rowHeight(!this.expects);
    const isInSight = (/** @type {number} */ top) => top >= 0 && top < scroller.clientHeight - before;
    const place = rowOf(layout, this.cursor) * before - scroller.scrollTop;
    const row = isInSight(place) ? rowOf(layout, this.cursor) : Math.floor(scroller.scrollTop / before);
    const top = row * after - (isInSight(place) ? place : 0);
    this.expects = !this.expects;
    root.classList.toggle("expecting", this.expects);
    this.show({ rebuild: true });
    scroller.scrollTop = top;
    this.rows.fill();
  }

  /** @param {Text} text @param {string} move @param {boolean} extend */
  moveBy({ layout }, move, extend) {
    if (layout.chars.length === 0) return;
    const page = Math.max(1, Math.floor(this.frame.scroller.clientHeight / rowHeight(this.expects)) - 1);
    this.mark(extend ? this.anchor ?? this.cursor : null);
    this.moveTo(moved(layout, this.cursor, move, { goal: this.goal, page }), {
      keepGoal: ["up", "down", "page-up", "page-down"].includes(move),
    });
  }

  /** @param {number} at @param {boolean} extend */
  press(at, extend) {
    if (extend && at === this.cursor) return;
    this.mark(extend ? this.anchor ?? this.cursor : null);
    this.moveTo(at);
  }

  /**
   * @param {number} at
   * @param {{centre?: boolean, silent?: boolean, keepGoal?: boolean}} [options]
   */
  moveTo(at, { centre = false, silent = false, keepGoal = false } = {}) {
    if (this.text === null) return;
    const from = this.cursor;
    this.cursor = at;
    this.pointer = null;
    const sight = this.sight(this.text);
    if (sight.layout.chars.length > 0 && !keepGoal) this.goal = screenColumn(sight.layout, at);
    this.rows.sight = sight;
    this.reveal(sight.layout, at, centre);
    this.rows.touch(from, this.anchor === null ? from : at);
    this.rows.touch(at, at);
    this.frame.panel.showPlace(sight, at, false);
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.frame.spoken.textContent = this.frame.panel.spoken(); }, SPEAK_AFTER_MS);
    if (!silent) this.tell();
  }

  /** @param {import("./layout.js").Layout} layout @param {number} at @param {boolean} centre */
  reveal(layout, at, centre) {
    const { scroller } = this.frame;
    const step = rowHeight(this.expects);
    const top = rowOf(layout, at) * step, bottom = top + step;
    const isAbove = top < scroller.scrollTop, isBelow = bottom > scroller.scrollTop + scroller.clientHeight;
    if (centre && (isAbove || isBelow)) scroller.scrollTop = top - scroller.clientHeight / 3;
    else if (isAbove) scroller.scrollTop = top;
    else if (isBelow) scroller.scrollTop = bottom - scroller.clientHeight;
    this.rows.fill();
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
    if (anchor !== null || before === null || this.text === null) return;
    this.rows.sight = this.sight(this.text);
    this.rows.touch(...before);
  }

  /** @param {Text} text */
  markAll(text) {
    const last = text.layout.chars.length - 1;
    if (last < 0) return;
    this.anchor = 0;
    this.cursor = last;
    this.rows.recolour(this.sight(text));
  }

  copied() {
    const marked = this.marked();
    if (marked === null || this.text === null) return null;
    return this.text.layout.chars.slice(marked[0], marked[1] + 1).join("");
  }

  /** @param {number | null} at */
  pointAt(at) {
    if (at === this.pointer || this.text === null) return;
    this.pointer = at;
    this.frame.panel.showPlace(this.sight(this.text), at ?? this.cursor, at !== null);
  }

  /** One message when things have settled, never one per key. */
  tell() {
    clearTimeout(this.report);
    this.report = setTimeout(() => {
      if (!sameChoice(this.wanted, this.served)) this.asked.push(this.wanted);
      this.setStateValue("view", { ...this.wanted, at: this.cursor });
    }, REPORT_AFTER_MS);
  }

  /** @param {unknown} error */
  fail(error) {
    this.frame.failure.hidden = false;
    this.frame.failure.textContent = `The text cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** @param {Payload} payload @returns {Set<number>} positions of characters the network does not know */
function unknownOf(payload) {
  return new Set(payload.sections.unknown ?? []);
}

/** @type {WeakMap<object, Overlay>} */
const OVERLAYS = new WeakMap();

/** @param {Message} message */
export default function show(message) {
  const overlay = OVERLAYS.get(message.parentElement) ?? new Overlay(message);
  OVERLAYS.set(message.parentElement, overlay);
  try {
    overlay.frame.failure.hidden = true;
    overlay.receive(message);
  } catch (error) {
    overlay.fail(error);
    console.error(error);
  }
  return () => {
    overlay.close();
    OVERLAYS.delete(message.parentElement);
  };
}
