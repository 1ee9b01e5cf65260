// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { eventAt, numbersAt, show, stepsOf } from "../../dashboard/cell/steps.js";
import { columnsIn } from "../../dashboard/cell/strip.js";

const traces = { hidden: Float32Array.of(0.5, -0.25, 0.1), cell: Float32Array.of(1, -0.5, 0.2) };
const story = { text: ["a", '"', "b"], offset: 0, kind: "lstm", traces, label: Uint8Array.of(0, 1, 1), concept: "inside a string", starts: new Set([2]) };

test("the state before a document's first character is zero, and before a window's first unknown", () => {
  assert.deepEqual(numbersAt(story, 0).before, { hidden: 0, cell: 0 });
  assert.deepEqual(numbersAt(story, 1).before, { hidden: 0.5, cell: 1 });
  assert.deepEqual(numbersAt(story, 2).before, { hidden: 0, cell: 0 });
  assert.equal(numbersAt({ ...story, offset: 10, starts: new Set() }, 0).before.cell, NaN);
});

test("an LSTM's step is said in its own numbers", () => {
  const now = { forget_gate: 0.02, input_gate: 0.95, candidate: -0.99, output_gate: 0.5, cell: -0.92, hidden: -0.36 };
  const said = stepsOf("lstm", { now, before: { cell: 1, hidden: 0.1 }, isFirst: false }).map((step) => step.words);
  assert.deepEqual(said, [
    "Forget gate 0.02: the old cell value 1.00 is dropped.",
    "Input gate 0.95: of the candidate −0.99, −0.94 is added.",
    "Cell goes from 1.00 to −0.92: its sign turns.",
    "Output gate 0.50 shows tanh(−0.92) = −0.73 as hidden −0.36 to the next character and layer.",
  ]);
  const closed = stepsOf("lstm", { now: { ...now, forget_gate: 0.95, input_gate: 0.01, output_gate: 0.03 }, before: { cell: -0.92, hidden: 0 }, isFirst: false });
  assert.match(closed[0].words, /is kept/);
  assert.match(closed[1].words, /almost nothing is let in/);
  assert.match(closed[2].words, /stays at −0.92/);
  assert.match(closed[3].words, /stays inside/);
  const crept = stepsOf("lstm", { now: { ...now, cell: 0.03 }, before: { cell: 0, hidden: 0 }, isFirst: true });
  assert.equal(crept[2].words, "Cell hardly moves, from 0.00 to 0.03.");
});

test("a GRU and a plain RNN have steps of their own", () => {
  const now = { reset_gate: 0.05, update_gate: 0.95, candidate: 0.5, hidden: 0.21 };
  const said = stepsOf("gru", { now, before: { hidden: 0.2 }, isFirst: false }).map((step) => step.words).join(" ");
  assert.match(said, /ignores the old state/);
  assert.match(said, /the old state is kept \(0.19 of the old, 0.03 of the new\)/);
  assert.equal(stepsOf("rnn", { now: { hidden: 0.4 }, before: { hidden: 0 }, isFirst: true }).length, 2);
});

test("a concept begins, ends, and does neither", () => {
  assert.equal(eventAt(story, 0), null);
  assert.equal(eventAt(story, 1), "Here “inside a string” begins.");
  assert.equal(eventAt({ ...story, label: Uint8Array.of(1, 0, 0) }, 1), "Here “inside a string” ends.");
  assert.equal(eventAt({ ...story, label: null }, 1), null);
});

test("numbers read well", () => {
  assert.deepEqual([0.004, -0.004, -1.5, NaN].map(show), ["0.00", "0.00", "−1.50", "—"]);
  assert.ok(columnsIn(1400) > 60 && columnsIn(10) === 9);
});
