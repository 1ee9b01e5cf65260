// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Trace, stripes, themeOf } from "../../dashboard/overlay/colour.js";
import { barEnds } from "../../dashboard/overlay/panel.js";
import { KEYS, actionFor, changedLook, changesChoice, neighbour, otherLayer, typedNeuron } from "../../dashboard/overlay/view.js";
import { markOf, nameOf, showEnd, showValue, signalLetter, signalTitle } from "../../dashboard/overlay/words.js";

const plain = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };
const layers = [{ units: 3, signals: ["hidden", "cell"] }, { units: 2, signals: ["hidden"] }];

/** @param {number} value @param {import("../../dashboard/overlay/payload.js").Scale} scale */
function classOf(value, scale) {
  return new Trace(Float32Array.of(value), scale).className(0);
}

test("n and p cross layers and go round", () => {
  assert.deepEqual(neighbour(layers, { neuron: "0:1", signal: "cell" }, 1), { neuron: "0:2", signal: "cell" });
  assert.deepEqual(neighbour(layers, { neuron: "0:2", signal: "cell" }, 1), { neuron: "1:0", signal: "hidden" });
  assert.deepEqual(neighbour(layers, { neuron: "1:0", signal: "hidden" }, -1), { neuron: "0:2", signal: "hidden" });
  assert.deepEqual(neighbour(layers, { neuron: "1:1", signal: "hidden" }, 1), { neuron: "0:0", signal: "hidden" });
  assert.deepEqual(neighbour(layers, { neuron: "0:0", signal: "cell" }, -1), { neuron: "1:1", signal: "hidden" });
});

test("keys mean what the card says", () => {
  assert.deepEqual(actionFor({ ...plain, key: "n" }), { type: "neuron", step: 1 });
  assert.deepEqual(actionFor({ ...plain, key: "p" }), { type: "neuron", step: -1 });
  assert.deepEqual(actionFor({ ...plain, key: "2" }), { type: "signal", place: 1 });
  assert.deepEqual(actionFor({ ...plain, key: "ArrowUp", shiftKey: true }), { type: "move", move: "up", extend: true });
  assert.deepEqual(actionFor({ ...plain, key: "End", ctrlKey: true }), { type: "move", move: "text-end", extend: false });
  assert.deepEqual(actionFor({ ...plain, key: "?", shiftKey: true }), { type: "help" });
  assert.equal(new Set(KEYS.map(([keys]) => keys)).size, KEYS.length);
});

test("keys of the browser stay with the browser", () => {
  for (const key of ["r", "Tab", "F5", "toString"]) assert.equal(actionFor({ ...plain, key }), null);
  for (const key of ["c", "n", "p", "r", "1", "ArrowLeft"]) assert.equal(actionFor({ ...plain, key, ctrlKey: true }), null);
  assert.equal(actionFor({ ...plain, key: "ArrowLeft", altKey: true }), null);
});

test("brackets are keys on every keyboard, Caps Lock changes nothing, and other letters go by their place", () => {
  assert.deepEqual(actionFor({ ...plain, key: "[", ctrlKey: true, altKey: true }), { type: "layer", step: -1 }); // AltGr
  assert.deepEqual(actionFor({ ...plain, key: "}", altKey: true }), { type: "file", step: 1 }); // Option
  assert.equal(actionFor({ ...plain, key: "[", metaKey: true }), null);
  assert.equal(actionFor({ ...plain, key: "[", ctrlKey: true }), null);
  assert.deepEqual(actionFor({ ...plain, key: "N" }), { type: "neuron", step: 1 });
  assert.deepEqual(actionFor({ ...plain, key: "т", code: "KeyN" }), { type: "neuron", step: 1 });
  assert.deepEqual(actionFor({ ...plain, key: "ф", code: "KeyA", ctrlKey: true }), { type: "mark-all" });
  assert.equal(actionFor({ ...plain, key: "x", code: "KeyB" }), null); // Latin letters go by what they are
  assert.deepEqual(actionFor({ ...plain, key: "f", ctrlKey: true }), { type: "search" });
});

test("a late answer does not snap the view back", () => {
  const a = { neuron: "1:1", signal: "cell" }, b = { neuron: "1:2", signal: "cell" }, c = { neuron: "1:3", signal: "cell" };
  const state = { wanted: c, asked: [b, c], served: a };
  assert.equal(changesChoice(state, b), false); // the answer to an older wish
  assert.equal(changesChoice(state, a), false); // a rerun before the wish arrived
  assert.equal(changesChoice(state, c), false);
  assert.equal(changesChoice({ wanted: c, asked: [], served: c }, a), true); // Python chose by itself
});

test("nan has no colour and zero has the middle one", () => {
  const diverging = /** @type {const} */ ({ kind: "diverging", low: -2, high: 2 });
  assert.equal(classOf(NaN, diverging), "none");
  assert.equal(classOf(0, diverging), "d128");
  assert.equal(classOf(-0, diverging), "d128");
  assert.equal(classOf(-2, diverging), "d1");
  assert.equal(classOf(-50, diverging), "d1");
  assert.equal(classOf(2, diverging), "d255");
  assert.equal(classOf(1, { kind: "sequential", low: 0, high: 1 }), "s255");
});

