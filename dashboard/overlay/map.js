// @ts-check
// The whole text at a glance for the chosen neuron: a small picture of its lines beside the text, and the trace from
// beginning to end below it. Both lead where they are clicked, and both show the peaks.

import { element } from "./bar.js";
import { colourIndex, entryBelow, rgb, tableOf } from "./colour.js";
import { rowOf } from "./layout.js";

/** @typedef {import("./rows.js").Sight} Sight */
/** @typedef {import("./colour.js").Trace} Trace */

const MAP_WIDTH = 72;
const TALLEST_LINE = 4;
const MOST_PEAKS = 12;
const PLOT_HEIGHT = 58;

/**
 * Where a trace is furthest from its mean: a few positions well apart from each other, ascending.
 * @param {Trace} trace nan is no peak
 * @returns {number[]}
 */
export function peaksOf({ codes, levels, none, length }) {
  const count = Math.min(512, length), far = distances(codes, levels, none), best = [];
  for (let part = 0; part < count; part += 1) {
    const stop = Math.floor(((part + 1) * length) / count);
    let at = -1, furthest = 0;
    for (let place = Math.floor((part * length) / count); place < stop; place += 1) {
      const size = far[codes[place]];
      if (size > furthest) { furthest = size; at = place; }
    }
    if (at >= 0) best.push({ at, far: furthest });
  }
  best.sort((one, other) => other.far - one.far || one.at - other.at);
  /** @type {number[]} */ const found = [];
  for (const { at, far: size } of best) {
    if (found.length === MOST_PEAKS || size < best[0].far / 2) break;
    if (found.every((other) => Math.abs(other - at) >= length / 40)) found.push(at);
  }
  return found.sort((one, other) => one - other);
}

/**
 * How far each entry's level is from the mean of a text; nothing for what stands for nan.
 * @param {Uint8Array | Int16Array} codes
 * @param {Float32Array} levels
 * @param {number} none
 */
function distances(codes, levels, none) {
  const counts = new Uint32Array(256);
  for (let at = 0; at < codes.length; at += 1) counts[codes[at]] += 1; // -1 is no place in it, and counts nowhere
  if (none >= 0) counts[none] = 0;
  let sum = 0, known = 0;
  for (let entry = 0; entry < 256; entry += 1) {
    sum += counts[entry] * levels[entry];
    known += counts[entry];
  }
  const far = levels.map((level) => Math.abs(level - sum / known));
  if (none >= 0) far[none] = 0;
  return far;
}

/**
 * The lowest and highest value of each of `count` equal parts; nan where a part has none.
 * @param {Trace} trace
 * @param {number} count
 * @param {{start: number, stop: number}} [stretch] of the text, if not all of it
 */
export function extremes(trace, count, { start: from, stop: to } = { start: 0, stop: trace.length }) {
  const length = to - from, { values, codes, none, levels } = trace;
  const data = values ?? codes; // a million bytes are gone through in a millisecond, so nothing is asked twice
  const low = new Float32Array(count).fill(NaN), high = new Float32Array(count).fill(NaN);
  for (let part = 0; part < count; part += 1) {
    const start = from + Math.floor((part * length) / count);
    const stop = Math.min(Math.max(start + 1, from + Math.floor(((part + 1) * length) / count)), to);
    let least = Infinity, most = -Infinity;
    for (let at = start; at < stop; at += 1) {
      const value = data[at];
      if (values === null && value === none) continue;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    if (least > most) continue;
    low[part] = values === null ? levels[least] : least;
    high[part] = values === null ? levels[most] : most;
  }
  return { low, high };
}

/** The end of a part that is further from zero. @param {number} low @param {number} high */
function stronger(low, high) {
  return -low > high ? low : high;
}

/** @type {WeakMap<HTMLCanvasElement, unknown[]>} what each line was painted from */
const PAINTED_LINES = new WeakMap();

/**
 * One line over the text, or a stretch of it; nothing is done where it is painted already.
 * @param {HTMLCanvasElement} canvas
 * @param {Sight} sight
 * @param {Trace} trace
 * @param {{start: number, stop: number}} [stretch]
 */
export function paintLine(canvas, sight, trace, stretch) {
  const from = [trace, sight.palette, sight.theme, stretch?.start, stretch?.stop];
  if (from.every((one, place) => one === PAINTED_LINES.get(canvas)?.[place])) return;
  PAINTED_LINES.set(canvas, from);
  const { scale } = trace, { low, high } = extremes(trace, canvas.width, stretch);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x += 1) {
    const index = colourIndex(stronger(low[x], high[x]), scale);
    if (index < 0) continue;
    context.fillStyle = rgb(sight, scale.kind, index);
    context.fillRect(x, 0, 1, canvas.height);
  }
}

