// @ts-check
// The text around the chosen character, each letter coloured by the neuron, and under it a row of bars for each signal.

import { markOf, signalTitle } from "../overlay/words.js";
import { draw } from "./picture.js";

/** @typedef {import("./steps.js").Story} Story */
/** @typedef {import("./picture.js").Paint} Paint */

const LEFT = 96, COLUMN = 17, LETTERS = 32, ROW = 30;

/** How many characters fit. @param {number} width in pixels */
export function columnsIn(width) {
  return Math.max(9, Math.floor((width - LEFT - 4) / COLUMN));
}

/** @param {Story} story */
export function stripHeight(story) {
  return LETTERS + 10 + ROW * Object.keys(story.traces).length + 6;
}

/**
 * Draw the columns around a place; the place itself is framed. Each column carries `data-place`.
 * @param {SVGElement} svg
 * @param {Story} story
 * @param {number} place
 * @param {string} signal that colours the letters
 * @param {Paint} paint
 * @param {number} reach of the cell state
 */
export function drawStrip(svg, story, place, signal, paint, reach) {
  const count = columnsIn(svg.clientWidth || 1200), length = story.text.length;
  const first = Math.max(0, Math.min(place - Math.floor(count * 0.45), length - count));
  const shown = Array.from({ length: Math.min(count, length - first) }, (_, column) => first + column);
  svg.replaceChildren();
  const isGate = (/** @type {string} */ name) => name.endsWith("_gate");
  const reachOf = (/** @type {string} */ name) => (name === "cell" ? reach : 1);
  shown.forEach((where, column) => {
    const { fill, ink } = paint(story.traces[signal][where], isGate(signal) ? "sequential" : "diverging", reachOf(signal));
    const x = LEFT + column * COLUMN;
    draw(svg, "rect", { x, y: 1, width: COLUMN, height: LETTERS - 2, style: `fill:${fill}`, "data-place": where });
    draw(svg, "text", { x: x + COLUMN / 2, y: 22, class: "letter", style: `fill:${ink}`, "data-place": where }, markOf(story.text[where]));
  });
  Object.entries(story.traces).forEach(([name, values], row) => {
    const top = LETTERS + 10 + row * ROW, middle = isGate(name) ? ROW - 6 : (ROW - 6) / 2;
    draw(svg, "text", { x: 0, y: top + 17, class: "row-name" }, signalTitle(name).replace(/ (state|gate)$/, ""));
    draw(svg, "line", { x1: LEFT, x2: LEFT + shown.length * COLUMN, y1: top + middle + 0.5, y2: top + middle + 0.5, class: "axis" });
    shown.forEach((where, column) => {
      const value = values[where], height = Math.min(Math.abs(value) / reachOf(name), 1) * middle;
      if (Number.isNaN(value)) return;
      const { fill } = paint(isGate(name) ? 1 : Math.sign(value) * reachOf(name), isGate(name) ? "sequential" : "diverging", reachOf(name));
      const y = top + (value < 0 ? middle : middle - height);
      draw(svg, "rect", { x: LEFT + column * COLUMN + 1, y, width: COLUMN - 2, height: height + 0.5, style: `fill:${fill}`, "data-place": where });
    });
  });
  draw(svg, "rect", { x: LEFT + (place - first) * COLUMN, y: 0, width: COLUMN, height: stripHeight(story) - 4, rx: 3, class: "cursor" });
}
