// @ts-check
// The component: takes what Python sends, turns actions into another sight, and tells Python once things have settled.
//
// Streamlit calls the default export again whenever data or theme change, with the same parentElement. So the state
// lives in a map keyed by that element, a call only brings news, and the text is laid out again only if it is another.

import { themeOf } from "./colour.js";
import { draftPayload, draftTrace, rememberWritten } from "./draft.js";
import { listen } from "./input.js";
import { codePointsIn, countMatches, findNext, rowOf, unitsIn } from "./layout.js";
import { decodePayload } from "./payload.js";
import { Reader } from "./reader.js";
import { rowHeight } from "./rows.js";
import { MOST_PINS, changedLook, changesChoice, mayGrow, neighbour, otherLayer, sameChoice, typedNeuron, withSignal } from "./view.js";
import { ancestorsOf, distanceFromTop } from "./viewport.js";
import { showCount } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {import("./view.js").Look} Look */
/** @typedef {{data: Uint8Array, parentElement: HTMLElement | ShadowRoot,
 *             setStateValue: (name: string, value: unknown) => void}} Message */

/** Python is told when nothing has changed for this long: its answer takes the page a while and should not meet the next key. */
const REPORT_AFTER_MS = 400;
/** A number is taken for the whole one when no digit has followed for this long. */
const TYPED_AFTER_MS = 60;
const FULL = `${MOST_PINS} neurons are pinned: take one off first`;
/** Characters that can be added to a text that is too long to be written in as a whole. */
const ROOM_TO_WRITE = 250;

