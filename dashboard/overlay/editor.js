// @ts-check
// A field to write in, beside the coloured text: every version goes to serve.py, and what comes back is painted. While
// one version is being read the next ones wait, and only the last of them is sent. It knows nothing of painting.

import { button, element } from "./bar.js";
import { afterChange, exactPlace, inField, rememberWritten, writtenBefore } from "./draft.js";
import { codePointsIn } from "./layout.js";
import { decodePayload } from "./payload.js";
import { RETRY_AFTER_MS } from "./source.js";
import { showCount } from "./words.js";

/** @typedef {import("./payload.js").Payload} Payload */
/**
 * @typedef {object} Writer what the editor needs
 * @property {() => string} address            where the next version goes
 * @property {(text: string, answer: Payload) => void} written  a version has been read
 * @property {(at: number) => void} caret      a position, where the writer is
 * @property {() => void} left                 the field was left; the text stays
 * @property {(name: string, text: string) => void} kept
 * @property {() => void} dropped
 */

export class Editor {
  /** @param {Writer} writer */
  constructor(writer) {
    this.writer = writer;
    this.root = element("div", "editor");
    this.field = document.createElement("textarea");
    this.field.spellcheck = false;
    this.field.setAttribute("aria-label", "the text, to write in");
    this.name = document.createElement("input");
    this.name.setAttribute("aria-label", "name of the text");
    this.said = element("span", "said");
    this.said.setAttribute("role", "status");
    this.head = element("div", "head");
    this.goOn = button("go on with what you wrote", "", () => this.resume());
    this.head.append(
      this.said,
      this.goOn,
      this.name,
      button("keep", "keep it among your own texts", () => this.writer.kept(this.name.value, this.text)),
      button("write", "go on writing (i)", () => this.focus()),
      button("discard", "back to the text as it was", () => this.writer.dropped()),
    );
    this.root.append(this.head, this.field);
    this.root.hidden = true;
    /** What is written, with the line ends of the text it began as. */ this.text = "";
    /** What it was opened with. */ this.opened = "";
    /** What was written before, and can be gone on with. */ this.before = /** @type {ReturnType<typeof writtenBefore>} */ (null);
    this.isBusy = false;
    this.isStale = false;
    /** Whether the newest version could not be read. */ this.hasFailed = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.again = undefined;
    /** @type {AbortController | null} of a version whose beginning is painted already */ this.rest = null;
    this.field.addEventListener("input", () => {
      this.text = afterChange(this.text, this.field.value);
      this.remember();
      this.send();
    });
    this.name.addEventListener("input", () => this.remember());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.name.addEventListener("keydown", (event) => event.stopPropagation());
    for (const moved of ["keyup", "click"]) this.field.addEventListener(moved, () => this.follow());
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Whether the field takes no more. */
  get isFull() {
    return this.field.value.length >= this.field.maxLength;
  }

  /** @param {string} text @param {{name: string, caret: number, most: number}} place caret: in UTF-16 units */
  open(text, { name, caret, most }) {
    this.root.hidden = false;
    this.name.value = name;
    this.field.maxLength = most; // counts UTF-16 units, which are as many characters or more
    this.text = this.opened = text;
    this.field.value = text;
    this.said.textContent = "reading …";
    this.before = writtenBefore();
    this.goOn.hidden = this.before === null || this.before.text === text || this.before.text.length > most;
    this.goOn.title = `${this.before?.name}, which was not kept`;
    const place = inField(text.slice(0, caret)).length;
    this.field.setSelectionRange(place, place);
    this.focus(); // last, for it brings the caret into sight
    this.send();
  }

  /** What was written before takes the place of what is there, and the other way round where that was written too. */
  resume() {
    const { before } = this;
    if (before === null) return;
    this.before = { name: this.name.value, text: this.text };
    this.goOn.hidden = this.text === this.opened;
    this.goOn.title = `${this.before.name}, which was not kept`;
    this.name.value = before.name;
    this.text = this.field.value = before.text;
    this.remember();
    this.focus();
    this.send();
  }

  remember() {
    rememberWritten({ name: this.name.value, text: this.text });
  }

  focus() {
    this.field.hidden = false;
    this.field.focus();
  }

  close() {
    this.root.hidden = true;
    this.isStale = this.hasFailed = false;
    clearTimeout(this.again);
    this.rest?.abort();
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    event.stopPropagation(); // what is typed is no command, here or outside
    if (event.key !== "Escape" || event.isComposing) return;
    this.field.hidden = true;
    this.writer.left();
  }

  follow() {
    if (this.isOpen && !this.isBusy) this.writer.caret(this.caret());
  }

  /** The character before the caret. */
  caret() {
    return Math.max(codePointsIn(this.text, exactPlace(this.text, this.field.selectionStart)) - 1, 0);
  }

  /** @param {{isSecond?: boolean}} [options] isSecond: whether the same version was sent before and failed */
  async send({ isSecond = false } = {}) {
    clearTimeout(this.again);
    this.hasFailed &&= isSecond;
    this.isStale = true;
    this.rest?.abort();
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.isStale && this.isOpen) {
      this.isStale = false;
      await this.read(this.text);
    }
    this.isBusy = false;
  }

  /** What there is of a version. @param {Uint8Array<ArrayBuffer>} body @param {AbortSignal} [signal] */
  async post(body, signal) {
    const answer = await fetch(this.writer.address(), { method: "POST", body, signal });
    if (!answer.ok) throw new Error(answer.statusText);
    const payload = decodePayload(new Uint8Array(await answer.arrayBuffer()));
    if (payload.header.missing !== undefined) throw new Error(payload.header.missing);
    return payload;
  }

  /** Its beginning first, which is painted while the rest is read; a newer version does away with the rest. @param {string} text */
  async read(text) {
    if (text === "") return void (this.said.textContent = "write a character");
    const body = new TextEncoder().encode(text), length = Array.from(text).length;
    try {
      for (let next = this.post(body), isLast = false; !isLast;) {
        const payload = await next;
        if (!this.isOpen) return;
        const isWhole = payload.sections.loss.length >= length;
        isLast = isWhole || this.isStale;
        if (!isLast) {
          this.rest = new AbortController();
          next = this.post(body, this.rest.signal); // the network reads on while this is painted
        }
        this.said.textContent = isWhole ? `${showCount(length)} characters${this.isFull ? ", as many as are read while you write" : ""}, not kept` : "reading …";
        this.writer.written(text, payload);
      }
      this.hasFailed = false;
    } catch (error) {
      if (this.rest?.signal.aborted) return; // done away with
      this.said.textContent = `not read: ${error instanceof Error ? error.message : String(error)}`;
      if (!this.hasFailed && this.isOpen) this.again = setTimeout(() => this.send({ isSecond: true }), RETRY_AFTER_MS);
      this.hasFailed = true;
    } finally {
      this.rest = null;
    }
  }
}
