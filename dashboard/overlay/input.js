// @ts-check
// Keys, mouse and clipboard, turned into what the reader meant.

import { cellOf } from "./layout.js";
import { actionFor } from "./view.js";

/** How often a mark that is drawn out of sight takes in another row. */
const ROW_AFTER_MS = 40;

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
export function listen({ root, scroller, bar, help }, reader) {
  let isMarking = false, isTouch = false;
  /** The text's before a mark is begun: what is then said of the mark takes room from it. */ let box = scroller.getBoundingClientRect();
  /** @type {ReturnType<typeof setInterval> | undefined} */ let going, way = "";
  const stay = () => {
    clearInterval(going);
    way = "";
  };
  const release = () => {
    isMarking = false;
    stay();
  };
  /** A mark that is drawn beyond the first or last row in sight goes on row by row. @param {PointerEvent} event */
  const draw = (event) => {
    if (!isMarking) return;
    if (event.buttons === 0) return release(); // released where nobody heard of it
    const where = event.clientY < box.top ? "up" : event.clientY >= box.bottom ? "down" : "";
    if (where === way) return;
    stay();
    way = where;
    if (way !== "") going = setInterval(() => reader.act({ type: "move", move: where, extend: true }), ROW_AFTER_MS);
  };
  /** @param {PointerEvent} event */
  const closeCards = (event) => {
    const path = event.composedPath();
    if (!path.includes(bar.menu.root)) bar.menu.root.removeAttribute("open");
    if (!path.includes(help) && !path.includes(bar.root)) help.hidden = true;
  };
  root.addEventListener("keydown", (event) => onKey(event, reader));
  root.addEventListener("copy", (event) => onCopy(event, reader));
  scroller.addEventListener("scroll", () => reader.scrolled(), { passive: true });
  scroller.addEventListener("pointerdown", (event) => {
    const at = placeOf(event, reader.layout());
    isTouch = event.pointerType === "touch"; // a finger that moves scrolls: it has pressed when it clicks
    if (at === null || event.button !== 0 || isTouch) return;
    isMarking = true;
    box = scroller.getBoundingClientRect();
    unselect();
    reader.press(at, event.shiftKey);
  });
  scroller.addEventListener("click", (event) => {
    const at = placeOf(event, reader.layout());
    if (isTouch && at !== null) reader.press(at, false);
  });
  scroller.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const at = placeOf(event, reader.layout());
    if (isMarking && at !== null) reader.press(at, true);
    else reader.pointAt(at);
  });
  scroller.addEventListener("pointerleave", () => reader.pointAt(null));
  const heard = /** @type {[string, (event: any) => void][]} */ (
    [["pointermove", draw], ["pointerup", release], ["pointercancel", release], ["pointerdown", closeCards]]);
  for (const [name, hear] of heard) window.addEventListener(name, hear, true);
  return () => {
    release();
    for (const [name, hear] of heard) window.removeEventListener(name, hear, true);
  };
}

/** What is selected elsewhere on the page is let go, so that what is marked in the text is what is copied. */
function unselect() {
  document.getSelection()?.removeAllRanges();
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
  unselect();
  reader.act(action);
}

/** The exact text, also of rows that are not painted; what is selected elsewhere is the browser's to copy. @param {ClipboardEvent} event @param {Reader} reader */
function onCopy(event, reader) {
  const text = reader.copied(), focused = event.composedPath()[0];
  const isOther = String(document.getSelection()) !== "" || (focused instanceof HTMLElement && focused.matches("input, textarea"));
  if (text === null || event.clipboardData === null || isOther) return;
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

/**
 * The position under the mouse; in a cell of several code points, the stripe under it.
 * @param {MouseEvent} event
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
