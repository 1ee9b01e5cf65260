// @ts-check
// What is at hand and what is fetched: traces, loss, guesses, a long text. serve.py answers beside Streamlit, in a few
// milliseconds; where it cannot be reached, the page stays correct because Python is asked to send everything along.

import { Trace } from "./colour.js";
import { decodePayload, guessesIn } from "./payload.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./payload.js").Scale} Scale */
/** @typedef {import("./view.js").Choice} Choice */
/** @typedef {"text" | "trace" | "values" | "loss" | "guesses" | "similar" | "ready"} Kind */

/** Characters of one answer about values or guesses; serve.py has the same number. */
const BLOCK = 4096;
const MOST_BLOCKS = 64;
/** Gates are read behind the page: how soon to ask for them again, and how often. */
const ASK_AGAIN_MS = 1500;
const MOST_QUESTIONS = 40;
/** Traces that were not looked at for longest are forgotten above this. */
const MOST_BYTES = 128e6;
const AT_ONCE = 2;
/** After a connection that failed the same is asked once more. */
export const RETRY_AFTER_MS = 1000;
/** How long Python is asked for everything where the fast way has failed, until it is tried again. */
const MEND_AFTER_MS = 10_000;
/** What the reader can do without: a server that stumbles over it may still answer everything else. */
const EXTRAS = ["similar", "guesses"];

export class Source {
  /** @param {(kind: Kind, path: string) => void} arrived called when something came, or cannot come */
  constructor(arrived) {
    this.arrived = arrived;
    /** @type {Payload | null} */ this.payload = null;
    /** Whether the fast way fails altogether, for now. */
    this.isBroken = false;
    this.isClosed = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.mending = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.waiting = undefined;
    this.forget();
  }

  forget() {
    this.mend();
    /** @type {Map<string, Trace>} the one looked at last comes last */ this.traces = new Map();
    /** @type {Map<string, Payload>} of values and guesses, by what they were asked for */ this.blocks = new Map();
    /** @type {Trace | undefined} */ this.losses = undefined;
    /** @type {Map<string, {neuron: string, correlation: number}[]>} */ this.alike = new Map();
    /** @type {Set<string>} */ this.pending = new Set();
    /** @type {Set<string>} what is no longer there */ this.missing = new Set();
    /** @type {Set<string>} what Python was asked for because it was not there */ this.lacking = new Set();
    /** @type {Choice[]} */ this.queue = [];
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.questions = 0;
  }

  /** Values were fetched of the signals there were; where there are more, they are fetched again. */
  forgetValues() {
    for (const path of this.blocks.keys()) if (path.startsWith("values/")) this.blocks.delete(path);
  }

  /** Nothing is fetched any more. */
  close() {
    this.isClosed = true;
    this.forget();
  }

  /** The fast way may work again. */
  mend() {
    clearTimeout(this.mending);
    this.isBroken = false;
  }

  /** Python is asked instead, until the fast way is tried again. */
  giveUp() {
    this.isBroken = true;
    clearTimeout(this.mending);
    this.mending = setTimeout(() => this.mend(), MEND_AFTER_MS);
  }

  /** @param {Payload} payload */
  take(payload) {
    const { header, sections } = payload;
    const before = this.payload?.header;
    if (before?.key !== header.key || before.source !== header.source) this.forget();
    else if (before.ready.length !== header.ready.length) this.forgetValues();
    this.payload = payload;
    this.missing.clear();
    for (const [name, scale] of Object.entries(header.scales)) {
      const values = /** @type {Float32Array | undefined} */ (sections[`trace/${name}`]);
      if (values !== undefined && !(this.traces.get(name)?.values)) this.keep(name, new Trace(values, scale));
    }
    if (sections.loss !== undefined) this.takeLoss(sections.loss);
  }

  /** @param {Choice} choice @returns {Trace | undefined} */
  trace({ neuron, signal }) {
    const name = `${neuron}/${signal}`;
    const found = this.traces.get(name);
    if (found === undefined) return undefined;
    this.traces.delete(name);
    this.traces.set(name, found);
    return found;
  }

  /** @param {string} name @param {Trace} trace */
  keep(name, trace) {
    this.traces.delete(name);
    this.traces.set(name, trace);
    let bytes = 0;
    for (const one of this.traces.values()) bytes += one.bytes;
    for (const [oldest, one] of this.traces) {
      if (bytes <= MOST_BYTES || this.traces.size <= 2) break;
      this.traces.delete(oldest);
      bytes -= one.bytes;
    }
  }

  /** Whether Python has to be asked for a trace that could be fetched a moment ago. @param {Choice} choice */
  lost({ neuron, signal }) {
    return this.missing.has(`trace/${neuron}/${signal}`);
  }

  /** Whether Python has to be asked for something else that is no longer there; once for each. @param {string} path */
  lacks(path) {
    if (!this.missing.has(path) || this.lacking.has(path)) return false;
    this.lacking.add(path);
    return true;
  }

  /** Whether an answer of a kind is under way. @param {Kind} kind */
  awaits(kind) {
    return Array.from(this.pending).some((path) => path.startsWith(kind));
  }

  /** @param {Choice} choice */
  ask({ neuron, signal }) {
    if (this.traces.has(`${neuron}/${signal}`) || !this.payload?.header.ready.includes(signal)) return;
    this.fetch("trace", `trace/${neuron}/${signal}`, ({ header, sections }) => {
      const { scale, reach } = /** @type {{scale: Scale, reach: [number, number] | null}} */ (/** @type {unknown} */ (header));
      this.keep(`${neuron}/${signal}`, new Trace(/** @type {Uint8Array} */ (sections.trace), scale, reach));
    });
  }

