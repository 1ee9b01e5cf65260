// @ts-check
// The component: a text, one neuron, and what each gate does to it at the chosen character. The browser owns the
// character; Python hears of it once it has settled.

import { colourIndex, tableOf, themeOf } from "../overlay/colour.js";
import { decodePayload } from "../overlay/payload.js";
import { markOf, nameOf } from "../overlay/words.js";
import { draw, drawCell, HEIGHT, WIDTH } from "./picture.js";
import { eventAt, numbersAt, stepsOf } from "./steps.js";
import { drawStrip, stripHeight } from "./strip.js";

const SETTLED = 350; // milliseconds without a move until Python is told
const TEMPO = 420; // milliseconds a character while playing

/** @type {WeakMap<HTMLElement, Gates>} */
const mounted = new WeakMap();

/** @param {{parentElement: HTMLElement, data: Uint8Array, setStateValue: (name: string, value: unknown) => void}} component */
export default function mount(component) {
  const root = /** @type {HTMLElement} */ (component.parentElement.querySelector("[data-gates]"));
  let gates = mounted.get(root);
  if (gates === undefined) {
    gates = new Gates(root);
    mounted.set(root, gates);
  }
  gates.take(component.data, (at) => component.setStateValue("at", at));
  return () => {
    gates?.stop();
    mounted.delete(root);
  };
}

class Gates {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.jump = null;
    this.place = 0;
    this.playing = 0;
    this.settling = 0;
    this.strip = /** @type {SVGSVGElement} */ (draw(root, "svg", { class: "strip" }));
    this.controls = this.buttons();
    this.event = this.add("p", "event");
    this.cell = /** @type {SVGSVGElement} */ (draw(root, "svg", { class: "cell", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }));
    this.steps = this.add("div", "steps");
    this.spoken = this.add("p", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    root.tabIndex = 0;
    root.setAttribute("role", "application");
    root.setAttribute("aria-label", "Step through the cell. Left and right arrow move along the text, space plays.");
    root.addEventListener("keydown", (event) => this.key(event));
    this.strip.addEventListener("click", (event) => {
      const place = /** @type {Element} */ (event.target).getAttribute("data-place");
      if (place !== null) this.go(Number(place));
      root.focus();
    });
    this.observer = new ResizeObserver(() => this.story && this.paint());
    this.observer.observe(root);
  }

  /** @param {string} tag @param {string} name */
  add(tag, name) {
    const element = document.createElement(tag);
    element.className = name;
    this.root.append(element);
    return element;
  }