export class Overview {
  /** @param {(at: number) => void} jump @param {(at: number | null) => void} pointAt */
  constructor(jump, pointAt) {
    this.root = element("div", "map");
    this.lines = document.createElement("canvas");
    this.view = element("div", "view");
    this.ticks = element("div", "ticks");
    this.plot = element("div", "plot");
    this.curve = document.createElement("canvas");
    this.here = element("div", "here-line");
    this.stretch = element("div", "stretch");
    this.root.append(this.lines, this.view, this.ticks);
    this.plot.append(this.stretch, this.curve, this.here);
    this.root.setAttribute("aria-hidden", "true"); // the keys , and . lead to the peaks
    this.plot.setAttribute("aria-hidden", "true");
    /** Pixels for each row of text. */ this.step = 1;
    /** @type {number[]} */ this.peaks = [];
    /** @type {Trace | null} whose peaks they are */ this.peaksFrom = null;
    /** @type {Sight | null} */ this.sight = null;
    /** @type {Parameters<Overview["showPlace"]> | null} */ this.place = null;
    /** @type {unknown[]} what the pictures were painted from */ this.painted = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.waiting = undefined;
    this.listen(jump, pointAt);
  }

  /** @param {(at: number) => void} jump @param {(at: number | null) => void} pointAt */
  listen(jump, pointAt) {
    let isHeld = false;
    /** @param {PointerEvent} event */
    const onMap = (event) => {
      const at = this.placeOnMap(event.clientY - this.root.getBoundingClientRect().top);
      if (at !== null) jump(at);
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      isHeld = true;
      this.root.setPointerCapture(event.pointerId);
      onMap(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (event.buttons === 0) isHeld = false; // released where nobody heard of it
      if (isHeld) onMap(event);
    });
    for (const end of ["pointerup", "pointercancel"]) this.root.addEventListener(end, () => { isHeld = false; });
    this.plot.addEventListener("click", (event) => {
      const at = this.placeOnPlot(event);
      if (at !== null) jump(at);
    });
    this.plot.addEventListener("pointermove", (event) => pointAt(this.placeOnPlot(event)));
    this.plot.addEventListener("pointerleave", () => pointAt(null));
  }

