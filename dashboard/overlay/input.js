// @ts-check
// Keys, mouse and clipboard, turned into what the reader meant.

import { cellOf } from "./layout.js";
import { actionFor } from "./view.js";

/** @typedef {import("./layout.js").Layout} Layout */
/**
 * @typedef {object} Reader what input may ask of the component
 * @property {(action: import("./view.js").Action) => void} act
 * @property {(at: number, extend: boolean) => void} press
 * @property {(at: number | null) => void} pointAt
 * @property {() => void} scrolled
 * @property {() => string | null} copied  the marked text, exactly
 * @property {() => Layout | undefined} layout
 */

/**
 * @param {import("./frame.js").Frame} frame
 * @param {Reader} reader
 * @returns {() => void} stops listening outside the component
 */
export function listen({ root, scroller }, reader) {
  let isMarking = false;
  const release = () => { isMarking = false; };
  root.addEventListener("keydown", (event) => onKey(event, reader));
  root.addEventListener("copy", (event) => onCopy(event, reader));
  scroller.addEventListener("scroll", () => reader.scrolled(), { passive: true });
  scroller.addEventListener("pointerdown", (event) => {
    const at = placeOf(event, reader.layout());
    if (at === null || event.button !== 0) return;
    isMarking = true;
    reader.press(at, event.shiftKey);
  });
  scroller.addEventListener("pointermove", (event) => {
    const at = placeOf(event, reader.layout());
    if (isMarking && at !== null) reader.press(at, true);
    else reader.pointAt(at);
  });
  scroller.addEventListener("pointerleave", () => reader.pointAt(null));
  window.addEventListener("pointerup", release);
  return () => window.removeEventListener("pointerup", release);
}

/** @param {KeyboardEvent} event @param {Reader} reader */
function onKey(event, reader) {
  event.stopPropagation(); // outside, r would rerun the app and c open a dialog
  const focused = event.composedPath()[0];
  const onButton = focused instanceof HTMLElement && focused.matches("button, summary");
  if (onButton && (event.key === "Enter" || event.key === " ")) return;
  const action = actionFor(event);
  if (action === null) return;
  event.preventDefault();
  reader.act(action);
}

/** The exact text, also of rows that are not painted. @param {ClipboardEvent} event @param {Reader} reader */
function onCopy(event, reader) {
  const text = reader.copied();
  if (text === null || event.clipboardData === null) return;
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

/**
 * The position under the mouse; in a cell of several code points, the stripe under it.
 * @param {PointerEvent} event
 * @param {Layout | undefined} layout
 * @returns {number | null}
 */
function placeOf(event, layout) {
  const target = /** @type {HTMLElement} */ (event.composedPath()[0]);
  if (target.dataset?.at === undefined || layout === undefined) return null;
  const start = Number(target.dataset.at);
  const length = layout.cells.starts[cellOf(layout, start) + 1] - start;
  if (length === 1) return start;
  const box = target.getBoundingClientRect();
  const stripe = Math.floor(((event.clientX - box.left) / box.width) * length);
  return start + Math.min(Math.max(stripe, 0), length - 1);
}
