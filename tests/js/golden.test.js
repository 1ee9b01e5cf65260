// @ts-check
// The golden payload is written by Python (see tests/test_overlay.py, which names the command) and read here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { colourIndex } from "../../dashboard/overlay/colour.js";
import { decodePayload, fromHalf, guessesAt, traceOf } from "../../dashboard/overlay/payload.js";

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
    const [neuron, signal] = name.split("/");
    const wanted = values.map((/** @type {number | null} */ value) => (value === null ? NaN : value));
    assert.deepEqual(Array.from(traceOf(payload, neuron, signal) ?? []), wanted);
  }
  assert.equal(traceOf(payload, "0:1", "cell"), undefined);
});

test("a value gets the colour that palette.py gives it", () => {
  const payload = decodePayload(bytes);
  for (const [name, indices] of Object.entries(expected.colours)) {
    const [neuron, signal] = name.split("/");
    const trace = traceOf(payload, neuron, signal) ?? new Float32Array();
    assert.deepEqual(Array.from(trace, (value) => colourIndex(value, payload.header.scales[name])), indices);
  }
});

test("guesses come with their characters, also as half floats", () => {
  const payload = decodePayload(bytes);
  const found = Array.from({ length: expected.n_chars }, (_, at) => guessesAt(payload, at).map((one) => [one.char, one.probability]));
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
  const place = new TextDecoder("latin1").decode(other).indexOf('"version": 1') + '"version": '.length;
  other[place] = "9".charCodeAt(0);
  assert.throws(() => decodePayload(other), /version 9.*reload the page/);
});

test("half floats keep zero, subnormal, infinite and nan", () => {
  assert.deepEqual([0x0000, 0x0001, 0x3c00, 0xbc00, 0x3555, 0x7bff, 0x7c00].map(fromHalf),
    [0, 2 ** -24, 1, -1, 0.333251953125, 65504, Infinity]);
  assert.ok(Number.isNaN(fromHalf(0x7e00)));
});
