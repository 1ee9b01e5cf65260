// @ts-check
// What is written is read by the network piece by piece, and painted piece by piece.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Editor } from "../../dashboard/overlay/editor.js";
import { answer } from "./answers.js";

/** An editor without its field, whose network reads so many characters for each answer. @param {number[]} reads */
function editor(...reads) {
  /** @type {string[]} */ const happened = [];
  globalThis.fetch = /** @type {typeof fetch} */ (async (_, asked) => {
    happened.push("asked");
    asked?.signal?.addEventListener("abort", () => happened.push("done away with"));
    return answer({}, { loss: new Array(reads.shift()).fill(1) });
  });
  const writer = { address: () => "/draft", written: (/** @type {string} */ _, /** @type {any} */ { sections }) => happened.push(`painted ${sections.loss.length}`) };
  const parts = { root: { hidden: false }, said: { textContent: "" }, field: { value: "abcde", maxLength: 9 }, isStale: false, rest: null, writer };
  return { happened, made: /** @type {Editor} */ (Object.assign(Object.create(Editor.prototype), parts)) };
}

test("the network reads on while the beginning is painted", async () => {
  const { happened, made } = editor(2, 4, 5);
  await made.read("abcde");
  assert.deepEqual(happened, ["asked", "asked", "painted 2", "asked", "painted 4", "painted 5"]);
  assert.equal(made.said.textContent, "5 characters, not kept");
});

test("of a version that was written over only what is read already is painted", async () => {
  const { happened, made } = editor(2, 5);
  made.isStale = true;
  await made.read("abcde");
  assert.deepEqual(happened, ["asked", "painted 2"]);
});

test("a version that could not be read is sent once more by itself", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { happened, made } = editor();
  globalThis.fetch = /** @type {typeof fetch} */ (async () => {
    happened.push("asked");
    if (happened.length < 2) throw new TypeError("no connection");
    return answer({}, { loss: [1, 1, 1, 1, 1] });
  });
  Object.assign(made, { text: "abcde" });
  await made.send();
  assert.equal(made.said.textContent, "not read: no connection");
  context.mock.timers.tick(1000);
  await new Promise(setImmediate);
  assert.deepEqual([happened, made.said.textContent], [["asked", "asked", "painted 5"], "5 characters, not kept"]);
});

test("what fails twice waits for the next key", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { made } = editor();
  let asked = 0;
  globalThis.fetch = /** @type {typeof fetch} */ (async () => {
    asked += 1;
    throw new TypeError("no connection");
  });
  Object.assign(made, { text: "abcde" });
  for (const sent of [2, 4]) {
    await made.send(); // as a key does
    for (let second = 0; second < 5; second += 1) {
      context.mock.timers.tick(1000);
      await new Promise(setImmediate);
    }
    assert.equal(asked, sent);
  }
});
