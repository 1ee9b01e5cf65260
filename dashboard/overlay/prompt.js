// @ts-check
// The one field of the component: it asks for a neuron to go to, or for words to look for, and says what came of it. It
// lies over the text: if it took room from it, all of it would be laid out again when the field comes and when it goes.

import { element } from "./bar.js";

/**
 * @typedef {object} Question
 * @property {string} label
 * @property {string} hint
 * @property {(typed: string, step: 1 | -1) => string | null} answer  what to say, or null when all is done
 * @property {(typed: string) => void} [typing]  hears of every letter
 */

export class Prompt {
  /** @param {() => void} closed called when the field goes, so that the text gets the keys again */
  constructor(closed) {
    this.closed = closed;
    this.root = element("div", "prompt");
    this.label = document.createElement("label");
    this.field = document.createElement("input");
    this.said = element("span", "said");
    this.said.setAttribute("role", "status");
    this.field.type = "text";
    this.field.spellcheck = false;
    this.field.autocomplete = "off";
    this.label.append(element("span", ""), this.field);
    this.root.append(this.label, this.said);
    this.root.hidden = true;
    /** @type {Question | null} */ this.question = null;
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("input", () => {
      this.said.textContent = ""; // it was about other words
      this.question?.typing?.(this.field.value);
    });
  }

  /** @param {Question} question */
  ask(question) {
    this.question = question;
    /** @type {HTMLElement} */ (this.label.firstElementChild).textContent = question.label;
    this.field.placeholder = question.hint;
    this.field.value = "";
    this.said.textContent = "";
    this.root.hidden = false;
    this.field.focus();
  }

  /** How much of the text it covers from above, in CSS pixels. */
  get height() {
    return this.root.hidden ? 0 : this.root.offsetTop + this.root.offsetHeight;
  }

  close() {
    if (this.root.hidden) return;
    this.root.hidden = true;
    this.question = null;
    this.closed();
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    event.stopPropagation(); // what is typed is no command, here or outside
    if (event.isComposing) return; // Enter and Escape are the input method's
    if (event.key === "Escape") this.close();
    if (event.key !== "Enter" || this.question === null) return;
    event.preventDefault();
    const said = this.question.answer(this.field.value, event.shiftKey ? -1 : 1);
    if (said === null) this.close();
    else this.said.textContent = said;
  }
}
