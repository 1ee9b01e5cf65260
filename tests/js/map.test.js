// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Trace } from "../../dashboard/overlay/colour.js";
import { extremes, peaksOf } from "../../dashboard/overlay/map.js";

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

test("extremes keep every peak and say where nothing is known", () => {
  const { low, high } = extremes(new Trace(Float32Array.of(0.25, -0.5, NaN, NaN, 0.75, 0), scale), 3);
  assert.deepEqual([Array.from(low), Array.from(high)], [[-0.5, NaN, 0], [0.25, NaN, 0.75]]);
  assert.equal(extremes(new Trace(new Float32Array(0), scale), 3).high[2], NaN);
});
