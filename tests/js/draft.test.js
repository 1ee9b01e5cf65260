// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Trace } from "../../dashboard/overlay/colour.js";
import { afterChange, draftTrace, exactPlace, inField } from "../../dashboard/overlay/draft.js";

/** @type {import("../../dashboard/overlay/payload.js").Scale} */
const scale = { kind: "diverging", low: -1, high: 1 };

/** An answer that has read so much. @param {number[]} entries */
function answer(...entries) {
  return /** @type {any} */ ({ header: { scale, reach: [0, 1] }, sections: { trace: Uint8Array.from(entries) } });
}

test("what is not read yet keeps the colours it had, and is paler", () => {
  const before = { text: "abcde", trace: new Trace(Uint8Array.of(201, 202, 203, 204, 205), scale, null) };

  const trace = draftTrace(answer(7, 8), Array.from("aXbcde"), before);

  assert.deepEqual(Array.from({ length: 6 }, (_, at) => trace.className(at)),
    ["d7", "d8", "d202 behind", "d203 behind", "d204 behind", "d205 behind"]);
});

test("other text that is not read yet has no colour", () => {
  const trace = draftTrace(answer(7), Array.from("pasted"), { text: "was here", trace: new Trace(new Uint8Array(8).fill(9), scale, null) });

  assert.deepEqual([trace.className(0), trace.className(3)], ["d7", "none behind"]);
  assert.equal(draftTrace(answer(1, 2), ["a", "b"], { text: "", trace: undefined }).className(1), "d2");
});

test("line ends stay as they were where nothing was written", () => {
  const exact = "a\r\nb\rc\nd";

  assert.equal(inField(exact), "a\nb\nc\nd");
  assert.equal(afterChange(exact, "a\nb\nc\nd"), exact);
  assert.equal(afterChange(exact, "a\nbx\nc\nd"), "a\r\nbx\rc\nd");
  assert.equal(afterChange(exact, "a\n\nb\nc\nd"), "a\r\n\r\nb\rc\nd");
  assert.equal(afterChange(exact, "a\nc\nd"), "a\r\nc\nd");
  assert.equal(afterChange("", "a\n"), "a\n");
  assert.equal(afterChange(exact, ""), "");
});

test("a place in the field has its place in the exact text", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((place) => exactPlace("a\r\nb\r\n", place)), [0, 1, 3, 4, 6, 6]);
});

test("whatever is written into lines that end in many ways, the text has the lines that the field shows", () => {
  const parts = ["\r", "\n", "\r\n", "a", "b"];
  let seed = 1;
  /** A number below n. @param {number} n */
  const draw = (n) => (seed = (seed * 48271) % 2147483647) % n;
  /** @param {number} n @param {string[]} from */
  const some = (n, from) => Array.from({ length: draw(n) }, () => from[draw(from.length)]).join("");

  for (let time = 0; time < 20_000; time += 1) {
    const exact = some(7, parts), shown = inField(exact);
    const start = draw(shown.length + 1), stop = start + draw(shown.length - start + 1);
    const value = shown.slice(0, start) + some(3, ["\n", "x"]) + shown.slice(stop);

    assert.equal(inField(afterChange(exact, value)), value, JSON.stringify([exact, value]));
  }
});