class Overlay extends Reader {
  /** @param {Message} message */
  constructor({ parentElement, setStateValue }) {
    const act = (/** @type {import("./view.js").Action} */ action) => this.act(action);
    super((kind, path) => this.arrived(kind, path), {
      act, pointAt: (at) => this.pointAt(at), jump: (at) => this.leap(at),
      writer: {
        address: () => `${(this.base ?? this.payload)?.header.source}/draft/${this.editor}/${this.wanted.neuron}/${this.wanted.signal}`,
        written: (text, answer) => this.takeDraft(text, answer),
        caret: (at) => { if (this.base !== null) this.press(at, false); },
        left: () => this.frame.scroller.focus(),
        kept: (name, text) => this.keep(name, text),
        dropped: () => this.dropDraft(),
      },
    });
    /** @type {Payload | null} what Python sent, while a draft is shown in its place */ this.base = null;
    this.editor = Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("-");
    this.versions = 0;
    /** @type {string | null} what is on its way to the reader's own texts */ this.kept = null;
    /** @type {Choice | null} whose like are to be pinned once they are known */ this.likened = null;
    /** Whether it has shown no text yet. */ this.isNew = true;
    this.setStateValue = setStateValue;
    /** @type {Choice | null} the last that Python sent */ this.served = null;
    /** @type {Choice[]} */ this.asked = [];
    /** How often Python had to be asked because the fast way had no answer. */ this.lacks = 0;
    /** @type {"here" | "elsewhere" | null} a question about the mark, on its way to Python */ this.question = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.report = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.foreseen = undefined;
    parentElement.append(this.frame.colours, this.frame.root);
    this.stopListening = listen(this.frame, {
      act,
      pointAt: (at) => this.pointAt(at),
      press: (at, extend) => this.press(at, extend),
      scrolled: () => this.scrolled(),
      copied: () => this.copied(),
      layout: () => this.page.layout,
    });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.frame.scroller);
    document.fonts.ready.then(() => this.resize()); // the code font may come after the first layout
    this.onWindow = () => this.fillWindow();
    window.addEventListener("resize", this.onWindow);
    this.around = new ResizeObserver(this.onWindow); // what stands above it may come and go, as a bar of progress does
    for (const one of ancestorsOf(this.frame.root)) this.around.observe(one);
    this.onLine = () => {
      this.source.mend();
      if (this.frame.editor.hasFailed) this.frame.editor.send();
      this.show({ rebuild: false });
    };
    window.addEventListener("online", this.onLine);
  }

  close() {
    this.source.close();
    this.frame.editor.close();
    this.frame.panel.files.stop();
    clearTimeout(this.report);
    clearTimeout(this.foreseen);
    clearTimeout(this.speech);
    this.later.stop();
    this.frame.overview.stop();
    this.observer.disconnect();
    this.around.disconnect();
    window.removeEventListener("resize", this.onWindow);
    window.removeEventListener("online", this.onLine);
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
    const isNewTheme = this.takeTheme();
    const begun = this.base?.header ?? before;
    if (begun !== undefined && !this.goesOn(begun, header)) this.endDraft();
    if (this.base !== null) {
      const { jump, source } = this.base.header, isSame = header.jump === jump && header.source === source;
      this.base = isSame ? payload : null; // else the text it began as is shown until what is written has been read anew
      if (isSame) { // the reader's own draft stays in sight
        if (isNewTheme) this.show({ rebuild: true });
        return;
      }
    }
    const isNewText = before === undefined || header.key !== before.key
      || JSON.stringify(before.documents) !== JSON.stringify(header.documents);
    const hasJumped = isNewText || header.jump !== before.jump;
    this.payload = payload;
    this.fillWindow();
    this.source.take(payload);
    this.follow(header, hasJumped);
    if (this.frame.editor.isOpen && header.source !== before?.source) this.frame.editor.send();
    if (hasJumped) this.takeLook(header.look);
    if (isNewText) this.key = null;
    if (this.key === null) this.takeText(payload);
    else {
      const isOther = hasJumped && this.page.fit(this.look);
      this.show({ rebuild: isNewTheme || isOther || hasJumped });
      if (hasJumped) this.takePlace(header);
    }
  }

  /**
   * Whether what is being written goes on with another message: the text it began as is the same, and it is not kept.
   * @param {import("./payload.js").Header} before
   * @param {import("./payload.js").Header} header
   */
  goesOn(before, header) {
    return header.key === before.key && header.editable > 0 && !(this.isKeeping && header.jump !== before.jump);
  }

  /** Whether nothing was written since the text was handed over to be kept. */
  get isKeeping() {
    return this.kept !== null && this.kept === this.frame.editor.text;
  }

  /** Another text takes the draft's place: the one it was kept as, or one that the reader went to. */
  endDraft() {
    if (this.isKeeping) rememberWritten(null);
    this.kept = null;
    this.base = null;
    this.frame.editor.close();
  }

  /** Whether the page has become light or dark. */
  takeTheme() {
    const { root } = this.frame, before = this.theme;
    this.theme = themeOf(getComputedStyle(root).getPropertyValue("--st-background-color"));
    root.dataset.theme = this.theme;
    return this.theme !== before;
  }

  /** Reaches from where it stands to the bottom of the window, unless the page gave it a height. */
  fillWindow() {
    const { root } = this.frame;
    root.classList.toggle("fills", this.payload?.header.fills ?? false);
    root.style.setProperty("--above", `${Math.round(distanceFromTop(root))}px`);
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
      this.source.ask(this.meanwhile(this.wanted));
    }
  }

  /** Opens a field beside the text with all of it, or with as much as can be read while it is written. */
  write() {
    const { editor } = this.frame, header = (this.base ?? this.payload)?.header;
    if (header === undefined || header.editable === 0) return;
    if (editor.isOpen) return editor.focus();
    const { chars } = this.page, marked = this.marked(), most = header.editable - ROOM_TO_WRITE;
    const start = chars.length <= most ? 0 : marked?.[0] ?? this.topPlace();
    const name = header.documents.findLast((one) => one.start <= start)?.name ?? "draft.txt";
    const text = chars.slice(start, start + most).join("");
    editor.open(text, { name, caret: unitsIn(text, Math.max(this.cursor - start, 0)), most: header.editable });
  }

  /** A version of the draft takes the place of the text, as far as it has been read. @param {string} text @param {Payload} answer */
  takeDraft(text, answer) {
    const base = this.base ??= /** @type {Payload} */ (this.payload);
    const { neuron, signal } = answer.header; // not always what is wanted by now
    const sight = this.sight();
    const before = { text: this.page.text, trace: sight !== null && sameChoice(sight.shown, { neuron, signal }) ? sight.trace : undefined };
    this.versions += 1;
    const { name: { value: name } } = this.frame.editor;
    const draft = this.payload = draftPayload(base, { key: `draft ${this.versions}`, name, text }, answer);
    const { ready, key, chars } = draft.header;
    if (!ready.includes(this.wanted.signal)) this.wanted = { neuron: this.wanted.neuron, signal };
    this.shown = { neuron, signal };
    this.page.take(text, draft.header, answer.sections.unknown, this.look);
    this.source.take(draft);
    this.source.keep(`${neuron}/${signal}`, draftTrace(answer, this.page.chars, before));
    this.source.takeLoss(answer.sections.loss, chars);
    this.key = key;
    this.say(null);
    this.anchor = null;
    this.cursor = Math.min(this.frame.editor.caret(), chars - 1);
    this.show({ rebuild: "changed" });
    this.moveTo(this.cursor, { centre: true, silent: true });
  }

  /** @param {string} name @param {string} text */
  keep(name, text) {
    this.kept = text;
    this.tell({ keep: { name, text } });
  }

  dropDraft() {
    const { base } = this;
    this.kept = null;
    this.endDraft();
    if (base !== null) {
      this.payload = base;
      this.source.take(base);
      this.key = null;
      this.takeText(base);
      this.tell(); // what a draft has not of signals is not wanted any more
    }
    this.frame.scroller.focus();
  }

  begun() {
    this.takePlace(/** @type {Payload} */ (this.payload).header);
  }

  /** @param {string} text @param {Iterable<number> | undefined} unknown */
  layOut(text, unknown) {
    const { header } = /** @type {Payload} */ (this.payload);
    if (this.isNew) this.greet();
    this.cursor = 0;
    this.anchor = this.pointer = null;
    this.isMarking = false;
    this.viewport.scrollTo(0);
    this.page.take(text, header, unknown ?? [], this.look);
    this.key = header.key;
    this.say(null);
    this.show({ rebuild: true });
    this.takePlace(header);
  }

  /** The first text takes the keys, where the reader does nothing else with them and no other page lies around this one. */
  greet() {
    this.isNew = false;
    const { activeElement } = document;
    const isFree = activeElement === null || activeElement === document.body || activeElement instanceof HTMLAnchorElement;
    if (isFree && window === window.top) this.takeKeys();
  }

  /** @param {import("./payload.js").Header} header */
  takePlace({ at, look: { mark } }) {
    this.mark(null);
    const isFirst = mark !== null && at === mark[0]; // the cursor stands at one of the ends of a mark
    if (mark !== null) this.anchor = isFirst ? mark[1] - 1 : mark[0];
    const place = mark === null || isFirst ? at : mark[1] - 1;
    if (place !== null || this.cursor === 0) this.moveTo(place ?? 0, { centre: true, silent: true });
    const sight = this.sight();
    if (mark !== null && sight !== null) this.rows.recolour(sight);
    this.showMark();
  }

  /** @param {import("./source.js").Kind} kind @param {string} path */
  arrived(kind, path) {
    if (this.source.isBroken || this.source.missing.has("text")) this.tell({ needs: true });
    if (this.key === null) return;
    const isBlock = kind === "values" || kind === "guesses" || kind === "loss";
    if (isBlock && this.source.lacks(path)) this.tell({ needs: true });
    if (kind === "guesses") this.rows.guess();
    if (kind === "similar") this.pinSimilar();
    const { neuron, signal } = this.meanwhile(this.wanted);
    const isSeen = path === `trace/${neuron}/${signal}` || this.look.pins.some((pin) => path.startsWith(`trace/${pin}/`));
    if (isSeen || kind === "loss" || kind === "ready") this.show({ rebuild: false });
    else if (kind !== "trace" || path.startsWith(`trace/${this.shown.neuron}/`)) this.showPlace(); // else it was fetched ahead
    if (kind === "trace" && this.source.lost(this.wanted)) this.tell({ needs: true });
  }

  /** @param {string | null} words about what is under way */
  say(words) {
    this.frame.loading.hidden = words === null;
    this.frame.loading.textContent = words ?? "";
  }

  /** The window, the fonts or the panel changed: the same characters stay on top. */
  resize() {
    this.viewport.moved();
    if (this.key === null || this.frame.scroller.clientWidth === 0) return;
    const top = this.topPlace();
    if (this.page.fit(this.look)) this.show({ rebuild: true, top });
    else this.show({ rebuild: false });
    this.rows.fill();
  }

  // What the reader does.

  /** @param {import("./view.js").Action} action */
  act(action) {
    if (this.payload === null || this.key === null) return undefined;
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
        const sight = this.sight();
        const peak = sight === null ? null : this.frame.overview.peak(sight.trace, this.cursor, step);
        return peak === null ? undefined : this.leap(peak);
      }
      case "file": {
        const start = this.frame.panel.files.neighbour(this.cursor, step);
        return start === null ? undefined : this.leap(start);
      }
      case "go": return this.frame.prompt.ask({ label: "go to neuron", hint: "1:42", answer: (typed) => this.goTo(typed), typing: (typed) => this.foresee(typed) });
      case "search": return this.frame.prompt.ask({ label: "search", hint: "in the text", answer: (typed, way) => this.search(typed, way) });
      case "pin-all": return this.pinAll((name ?? "").split(","));
      case "pin-similar": this.likened = this.shown; return this.pinSimilar();
      case "write": return this.write();
      case "mark": return this.toggleMarking();
      case "mark-all": return this.markAll();
      case "ask": return this.ask(name === "elsewhere" ? "elsewhere" : "here");
      case "help": return this.toggleHelp();
      case "escape": return this.escape();
      case "expects":
        if (this.look.expects || this.source.hasGuesses()) break;
        return this.frame.bar.say("what the network expected is not kept with this text");
      default:
    }
    const look = changedLook(this.look, action, { palettes: Object.keys(palettes), neuron: this.wanted.neuron });
    if (type === "pin" && look.pins === this.look.pins) return this.frame.bar.say(FULL);
    return this.changeLook(look);
  }

  /** @param {Choice} choice */
  want(choice) {
    this.wanted = choice;
    this.show({ rebuild: false });
    this.tell();
  }

  /** The row of the cursor stays where it is, or the top row where the cursor is out of sight. @param {Look} look */
  changeLook(look) {
    const { viewport } = this;
    const before = rowHeight(this.look);
    const place = rowOf(this.page.layout, this.cursor) * before - viewport.top;
    const isInSight = place >= 0 && place < viewport.height - before;
    const kept = isInSight ? this.cursor : this.topPlace();
    const hasOtherRows = ["expects", "pins", "wrap", "tab"].some((name) => JSON.stringify(Reflect.get(look, name)) !== JSON.stringify(Reflect.get(this.look, name)));
    this.takeLook(look);
    this.page.fit(look);
    this.show({ rebuild: hasOtherRows });
    if (hasOtherRows) {
      viewport.scrollTo(rowOf(this.page.layout, kept) * rowHeight(look) - (isInSight ? place : 0));
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

  /** Fetches the neuron that is being typed: at once where no longer number can follow, else after a pause. @param {string} typed */
  foresee(typed) {
    clearTimeout(this.foreseen);
    const { layers, only = null } = /** @type {Payload} */ (this.payload).header;
    const choice = typedNeuron(layers, this.wanted, typed, only);
    if (typeof choice === "string") return;
    const ask = () => this.source.ask(this.meanwhile(choice));
    if (mayGrow(layers, choice)) this.foreseen = setTimeout(ask, TYPED_AFTER_MS);
    else ask();
  }

  /** Marks the next match. @param {string} typed @param {1 | -1} step */
  search(typed, step) {
    if (typed === "") return "";
    const { text } = this.page;
    const from = this.anchor === null ? this.cursor : Math.min(this.anchor, this.cursor);
    const start = unitsIn(text, from);
    const found = findNext(text, typed, this.anchor === null && step > 0 ? start : start + step, step);
    if (found < 0) return "not in this text";
    const at = codePointsIn(text, found);
    this.mark(null);
    this.mark(at);
    this.moveTo(at + Array.from(typed).length - 1, { centre: true });
    const [number, count] = countMatches(text, typed, found);
    return `${showCount(number)} of ${showCount(count)}${count > 1 ? " · Enter: next" : ""}`;
  }

  /** As many of them as there is room for. @param {string[]} neurons */
  pinAll(neurons) {
    const wanted = Array.from(new Set([...this.look.pins, ...neurons])), pins = wanted.slice(0, MOST_PINS);
    if (pins.length > this.look.pins.length) this.changeLook({ ...this.look, pins });
    if (wanted.length > MOST_PINS) this.frame.bar.say(FULL);
  }

  pinSimilar() {
    const { likened } = this;
    if (likened === null) return;
    const alike = this.source.similar(likened);
    if (alike === undefined && this.source.awaits("similar")) return;
    this.likened = null;
    if (alike === undefined) this.frame.bar.say(`what is like ${likened.neuron} cannot be had now`);
    else this.act({ type: "pin-all", name: [likened.neuron, ...alike.slice(0, 4).map((one) => one.neuron)].join() });
  }

  /** The card of keys has the focus while it is open: it is read out, and keys still come here. */
  toggleHelp() {
    const { help } = this.frame;
    help.hidden = !help.hidden;
    if (help.hidden) this.takeKeys();
    else help.focus({ preventScroll: true });
  }

  escape() {
    this.frame.help.hidden = true;
    this.frame.bar.menu.root.removeAttribute("open");
    this.frame.prompt.close();
    this.isMarking = false;
    this.mark(null);
    this.showMark();
    this.takeKeys();
    this.tell();
  }

  /** A question about the mark, which another page answers. @param {"here" | "elsewhere"} question */
  ask(question) {
    const marked = this.marked();
    if (marked === null || marked[0] === marked[1]) return;
    this.question = question;
    this.tell();
  }

  changed() {
    this.tell();
  }

  /**
   * One message when things have settled, never one per key; a draft is the reader's own until it is kept, at once.
   * @param {{needs?: boolean, keep?: {name: string, text: string} | null}} [options] needs: Python has to send what
   *   cannot be fetched
   */
  tell({ needs = false, keep = null } = {}) {
    if (this.base !== null && keep === null) return;
    if (needs) this.lacks += 1;
    clearTimeout(this.report);
    const send = () => {
      if (!sameChoice(this.wanted, this.served)) this.asked.push(this.wanted);
      const marked = this.marked();
      const mark = marked === null || marked[0] === marked[1] ? null : [marked[0], marked[1] + 1];
      this.setStateValue("view", {
        ...this.wanted, at: this.cursor, look: { ...this.look, mark }, ask: this.question, keep,
        lacks: this.lacks, alone: this.source.isBroken,
      });
      this.question = null;
    };
    if (keep === null) this.report = setTimeout(send, REPORT_AFTER_MS);
    else send(); // nothing that comes meanwhile may undo it
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
