// @ts-check
// The component: keeps what the reader looks at, hands it to the painters, and tells Python once things have settled.
//
// Streamlit calls the default export again whenever data or theme change, with the same parentElement. So the state
// lives in a map keyed by that element, a call only brings news, and the text is laid out again only if it is another.

import { colourRules, themeOf } from "./colour.js";
import { buildFrame } from "./frame.js";
import { listen } from "./input.js";
import { codePointsIn, findNext, moved, rowOf, screenColumn, unitsIn } from "./layout.js";
import { Page } from "./page.js";
import { decodePayload } from "./payload.js";
import { Rows, rowHeight } from "./rows.js";
import { Source } from "./source.js";
import { MOST_PINS, changedLook, changesChoice, likelyNext, neighbour, otherLayer, sameChoice, typedNeuron, withSignal } from "./view.js";
import { showCount, signalTitle } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {import("./view.js").Look} Look */
/** @typedef {{data: Uint8Array, parentElement: HTMLElement | ShadowRoot,
 *             setStateValue: (name: string, value: unknown) => void}} Message */

/** Python is told when nothing has changed for this long. */
const REPORT_AFTER_MS = 250;
const SPEAK_AFTER_MS = 300;

class Overlay {
  /** @param {Message} message */
  constructor({ parentElement, setStateValue }) {
    this.setStateValue = setStateValue;
    /** @type {Payload | null} */ this.payload = null;
    /** @type {string | null} which text is laid out */ this.key = null;
    /** @type {Choice} */ this.wanted = { neuron: "", signal: "" };
    /** @type {Choice} */ this.shown = this.wanted;
    /** @type {Choice | null} the last that Python sent */ this.served = null;
    /** @type {Choice[]} */ this.asked = [];
    /** @type {Look} */ this.look = { palette: "", colour: "neuron", expects: false, spaces: false, wrap: true, tab: 4, pins: [], mark: null };
    this.cursor = 0;
    /** The screen column that moving up and down keeps to. */ this.goal = 0;
    /** @type {number | null} where marking began */ this.anchor = null;
    /** Whether arrows mark without shift. */ this.isMarking = false;
    /** @type {number | null} */ this.pointer = null;
    this.isFilling = false;
    /** How often Python had to be asked because the fast way had no answer. */ this.lacks = 0;
    /** @type {"here" | "elsewhere" | null} a question about the mark, on its way to Python */ this.question = null;
    /** @type {"light" | "dark"} */ this.theme = "light";
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.report = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.speech = undefined;
    const act = (/** @type {import("./view.js").Action} */ action) => this.act(action);
    const pointAt = (/** @type {number | null} */ at) => this.pointAt(at);
    this.frame = buildFrame({ act, pointAt, jump: (at) => this.leap(at) });
    this.page = new Page(this.frame);
    this.source = new Source((kind, path) => this.arrived(kind, path));
    this.rows = new Rows(this.frame.scroller, this.frame.sheet);
    parentElement.append(this.frame.colours, this.frame.root);
    this.stopListening = listen(this.frame, {
      act, pointAt,
      press: (at, extend) => this.press(at, extend),
      scrolled: () => this.scrolled(),
      copied: () => this.copied(),
      layout: () => this.page.layout,
    });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.frame.scroller);
    document.fonts.ready.then(() => this.resize()); // the code font may come after the first layout
  }

  close() {
    clearTimeout(this.report);
    clearTimeout(this.speech);
    this.frame.overview.stop();
    this.observer.disconnect();
    this.stopListening();
    this.frame.root.remove();
    this.frame.colours.remove();
  }

  // News: from Python, or from what was fetched.

  /** A payload, a theme, or both. @param {Message} message */
  receive({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    const before = this.payload?.header;
    const payload = decodePayload(data);
    const { header } = payload;
    const isNewText = before === undefined || header.key !== before.key
      || JSON.stringify(before.documents) !== JSON.stringify(header.documents);
    const hasJumped = isNewText || header.jump !== before.jump;
    const theme = themeOf(getComputedStyle(this.frame.root).getPropertyValue("--st-background-color"));
    const isNewTheme = theme !== this.theme;
    this.theme = theme;
    this.frame.root.dataset.theme = theme;
    this.payload = payload;
    this.source.take(payload);
    this.follow(header, hasJumped);
    if (hasJumped) this.takeLook(header.look);
    if (isNewText) this.key = null;
    if (this.key === null) this.takeText(payload);
    else {
      const isOther = hasJumped && this.page.fit(this.look);
      this.show({ rebuild: isNewTheme || isOther || hasJumped });
      if (hasJumped) this.takePlace(header);
    }
  }

  /** Decides whether the reader's choice stands. @param {import("./payload.js").Header} header @param {boolean} hasJumped */
  follow({ neuron, signal }, hasJumped) {
    const incoming = { neuron, signal };
    if (hasJumped || changesChoice(this, incoming)) {
      this.wanted = incoming;
      clearTimeout(this.report);
    }
    if (sameChoice(incoming, this.wanted)) this.asked = [];
    this.served = incoming;
    if (this.source.trace(incoming) !== undefined) this.shown = incoming; // the newest answer, until what is wanted comes
  }

  /** @param {Look} look */
  takeLook(look) {
    this.look = { ...look };
    const { root } = this.frame;
    root.classList.toggle("marks", look.spaces);
    root.classList.toggle("unbroken", !look.wrap);
  }

  /** The text comes along, or is fetched. @param {Payload} payload */
  takeText(payload) {
    const { header } = payload;
    if (payload.text !== null) this.layOut(payload.text, payload.sections.unknown);
    else if (this.source.isBroken) this.tell({ needs: true });
    else {
      this.say(`Fetching ${showCount(header.chars)} characters …`);
      this.source.text(({ text, sections }) => {
        if (this.payload?.header.key === header.key) this.layOut(text ?? "", sections.unknown);
      });
      this.source.ask(this.wanted);
    }
  }

  /** @param {string} text @param {Iterable<number> | undefined} unknown */
  layOut(text, unknown) {
    const { header } = /** @type {Payload} */ (this.payload);
    this.cursor = 0;
    this.anchor = this.pointer = null;
    this.frame.scroller.scrollTop = 0;
    this.page.take(text, header, unknown ?? [], this.look);
    this.key = header.key;
    this.say(null);
    this.show({ rebuild: true });
    this.takePlace(header);
  }

  /** @param {import("./payload.js").Header} header */
  takePlace({ at, look: { mark } }) {
    this.anchor = null;
    const isFirst = mark !== null && at === mark[0]; // the cursor stands at one of the ends of a mark
    if (mark !== null) this.anchor = isFirst ? mark[1] - 1 : mark[0];
    const place = mark === null || isFirst ? at : mark[1] - 1;
    if (place !== null || this.cursor === 0) this.moveTo(place ?? 0, { centre: true, silent: true });
    if (mark !== null) this.rows.recolour(/** @type {Sight} */ (this.sight()));
    this.showMark();
  }

  /** @param {import("./source.js").Kind} kind @param {string} path */
  arrived(kind, path) {
    if (this.source.isBroken) this.tell({ needs: true });
    if (this.key === null) return;
    if (kind === "guesses") this.rows.guess();
    if (kind === "similar") this.pinSimilar();
    const { neuron, signal } = this.wanted;
    const isSeen = path === `trace/${neuron}/${signal}` || this.look.pins.some((pin) => path.startsWith(`trace/${pin}/`));
    if (isSeen || kind === "loss") this.show({ rebuild: false });
    else this.showPlace();
    if (kind === "trace" && this.source.lost(this.wanted)) this.tell({ needs: true });
  }

  /** @param {string | null} words about what is under way */
  say(words) {
    this.frame.loading.hidden = words === null;
    this.frame.loading.textContent = words ?? "";
  }

  /** The window, the fonts or the panel changed: the same characters stay on top. */
  resize() {
    const { scroller } = this.frame;
    if (this.key === null || scroller.clientWidth === 0) return;
    const top = this.topPlace();
    if (this.page.fit(this.look)) this.show({ rebuild: true, top });
    else this.show({ rebuild: false });
    this.rows.fill();
  }

  /** The position at the top of what is in sight. */
  topPlace() {
    return this.page.layout.places[Math.floor(this.frame.scroller.scrollTop / rowHeight(this.look))] ?? 0;
  }

  // Painting.

  /** Everything the painters need to know; null while nothing can be painted. @returns {Sight | null} */
  sight() {
    const { payload, source, look, wanted, theme, cursor } = this;
    if (payload === null || this.key === null) return null;
    const shown = [wanted, this.shown, { neuron: payload.header.neuron, signal: payload.header.signal }]
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

  /** @param {{rebuild: boolean, top?: number}} options top: the position that is to stay on top */
  show({ rebuild, top }) {
    if (this.key === null || this.payload === null) return;
    this.source.ask(this.wanted);
    const sight = this.sight();
    if (sight === null) return;
    const { bar, panel, scroller, overview, colours, root } = this.frame;
    const tables = `${this.look.palette} ${this.theme}`;
    if (colours.dataset.tables !== tables) colours.textContent = colourRules(sight);
    colours.dataset.tables = tables;
    if (rebuild) this.rows.rebuild(sight);
    else this.rows.recolour(sight);
    if (top !== undefined) scroller.scrollTop = rowOf(sight.layout, top) * rowHeight(this.look);
    bar.show(sight);
    panel.showNeuron(sight);
    overview.show(sight);
    this.rows.fill();
    this.showPlace();
    root.dataset.shown = sight.shown.neuron;
    root.dataset.signal = sight.shown.signal;
    root.dataset.key = this.key;
    scroller.setAttribute("aria-label", `${showCount(sight.layout.chars.length)} characters coloured by neuron `
      + `${sight.shown.neuron}, ${signalTitle(sight.shown.signal)}. Arrow keys move, question mark lists all keys.`);
    const { layers } = this.payload.header;
    const pins = this.look.pins.map((neuron) => withSignal(layers, neuron, this.wanted.signal));
    if (sameChoice(sight.shown, this.wanted)) this.source.prefetch([...pins, ...likelyNext(layers, this.wanted)]);
  }

  /** The panel at the pointer or cursor, and where that is in the whole text. */
  showPlace() {
    const sight = this.sight();
    if (sight === null) return;
    const { scroller, panel, overview } = this.frame;
    panel.showPlace(sight, this.pointer ?? this.cursor, this.pointer !== null);
    overview.showPlace(sight, { top: scroller.scrollTop, height: scroller.clientHeight, rowHeight: rowHeight(this.look) });
  }

  scrolled() {
    if (this.isFilling) return;
    this.isFilling = true;
    requestAnimationFrame(() => {
      this.isFilling = false;
      this.rows.fill();
      const sight = this.rows.sight, { scroller, overview } = this.frame;
      const place = { top: scroller.scrollTop, height: scroller.clientHeight, rowHeight: rowHeight(this.look) };
      if (sight !== null) overview.showPlace(sight, place);
    });
  }

  // What the reader does.

  /** @param {import("./view.js").Action} action */
  act(action) {
    if (this.payload === null || this.key === null) return;
    const { layers, palettes, only = null } = this.payload.header;
    const { type, move = "", extend = false, step = 0, place = 0, name } = action;
    switch (type) {
      case "move": return this.moveBy(move, extend || this.isMarking);
      case "neuron": return this.want(name === undefined ? neighbour(layers, this.wanted, step, only) : withSignal(layers, name, this.wanted.signal));
      case "layer": return this.want(otherLayer(layers, this.wanted, step, only));
      case "signal": {
        const signal = layers[Number(this.wanted.neuron.split(":")[0])].signals[place];
        return signal === undefined ? undefined : this.want({ ...this.wanted, signal });
      }
      case "peak": {
        const peak = this.frame.overview.peak(this.cursor, step);
        return peak === null ? undefined : this.leap(peak);
      }
      case "go": return this.frame.prompt.ask({ label: "go to neuron", hint: "1:42", answer: (typed) => this.goTo(typed) });
      case "search": return this.frame.prompt.ask({ label: "search", hint: "in the text", answer: (typed, way) => this.search(typed, way) });
      case "pin-all": return this.changeLook({ ...this.look, pins: Array.from(new Set([...this.look.pins, ...(name ?? "").split(",")])).slice(0, MOST_PINS) });
      case "pin-similar": return this.pinSimilar();
      case "mark": return this.toggleMarking();
      case "mark-all": return this.markAll();
      case "ask": return this.ask(name === "elsewhere" ? "elsewhere" : "here");
      case "help": this.frame.help.hidden = !this.frame.help.hidden; return undefined;
      case "escape": return this.escape();
      default: return this.changeLook(changedLook(this.look, action, { palettes: Object.keys(palettes), neuron: this.wanted.neuron }));
    }
  }

  /** @param {Choice} choice */
  want(choice) {
    this.wanted = choice;
    this.show({ rebuild: false });
    this.tell();
  }

  /** The row of the cursor stays where it is, or the top row where the cursor is out of sight. @param {Look} look */
  changeLook(look) {
    const { scroller } = this.frame;
    const before = rowHeight(this.look);
    const place = rowOf(this.page.layout, this.cursor) * before - scroller.scrollTop;
    const isInSight = place >= 0 && place < scroller.clientHeight - before;
    const kept = isInSight ? this.cursor : this.topPlace();
    const hasOtherRows = ["expects", "pins", "wrap", "tab"].some((name) => JSON.stringify(Reflect.get(look, name)) !== JSON.stringify(Reflect.get(this.look, name)));
    this.takeLook(look);
    this.page.fit(look);
    this.show({ rebuild: hasOtherRows });
    if (hasOtherRows) {
      scroller.scrollTop = rowOf(this.page.layout, kept) * rowHeight(look) - (isInSight ? place : 0);
      this.rows.fill();
    }
    this.tell();
  }

  /** @param {string} typed */
  goTo(typed) {
    const { layers, only = null } = /** @type {Payload} */ (this.payload).header;
    const choice = typedNeuron(layers, this.wanted, typed, only);
    if (typeof choice === "string") return choice;
    this.want(choice);
    return null;
  }

  /** Marks the next match. @param {string} typed @param {1 | -1} step */
  search(typed, step) {
    const { text } = this.page;
    const from = this.anchor === null ? this.cursor : Math.min(this.anchor, this.cursor);
    const start = unitsIn(text, from);
    const found = findNext(text, typed, this.anchor === null && step > 0 ? start : start + step, step);
    if (found < 0) return "not in this text";
    const at = codePointsIn(text, found);
    this.mark(null);
    this.mark(at);
    this.moveTo(at + Array.from(typed).length - 1, { centre: true });
    return `position ${showCount(at)}`;
  }

  pinSimilar() {
    const alike = this.source.similar(this.shown);
    if (alike !== undefined) this.act({ type: "pin-all", name: [this.shown.neuron, ...alike.slice(0, 4).map((one) => one.neuron)].join() });
  }

  escape() {
    this.frame.help.hidden = true;
    this.frame.bar.menu.root.removeAttribute("open");
    this.frame.prompt.close();
    this.isMarking = false;
    this.mark(null);
    this.showMark();
    this.tell();
  }

  /** @param {string} move @param {boolean} extend */
  moveBy(move, extend) {
    if (this.page.chars.length === 0) return;
    const page = Math.max(1, Math.floor(this.frame.scroller.clientHeight / rowHeight(this.look)) - 1);
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
    if (!silent) this.tell();
  }

  /** @param {import("./layout.js").Layout} layout @param {number} at @param {boolean} centre */
  reveal(layout, at, centre) {
    const { scroller } = this.frame;
    const step = rowHeight(this.look);
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
    this.tell();
  }

  copied() {
    const marked = this.marked();
    return marked === null ? null : this.page.chars.slice(marked[0], marked[1] + 1).join("");
  }

  /** A question about the mark, which another page answers. @param {"here" | "elsewhere"} question */
  ask(question) {
    const marked = this.marked();
    if (marked === null || marked[0] === marked[1]) return;
    this.question = question;
    this.tell();
  }

  /** @param {number | null} at */
  pointAt(at) {
    if (at === this.pointer || this.key === null) return;
    this.pointer = at;
    this.showPlace();
  }

  /** One message when things have settled, never one per key. @param {{needs?: boolean}} [options] needs: Python has to send what cannot be fetched */
  tell({ needs = false } = {}) {
    if (needs) this.lacks += 1;
    clearTimeout(this.report);
    this.report = setTimeout(() => {
      if (!sameChoice(this.wanted, this.served)) this.asked.push(this.wanted);
      const marked = this.marked();
      const mark = marked === null || marked[0] === marked[1] ? null : [marked[0], marked[1] + 1];
      this.setStateValue("view", {
        ...this.wanted, at: this.cursor, look: { ...this.look, mark }, ask: this.question,
        lacks: this.lacks, alone: this.source.isBroken,
      });
      this.question = null;
    }, REPORT_AFTER_MS);
  }

  /** @param {unknown} error */
  fail(error) {
    this.frame.failure.hidden = false;
    this.frame.failure.textContent = `The text cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
  }
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