test("bars grow from the middle for values with two signs", () => {
  const diverging = /** @type {const} */ ({ kind: "diverging", low: -2, high: 2 });
  assert.deepEqual(barEnds(-1, diverging), [0.25, 0.5]);
  assert.deepEqual(barEnds(1, diverging), [0.5, 0.75]);
  assert.deepEqual(barEnds(9, diverging), [0.5, 1]);
  assert.deepEqual(barEnds(0.3, { kind: "sequential", low: 0, high: 1 }), [0, 0.3]);
  assert.deepEqual(barEnds(NaN, diverging), [0, 0]);
});

test("numbers keep six digits, nan is a dash", () => {
  assert.equal(showValue(Math.fround(-0.28143)), "−0.281430");
  assert.equal(showValue(Math.fround(1234.5678)), "1234.57");
  assert.equal(showValue(1e-7), "1.00000e-7");
  assert.equal(showValue(0), "0");
  assert.equal(showValue(NaN), "—");
  assert.equal(showValue(-Infinity), "−∞");
  assert.deepEqual([showEnd(-1, true), showEnd(0, false), showEnd(1, false), showEnd(2.345678, true)], ["−1", "0", "1", "+2.35"]);
});

test("characters without a shape have a name and a mark", () => {
  assert.deepEqual(["\n", "\t", " ", "\0", "e", "\u0301", "\u200b", "日"].map(markOf), ["↵", "⇥", "·", "□", "e", "◌\u0301", "□", "日"]);
  assert.deepEqual(["\n", "\t", " ", "\0", "e", "\u200b", "\u202e"].map(nameOf),
    ["newline", "tab", "space", "U+0000 null", "e", "U+200B zero-width space", "U+202E"]);
});

test("signals have one letter and a full name", () => {
  assert.deepEqual(["hidden", "cell", "input_gate", "forget_gate", "candidate", "output_gate"].map(signalLetter).join(""), "hcifgo");
  assert.equal(signalTitle("forget_gate"), "forget gate");
  assert.equal(signalTitle("something_new"), "something new");
});

test("the theme is read off the background", () => {
  assert.deepEqual(["#ffffff", "#0e1117", "rgb(250, 250, 250)", "rgb(14, 17, 23)", "#fff", "#111", ""].map(themeOf),
    ["light", "dark", "light", "dark", "light", "dark", "light"]);
});

test("a cell of several code points shows each one's colour", () => {
  assert.equal(stripes(["red", "blue"]), "linear-gradient(90deg, red 0% 50%, blue 50% 100%)");
});

test("brackets lead to the same unit of another layer, or to its last", () => {
  assert.deepEqual(otherLayer(layers, { neuron: "0:2", signal: "cell" }, 1), { neuron: "1:1", signal: "hidden" });
  assert.deepEqual(otherLayer(layers, { neuron: "0:1", signal: "hidden" }, -1), { neuron: "1:1", signal: "hidden" });
});

test("a typed neuron is one that exists, or a sentence", () => {
  const choice = { neuron: "0:1", signal: "cell" };
  assert.deepEqual(typedNeuron(layers, choice, " 1:0 "), { neuron: "1:0", signal: "hidden" });
  assert.deepEqual(typedNeuron(layers, choice, "0"), { neuron: "0:0", signal: "cell" });
  for (const typed of ["", "2:0", "0:3", "x", "1:", "-1"]) assert.match(String(typedNeuron(layers, choice, typed)), /0:0 to 0:2, 1:0 to 1:1/);
});

test("the look changes by one thing at a time", () => {
  const known = { palettes: ["a", "b"], neuron: "0:1" };
  /** @type {import("../../dashboard/overlay/view.js").Look} */
  const look = { palette: "b", colour: "neuron", expects: false, spaces: false, wrap: true, tab: 8, pins: ["1:0"], mark: null };
  assert.equal(changedLook(look, { type: "palette" }, known).palette, "a");
  assert.equal(changedLook(look, { type: "tab" }, known).tab, 2);
  assert.equal(changedLook(look, { type: "surprise" }, known).colour, "surprise");
  assert.deepEqual(changedLook(look, { type: "pin" }, known).pins, ["1:0", "0:1"]);
  assert.deepEqual(changedLook(look, { type: "pin", name: "1:0" }, known).pins, []);
  const full = { ...look, pins: Array.from({ length: 12 }, (_, unit) => `0:${unit + 5}`) };
  assert.equal(changedLook(full, { type: "pin" }, known).pins.length, 12);
});

test("where there are only some neurons, no key leads to another", () => {
  const layers = [{ units: 600, signals: ["hidden", "cell"] }, { units: 600, signals: ["hidden", "cell"] }];
  const only = ["1:497", "0:3", "1:282"], here = { neuron: "1:497", signal: "cell" };
  assert.equal(neighbour(layers, here, 1, only).neuron, "0:3");
  assert.equal(neighbour(layers, here, -1, only).neuron, "1:282");
  assert.equal(otherLayer(layers, here, 1, only).neuron, "0:3");
  assert.deepEqual(typedNeuron(layers, here, "282", only), { neuron: "1:282", signal: "cell" });
  assert.match(String(typedNeuron(layers, here, "1:283", only)), /1:497, 0:3, 1:282/);
});