  buttons() {
    const bar = this.add("div", "controls");
    for (const [label, title, run] of /** @type {[string, string, () => void][]} */ ([
      ["◀", "one character back (←)", () => this.go(this.place - 1)],
      ["▶", "one character on (→)", () => this.go(this.place + 1)],
      ["play", "play and pause (space)", () => this.play()],
      ["◂ event", "to the event before (p)", () => this.toEvent(-1)],
      ["event ▸", "to the next event (n)", () => this.toEvent(1)],
    ])) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.title = title;
      button.setAttribute("aria-label", title);
      button.addEventListener("click", run);
      bar.append(button);
    }
    this.where = document.createElement("span");
    bar.append(this.where);
    return bar;
  }

  /** @param {Uint8Array} data @param {(at: number) => void} tell */
  take(data, tell) {
    const payload = decodePayload(data), { header, sections } = payload;
    const isNew = this.payload === undefined || header.key !== this.payload.header.key || header.jump !== this.jump;
    const at = isNew ? header.at : this.story.offset + this.place; // another part of the same text leaves the reader where they are
    this.payload = payload;
    this.tell = tell;
    const traces = /** @type {Record<string, Float32Array>} */ ({});
    for (const signal of header.signals) traces[signal] = /** @type {Float32Array} */ (sections[`trace/${signal}`]);
    this.story = {
      text: Array.from(/** @type {string} */ (payload.text)), offset: header.offset, kind: header.kind, traces,
      label: /** @type {Uint8Array | null} */ (sections.label ?? null), concept: header.concept, starts: new Set(header.starts),
    };
    const place = at - header.offset, last = this.story.text.length - 1;
    const isHere = place >= 0 && place <= last;
    this.place = Math.max(0, Math.min(isHere ? place : header.at - header.offset, last));
    this.jump = header.jump;
    for (const button of this.controls.querySelectorAll("button")) button.hidden = button.textContent?.includes("event") === true && this.story.label === null;
    this.paint();
  }

  /** @param {number} place */
  go(place) {
    const last = this.story.text.length - 1;
    const next = Math.max(0, Math.min(place, last));
    if (next === this.place && this.playing) this.play();
    this.place = next;
    this.paint();
    if (!this.playing) this.settle();
  }

  /** Tells Python where the reader is once nothing has moved for a while; while playing everything moves. */
  settle() {
    clearTimeout(this.settling);
    this.settling = window.setTimeout(() => this.tell?.(this.story.offset + this.place), SETTLED);
  }

  /** @param {number} direction */
  toEvent(direction) {
    for (let place = this.place + direction; place >= 0 && place < this.story.text.length; place += direction) {
      if (eventAt(this.story, place) !== null) return this.go(place);
    }
    return undefined;
  }

  play() {
    if (this.playing) {
      this.pause();
      this.settle();
    } else {
      clearTimeout(this.settling);
      this.playing = window.setInterval(() => this.go(this.place + 1), TEMPO);
    }
    const button = this.controls.children[2];
    button.textContent = this.playing ? "pause" : "play";
  }

  pause() {
    clearInterval(this.playing);
    this.playing = 0;
  }

  /** Nothing goes on after it has left the page. */
  stop() {
    this.pause();
    clearTimeout(this.settling);
    this.observer.disconnect();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 10 : 1;
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowLeft: () => this.go(this.place - far),
      ArrowRight: () => this.go(this.place + far),
      Home: () => this.go(0),
      End: () => this.go(this.story.text.length - 1),
      " ": () => this.play(),
      n: () => this.toEvent(1),
      p: () => this.toEvent(-1),
    };
    event.stopPropagation(); // Streamlit reruns the app on r and clears its cache on c
    const move = moves[event.key];
    if (move === undefined || (event.key === " " && event.target !== this.root)) return;
    event.preventDefault();
    move();
  }

  paint() {
    const { header } = this.payload, { story, place } = this;
    const theme = themeOf(getComputedStyle(this.root).getPropertyValue("--st-background-color") || "#ffffff");
    const tables = { payload: this.payload, theme, palette: header.palette };
    /** @type {import("./picture.js").Paint} */
    const paint = (value, kind, reach = 1) => {
      const entry = colourIndex(value, kind === "sequential" ? { kind, low: 0, high: 1 } : { kind, low: -reach, high: reach });
      if (entry < 0) return { fill: "transparent", ink: "inherit" };
      const inks = this.payload.sections[`ink/${header.palette}/${kind}/${theme}`];
      const css = (/** @type {ArrayLike<number>} */ table) => `rgb(${table[3 * entry]}, ${table[3 * entry + 1]}, ${table[3 * entry + 2]})`;
      return { fill: css(tableOf(tables, kind)), ink: css(inks) };
    };
    this.strip.style.height = `${stripHeight(story)}px`;
    drawStrip(this.strip, story, place, header.signal, paint, header.reach);
    const numbers = numbersAt(story, place), guess = this.guess();
    drawCell(this.cell, story.kind, numbers, { reads: markOf(story.text[place]), expects: guess }, paint, header.reach);
    const happened = eventAt(story, place);
    this.event.textContent = happened ?? "\u00a0";
    if (this.where) this.where.textContent = `character ${(story.offset + place).toLocaleString("en-US")} of ${header.chars.toLocaleString("en-US")}: ${nameOf(story.text[place])}`;
    const steps = stepsOf(story.kind, numbers);
    this.steps.replaceChildren(...steps.map(({ title, words }) => {
      const step = document.createElement("div"), head = document.createElement("h4"), said = document.createElement("p");
      head.textContent = title;
      said.textContent = words;
      step.append(head, said);
      return step;
    }));
    const sentence = [nameOf(story.text[place]), happened, ...steps.map((step) => step.words)].filter(Boolean).join(" ");
    this.cell.setAttribute("aria-label", sentence);
    if (!this.playing) this.spoken.textContent = sentence;
  }

  /** The likeliest next character and its probability. */
  guess() {
    const { header, sections } = this.payload;
    const ids = sections["guess/ids"], chances = sections["guess/probabilities"];
    if (ids === undefined) return null;
    const char = header.symbols[ids[this.place]];
    return `${markOf(char)}  ${(/** @type {Float32Array} */ (chances)[this.place]).toFixed(2)}`;
  }
}
