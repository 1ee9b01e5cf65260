// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Trace } from "../../dashboard/overlay/colour.js";
import { Overview, extremes, peaksOf } from "../../dashboard/overlay/map.js";

const scale = /** @type {const} */ ({ kind: "diverging", low: -1, high: 1 });

test("peaks of one character in a long text are found, both ways up", () => {
  const values = new Float32Array(100_000);
  values[70_123] = -0.9;
  values[12_345] = 0.8;
  values[12_400] = 0.7; // too near to the one before
  values[50_000] = 0.1; // not half as far
  assert.deepEqual(peaksOf(new Trace(values, scale)), [12_345, 70_123]);
});

test("a flat, an empty and an unknown trace have no peaks", () => {
  for (const values of [new Float32Array(50), new Float32Array(0), new Float32Array(50).fill(NaN)]) {
    assert.deepEqual(peaksOf(new Trace(values, scale)), []);
  }
});

test("peaks and extremes of colours that were fetched are those of the values, as far as colours tell", () => {
  const entries = new Uint8Array(100_000).fill(128);
  entries[70_123] = 10;
  entries[50_000] = 0; // nan
  const trace = new Trace(entries, scale, null);
  assert.deepEqual(peaksOf(trace), [70_123]);
  const { low, high } = extremes(trace, 4, { start: 50_000, stop: 50_004 });
  assert.deepEqual([Array.from(low), Array.from(high)], [[NaN, 0, 0, 0], [NaN, 0, 0, 0]]);
});

test("the strongest colour of each place of the map is kept, whichever way up", () => {
  const entries = Uint8Array.of(128, 140, 120, 0, 128, 128);
  const layout = { lines: new Int32Array(2), places: Int32Array.of(0, 4, 6), widest: 4 };
  const sight = /** @type {import("../../dashboard/overlay/rows.js").Sight} */ (/** @type {unknown} */ (
    { layout, colouring: new Trace(entries, scale, null) }));
  const strongest = Overview.prototype.strongestOf.call(/** @type {Overview} */ ({ step: 1 }), sight, 2);
  assert.deepEqual([Array.from(strongest.subarray(0, 5)), Array.from(strongest.subarray(72, 75))], [[128, 140, 120, -1, -1], [128, 128, -1]]);
});

test("extremes keep every peak and say where nothing is known", () => {
  const { low, high } = extremes(new Trace(Float32Array.of(0.25, -0.5, NaN, NaN, 0.75, 0), scale), 3);
  assert.deepEqual([Array.from(low), Array.from(high)], [[-0.5, NaN, 0], [0.25, NaN, 0.75]]);
  assert.equal(extremes(new Trace(new Float32Array(0), scale), 3).high[2], NaN);
});

test("what is in sight is marked where its rows are painted, as soon as they are", () => {
  const scale = /** @type {const} */ ({ kind: "diverging", low: -1, high: 1 }), trace = new Trace(new Uint8Array(4000).fill(128), scale, null);
  const places = Int32Array.from({ length: 401 }, (_, row) => 10 * row), lines = places.subarray(0, 400);
  const layout = { chars: Array.from("x".repeat(4000)), lines, places, widest: 10 }, tables = { "lut/mono/diverging/light": new Uint8Array(768) };
  const sight = { trace, colouring: trace, layout, cursor: 0, marked: null, palette: "mono", theme: "light", payload: { sections: tables } };
  const canvas = { getContext: () => ({ createImageData: (/** @type {number} */ w, /** @type {number} */ h) => ({ data: new Uint8Array(4 * w * h) }), putImageData() {} }) };
  const map = Object.assign(Object.create(Overview.prototype), {
    root: { clientHeight: 800 }, plot: { clientWidth: 0 }, lines: canvas, ticks: { replaceChildren() {} }, painted: [], step: 1, place: null,
    view: { style: {} }, here: { style: {} }, stretch: { style: {}, classList: { toggle() {} } }, sight,
  });

  map.showPlace(sight, { top: 2200, height: 440, rowHeight: 22 });
  map.paint();

  assert.deepEqual(map.view.style, { top: "200px", height: "40px" });
});
