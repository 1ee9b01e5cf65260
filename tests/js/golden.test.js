// @ts-check
// The golden payload is written by Python (see tests/test_overlay.py, which names the command) and read here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Trace, colourIndex } from "../../dashboard/overlay/colour.js";
import { decodePayload, fromHalf, guessesIn } from "../../dashboard/overlay/payload.js";

const folder = new URL("../golden/", import.meta.url);
const bytes = new Uint8Array(readFileSync(new URL("overlay.bin", folder)));
const expected = JSON.parse(readFileSync(new URL("overlay.json", folder), "utf-8"));

test("the golden payload reads as Python meant it", () => {
  const payload = decodePayload(bytes);
  const { sections: _, ...header } = payload.header;
  assert.deepEqual(header, expected.header);
  assert.equal(payload.text, expected.text);
  assert.deepEqual(Array.from(payload.text).length, expected.n_chars);
});

test("every trace comes back bit for bit, nan as nan", () => {
  const payload = decodePayload(bytes);
  for (const [name, values] of Object.entries(expected.traces)) {
    const wanted = values.map((/** @type {number | null} */ value) => (value === null ? NaN : value));
    assert.deepEqual(Array.from(payload.sections[`trace/${name}`]), wanted);
  }
});

test("a value gets the colour that palette.py gives it", () => {
  const payload = decodePayload(bytes);
  for (const [name, indices] of Object.entries(expected.colours)) {
    const values = /** @type {Float32Array} */ (payload.sections[`trace/${name}`]), scale = payload.header.scales[name];
    assert.deepEqual(Array.from(values, (value) => colourIndex(value, scale)), indices);
    const trace = new Trace(values, scale);
    assert.deepEqual(indices.map((/** @type {number} */ _, /** @type {number} */ at) => trace.entry(at)), indices);
  }
});

test("guesses come with their characters, also as half floats", () => {
  const payload = decodePayload(bytes);
  const found = Array.from({ length: expected.n_chars }, (_, at) =>
    guessesIn(payload.sections, payload.header.guesses, payload.header.symbols, at).map((one) => [one.char, one.probability]));
  assert.deepEqual(found, expected.guesses);
});

test("a payload is read at any offset of the message that carries it", () => {
  for (const offset of [1, 2, 3, 5]) {
    const message = new Uint8Array(bytes.length + offset);
    message.set(bytes, offset);
    assert.equal(decodePayload(message.subarray(offset)).text, expected.text);
  }
});

test("a payload of another version says what to do", () => {
  const other = bytes.slice();
  const place = new TextDecoder("latin1").decode(other).indexOf('"version": 2') + '"version": '.length;
  other[place] = "9".charCodeAt(0);
  assert.throws(() => decodePayload(other), /version 9.*reload the page/);
});

test("half floats keep zero, subnormal, infinite and nan", () => {
  assert.deepEqual([0x0000, 0x0001, 0x3c00, 0xbc00, 0x3555, 0x7bff, 0x7c00].map(fromHalf),
    [0, 2 ** -24, 1, -1, 0.333251953125, 65504, Infinity]);
  assert.ok(Number.isNaN(fromHalf(0x7e00)));
});

test("a fetched trace paints the same as its values", () => {
  const diverging = /** @type {const} */ ({ kind: "diverging", low: -2, high: 2 });
  const values = Float32Array.from([-9, -2, -0.7, 0, 1.3, 2, NaN]);
  const entries = Uint8Array.from(values, (value) => Math.max(colourIndex(value, diverging), 0));
  const [sent, fetched] = [new Trace(values, diverging), new Trace(entries, diverging, [-9, 2])];
  const places = Array.from(values.keys());
  assert.deepEqual(places.map((at) => fetched.className(at)), places.map((at) => sent.className(at)));
  assert.deepEqual([sent.reach, fetched.values, fetched.level(3)], [[-9, 2], null, 0]);
  const gate = /** @type {const} */ ({ kind: "sequential", low: 0, high: 1 });
  assert.equal(new Trace(Uint8Array.of(0, 255), gate, null).className(0), "s0");
});

test("values in steps come back as numbers, -128 as nan", () => {
  const head = JSON.stringify({ version: 2, sections: [{ name: "trace/0:1/cell", dtype: "int8", offset: 0, length: 4, step: 0.5 }] });
  const length = Math.ceil((4 + head.length) / 8) * 8 - 4;
  const message = new Uint8Array(4 + length + 4).fill(32);
  new DataView(message.buffer).setUint32(0, length, true);
  message.set(new TextEncoder().encode(head), 4);
  message.set([2, 127, 129, 128], 4 + length);
  assert.deepEqual(Array.from(decodePayload(message).sections["trace/0:1/cell"]), [1, 63.5, -63.5, NaN]);
});