  /** Fetches what the reader may want next, one after another; a new list takes the place of the old. @param {Choice[]} choices */
  prefetch(choices) {
    this.queue = choices.filter((choice) => this.trace(choice) === undefined);
    this.goOn();
  }

  goOn() {
    while (this.queue.length > 0 && this.pending.size < AT_ONCE) this.ask(/** @type {Choice} */ (this.queue.shift()));
  }

  /** @returns {Trace | undefined} nats paid for each character */
  loss() {
    if (this.losses === undefined) this.fetch("loss", "loss", ({ sections }) => this.takeLoss(sections.loss));
    return this.losses;
  }

  /** @param {Payload["sections"][string]} values @param {number} [length] of the text, where values are of its beginning */
  takeLoss(values, length = values.length) {
    const { surprise } = /** @type {Payload} */ (this.payload).header;
    const all = new Float32Array(length).fill(NaN);
    all.set(values);
    this.losses = new Trace(all, surprise, undefined, values.length);
  }

  /**
   * What the network computed for one character, exactly; undefined while it is under way, or not recorded.
   * @param {Choice} choice
   * @param {number} at
   * @returns {number | undefined}
   */
  value({ neuron, signal }, at) {
    const values = this.traces.get(`${neuron}/${signal}`)?.values;
    if (values) return values[at];
    if (!this.payload?.header.ready.includes(signal)) {
      this.awaitSignals();
      return undefined;
    }
    const place = Math.floor(at / BLOCK);
    const sections = this.block("values", `values/${neuron}/${place}`)?.sections;
    return sections === undefined ? undefined : sections[signal]?.[at - place * BLOCK];
  }

  /** Asks now and then whether the network has read the text for its other signals. */
  awaitSignals() {
    if (this.waiting !== undefined || this.questions === MOST_QUESTIONS) return;
    this.questions += 1;
    this.waiting = setTimeout(() => {
      this.waiting = undefined;
      this.fetch("ready", "ready", (answer) => {
        const { header } = /** @type {Payload} */ (this.payload);
        if (answer.header.ready.length <= header.ready.length) return;
        header.ready = answer.header.ready;
        this.forgetValues();
      });
    }, ASK_AGAIN_MS);
  }

  /** @param {Kind} kind @param {string} path @returns {Payload | undefined} */
  block(kind, path) {
    if (!this.blocks.has(path)) {
      const known = this.payload?.header.ready.length;
      this.fetch(kind, path, (answer) => {
        if (kind === "values" && known !== this.payload?.header.ready.length) return; // other signals came meanwhile
        this.blocks.set(path, answer);
        if (this.blocks.size > MOST_BLOCKS) this.blocks.delete(/** @type {string} */ (this.blocks.keys().next().value));
      });
    }
    return this.blocks.get(path);
  }

  hasGuesses() {
    return (this.payload?.header.symbols.length ?? 0) > 0;
  }

  /** What the network expected after the character at `at`; undefined while it is under way. @param {number} at */
  guesses(at) {
    if (this.payload === null || !this.hasGuesses()) return [];
    const { guesses: k, symbols } = this.payload.header;
    if (k > 0) return guessesIn(this.payload.sections, k, symbols, at);
    const number = Math.floor(at / BLOCK), place = at - number * BLOCK;
    const block = this.block("guesses", `guesses/${number}`);
    if (block === undefined || block.header.guesses * place >= block.sections["guess/ids"].length) return undefined;
    return guessesIn(block.sections, block.header.guesses, symbols, place);
  }

  /** The neurons that go most like this one; undefined while they are sought. @param {Choice} choice */
  similar({ neuron, signal }) {
    const name = `${neuron}/${signal}`;
    if (!this.alike.has(name)) {
      this.fetch("similar", `similar/${name}`, ({ header }) => {
        const { similar } = /** @type {{similar: {neuron: string, correlation: number}[]}} */ (/** @type {unknown} */ (header));
        this.alike.set(name, similar);
      });
    }
    return this.alike.get(name);
  }

  /** @param {(text: Payload) => void} take */
  text(take) {
    this.fetch("text", "text", take);
  }

  /** @param {Kind} kind @param {string} path @param {(answer: Payload) => void} take */
  async fetch(kind, path, take) {
    const source = this.payload?.header.source ?? null;
    const { pending, missing } = this; // another text may come meanwhile: it has sets of its own
    if (source === null || this.isBroken || this.isClosed || pending.has(path) || missing.has(path)) return;
    pending.add(path);
    let answer = await answerOf(`${source}/${path}`);
    if (answer === "no connection") {
      await new Promise((done) => { setTimeout(done, RETRY_AFTER_MS); });
      if (pending === this.pending) answer = await answerOf(`${source}/${path}`);
    }
    pending.delete(path);
    if (pending !== this.pending) return;
    if (typeof answer !== "string" && answer.header.missing === undefined) take(answer);
    else if (typeof answer !== "string" || (answer === "server error" && EXTRAS.includes(kind))) missing.add(path);
    else this.giveUp();
    this.arrived(kind, path);
    this.goOn();
  }
}

/** @param {string} address @returns {Promise<Payload | "no connection" | "server error" | "no sense">} */
async function answerOf(address) {
  let bytes;
  try {
    const answer = await fetch(address);
    if (!answer.ok) return answer.status >= 500 ? "server error" : "no sense";
    bytes = new Uint8Array(await answer.arrayBuffer());
  } catch {
    return "no connection";
  }
  try {
    return decodePayload(bytes);
  } catch {
    return "no sense";
  }
}