  /** Soon, when the text has been painted; nothing is done where it is painted already: of a long text that takes a while. @param {Sight} sight */
  show(sight) {
    this.sight = sight;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.paint(), 20);
  }

  /** What the pictures depend on. @param {Sight} sight */
  paintedFrom({ trace, colouring, layout, palette, theme }) {
    return [trace, colouring, layout, palette, theme, this.root.clientHeight, this.plot.clientWidth];
  }

  stop() {
    clearTimeout(this.waiting);
  }

  paint() {
    const { sight } = this;
    if (sight === null || sight.layout.chars.length === 0) return;
    const from = this.paintedFrom(sight);
    if (from.every((one, place) => one === this.painted[place])) return;
    this.painted = from;
    this.findPeaks(sight.trace);
    this.paintMap(sight);
    this.paintPlot(sight);
    this.ticks.replaceChildren(...this.peaks.map((at) => {
      const tick = element("i", "");
      tick.style.top = `${rowOf(sight.layout, at) * this.step}px`;
      return tick;
    }));
    if (this.place !== null) this.showPlace(...this.place); // rows may have got another height
  }

  /** @param {Sight} sight */
  paintMap(sight) {
    const { layout, colouring } = sight, height = this.root.clientHeight;
    if (height === 0) return; // not in sight on a narrow page
    this.step = Math.min(TALLEST_LINE, height / layout.lines.length);
    const strongest = this.strongestOf(sight, height);
    const thick = Math.max(1, Math.floor(this.step) - (this.step >= 3 ? 1 : 0));
    this.lines.width = MAP_WIDTH;
    this.lines.height = height;
    const context = /** @type {CanvasRenderingContext2D} */ (this.lines.getContext("2d"));
    const picture = context.createImageData(MAP_WIDTH, height);
    const table = tableOf(sight, colouring.scale.kind);
    for (let place = 0; place < strongest.length; place += 1) {
      const index = strongest[place];
      if (index < 0) continue;
      for (let line = 0; line < thick; line += 1) {
        const target = 4 * (place + line * MAP_WIDTH);
        for (let part = 0; part < 3; part += 1) picture.data[target + part] = table[3 * index + part];
        picture.data[target + 3] = 255;
      }
    }
    context.putImageData(picture, 0, 0);
  }

  /** The strongest entry at each place of the map, -1 where there is none. @param {Sight} sight @param {number} height */
  strongestOf({ layout: { lines, places, widest }, colouring: { codes, none, levels } }, height) {
    const strongest = new Int16Array(MAP_WIDTH * height).fill(-1);
    const size = levels.map(Math.abs), columns = Math.max(MAP_WIDTH, Math.min(widest, 120));
    const across = Uint8Array.from({ length: columns }, (_, column) => Math.floor((column * MAP_WIDTH) / columns));
    for (let row = 0; row < lines.length; row += 1) {
      const line = Math.min(height - 1, Math.floor(row * this.step)) * MAP_WIDTH;
      const start = places[row], stop = Math.min(places[row + 1], start + columns);
      for (let at = start; at < stop; at += 1) {
        const entry = codes[at], place = line + across[at - start], before = strongest[place];
        if (entry !== none && (before < 0 || size[entry] > size[before])) strongest[place] = entry;
      }
    }
    return strongest;
  }

  /** @param {Sight} sight */
  paintPlot(sight) {
    const { scale } = sight.trace;
    const width = this.plot.clientWidth;
    if (width === 0) return;
    const { curve } = this;
    curve.width = width;
    curve.height = PLOT_HEIGHT;
    const context = /** @type {CanvasRenderingContext2D} */ (curve.getContext("2d"));
    const low = Math.min(scale.low, 0), reach = scale.high - low;
    /** @param {number} value */
    const y = (value) => (1 - (Math.min(Math.max(value, low), scale.high) - low) / reach) * (PLOT_HEIGHT - 2) + 1;
    const parts = extremes(sight.trace, width);
    const above = rgb(sight, scale.kind, 236), below = rgb(sight, scale.kind, entryBelow(sight, 20));
    for (let x = 0; x < width; x += 1) {
      if (Number.isNaN(parts.low[x])) continue;
      context.fillStyle = above;
      if (parts.high[x] > 0) context.fillRect(x, y(parts.high[x]), 1, Math.max(y(0) - y(parts.high[x]), 1));
      context.fillStyle = below;
      if (parts.low[x] < 0) context.fillRect(x, y(0), 1, Math.max(y(parts.low[x]) - y(0), 1));
    }
  }

  /** What is in sight of the text, and where the cursor is. @param {Sight} sight @param {{top: number, height: number, rowHeight: number}} scroll */
  showPlace(sight, scroll) {
    this.place = [sight, scroll];
    const { layout, cursor, marked } = sight, { top, height, rowHeight } = scroll, count = layout.chars.length;
    if (count === 0) return;
    const first = top / rowHeight, last = Math.min((top + height) / rowHeight, layout.lines.length);
    this.view.style.top = `${first * this.step}px`;
    this.view.style.height = `${Math.max((last - first) * this.step, 6)}px`;
    /** @param {number} at */
    const share = (at) => `${(100 * at) / count}%`;
    const start = layout.places[Math.floor(first)] ?? 0, stop = layout.places[Math.ceil(last)] ?? count;
    const [from, to] = marked !== null && marked[1] > marked[0] ? [marked[0], marked[1] + 1] : [start, stop];
    this.stretch.classList.toggle("of-mark", marked !== null && marked[1] > marked[0]);
    this.stretch.style.left = share(from);
    this.stretch.style.width = share(to - from);
    this.here.style.left = share(cursor + 0.5);
  }

  /** @param {number} y @returns {number | null} a position; a peak's where one is near */
  placeOnMap(y) {
    const { sight } = this;
    if (sight === null || sight.layout.chars.length === 0) return null;
    const { layout } = sight;
    const near = this.peaks.find((at) => Math.abs(rowOf(layout, at) * this.step - y) <= 4);
    const row = Math.max(0, Math.min(Math.floor(y / this.step), layout.lines.length - 1));
    return near ?? layout.places[row];
  }

  /** @param {MouseEvent} event */
  placeOnPlot(event) {
    const { sight } = this;
    if (sight === null || sight.layout.chars.length === 0) return null;
    const box = this.plot.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * sight.layout.chars.length);
    return Math.max(0, Math.min(at, sight.layout.chars.length - 1));
  }

  /** @param {Trace} trace */
  findPeaks(trace) {
    if (trace !== this.peaksFrom) this.peaks = peaksOf(trace);
    this.peaksFrom = trace;
    return this.peaks;
  }

  /** The next peak of a trace after `at`, or before it, round again. @param {Trace} trace @param {number} at @param {number} step */
  peak(trace, at, step) {
    this.findPeaks(trace); // what is painted here may still be another one
    const ahead = this.peaks.filter((one) => (step > 0 ? one > at : one < at));
    return (step > 0 ? ahead[0] ?? this.peaks[0] : ahead.at(-1) ?? this.peaks.at(-1)) ?? null;
  }
}
