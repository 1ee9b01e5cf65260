// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { codePointsIn, countMatches, findNext, kindOf, layoutRows, lineAndColumn, moved, rowOf, screenColumn, segment, unitsIn } from "../../dashboard/overlay/layout.js";
import { rowsInSight } from "../../dashboard/overlay/rows.js";

/**
 * @param {string} text
 * @param {{columns?: number, tab?: number, breaks?: number[]}} [options]
 */
function layoutOf(text, { columns = 80, tab = 4, breaks = [] } = {}) {
  const chars = Array.from(text);
  return layoutRows(chars, segment(text, chars, breaks), { columns, tab, breaks });
}

/** @param {import("../../dashboard/overlay/layout.js").Layout} layout */
function rowTexts(layout) {
  return Array.from(layout.lines, (_, row) => layout.chars.slice(layout.places[row], layout.places[row + 1]).join(""));
}

/** Numbers that look random and are the same every time. @param {number} seed */
function dice(seed) {
  let state = seed;
  return (/** @type {number} */ sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

test("rows put together are exactly the text", () => {
  const bits = ["a", "<b>", " ", "\n", "\r\n", "\t", "\0", "日", "😀", "👩‍👩‍👧", "e\u0301", "\u0301", "ש", "\ufeff", "\u202e", "🇩🇪", "\u2028", "word "];
  for (let seed = 1; seed <= 200; seed += 1) {
    const roll = dice(seed);
    const text = Array.from({ length: roll(120) }, () => bits[roll(bits.length)]).join("");
    const chars = Array.from(text);
    const breaks = chars.length > 4 && roll(2) ? [0, 1 + roll(chars.length - 1)] : [];
    const layout = layoutOf(text, { columns: 20 + roll(30), breaks });
    assert.equal(rowTexts(layout).join(""), text);
    assert.deepEqual(Array.from(layout.places).sort((a, b) => a - b), Array.from(layout.places));
  }
});

test("a line ends after its newline and nowhere else", () => {
  assert.deepEqual(rowTexts(layoutOf("a\r\nb\rc\n\nd\u2028e")), ["a\r\n", "b\rc\n", "\n", "d\u2028e"]);
  assert.deepEqual(rowTexts(layoutOf("end\n")), ["end\n"]);
  assert.deepEqual(rowTexts(layoutOf("")), []);
});

test("what is drawn as one is one cell", () => {
  const layout = layoutOf("e\u0301👩‍👩‍👧日\tx");
  assert.deepEqual(Array.from(layout.cells.starts), [0, 2, 7, 8, 9, 10]);
  assert.deepEqual(Array.from(layout.cells.widths), [1, 2, 2, 0, 1]);
});

test("a long line wraps after a space, or anywhere when there is none", () => {
  assert.deepEqual(rowTexts(layoutOf("one two three four", { columns: 10 })), ["one two ", "three four"]);
  assert.deepEqual(rowTexts(layoutOf("x".repeat(25), { columns: 10 })), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
  assert.deepEqual(Array.from(layoutOf("x".repeat(25) + "\ny", { columns: 10 }).lines), [1, 1, 1, 2]);
});

test("no row is wider than the limit", () => {
  const layout = layoutOf("\t\tif x:\t日本語".repeat(40), { columns: 30, tab: 8 });
  for (let row = 0; row < layout.lines.length; row += 1) {
    const last = layout.places[row + 1] - 1;
    assert.ok(screenColumn(layout, last) < 30);
  }
});

test("a tab reaches to the next tab stop", () => {
  assert.equal(screenColumn(layoutOf("ab\tc", { tab: 4 }), 3), 4);
  assert.equal(screenColumn(layoutOf("ab\tc", { tab: 8 }), 3), 8);
  assert.equal(screenColumn(layoutOf("\t\tc", { tab: 8 }), 2), 16);
});

test("line and column count code points from 1, anew in each document", () => {
  const layout = layoutOf("😀b\ncd|ef", { breaks: [0, 6] });
  assert.deepEqual(lineAndColumn(layout, 1), [1, 2]);
  assert.deepEqual(lineAndColumn(layout, 4), [2, 2]);
  assert.deepEqual(lineAndColumn(layout, 6), [1, 1]);
  assert.deepEqual(rowTexts(layout), ["😀b\n", "cd|", "ef"]);
});

test("the cursor keeps its screen column over a short line", () => {
  const layout = layoutOf("long line\nab\nlong line\n");
  const short = moved(layout, 7, "down", { goal: 7, page: 10 });
  assert.equal(short, 12); // the newline behind "ab"
  assert.equal(moved(layout, short, "down", { goal: 7, page: 10 }), 20);
  assert.equal(moved(layout, 20, "up", { goal: 7, page: 10 }), 12);
});

test("the cursor stays inside the text", () => {
  const layout = layoutOf("ab\ncd");
  const options = { goal: 0, page: 10 };
  assert.equal(moved(layout, 0, "left", options), 0);
  assert.equal(moved(layout, 4, "right", options), 4);
  assert.equal(moved(layout, 0, "up", options), 0);
  assert.equal(moved(layout, 0, "page-down", options), 3);
  assert.equal(moved(layout, 3, "line-end", options), 4);
  assert.equal(moved(layout, 4, "text-start", options), 0);
});

test("a hundred thousand characters are laid out in less than a second of work", () => {
  for (const text of ["x".repeat(100_000), "é日😀".repeat(33_334), "x = 1\n".repeat(17_000)]) {
    const before = process.cpuUsage().user;
    const layout = layoutOf(text, { columns: 100 });
    assert.ok(process.cpuUsage().user - before < 1_000_000);
    assert.equal(rowOf(layout, layout.chars.length - 1), layout.lines.length - 1);
  }
});

test("an accent stays with its letter, but not across documents", () => {
  assert.deepEqual(Array.from(layoutOf("ae\u0301b\n\u0301c").cells.starts), [0, 1, 3, 4, 5, 6, 7]);
  const two = layoutOf("ae\u0301b", { breaks: [0, 2] });
  assert.deepEqual(Array.from(two.cells.starts), [0, 1, 2, 3, 4]);
  assert.deepEqual(lineAndColumn(two, 2), [1, 1]);
});

test("characters are drawn by what they are", () => {
  const layout = layoutOf("a \t\0ש日\u202e\n");
  const kinds = Array.from(layout.cells.widths, (_, cell) => kindOf(layout, cell));
  assert.deepEqual(kinds, ["plain", "space", "tab", "invisible", "rtl", "boxed", "invisible", "newline"]);
});

test("only rows near the visible ones are kept", () => {
  const [first, stop] = rowsInSight({ top: 22_000, height: 660, rowHeight: 22, count: 5000 });
  assert.ok(first < 1000 && first > 900 && stop > 1030 && stop < 1100);
  assert.deepEqual(rowsInSight({ top: 0, height: 660, rowHeight: 22, count: 3 }), [0, 3]);
  assert.deepEqual(rowsInSight({ top: 99_999, height: 660, rowHeight: 22, count: 3 }), [3, 3]);
});

test("a search goes round, and lower case finds capitals", () => {
  const text = "😀ab Ab ab";
  assert.deepEqual([findNext(text, "ab", 0, 1), findNext(text, "ab", 3, 1), findNext(text, "ab", 9, 1)], [2, 5, 2]);
  assert.equal(findNext(text, "Ab", 0, 1), 5);
  assert.equal(findNext("\u0130 AB", "ab", 0, 1), 2); // the capital whose small letter is longer
  assert.deepEqual([findNext(text, "ab", 7, -1), findNext(text, "ab", -1, -1)], [5, 8]);
  assert.deepEqual([findNext(text, "", 0, 1), findNext(text, "zz", 0, 1)], [-1, -1]);
  assert.deepEqual([codePointsIn(text, 5), unitsIn(text, 4)], [4, 5]);
});

test("which of the matches it is, and how many there are, follow the same rule", () => {
  const text = "😀ab Ab ab";
  assert.deepEqual([countMatches(text, "ab", 5), countMatches(text, "Ab", 5), countMatches(text, "zz", 5)], [[2, 3], [1, 1], [0, 0]]);
});

test("what is drawn as one stays one in a run of any length", () => {
  const text = "漢".repeat(4093) + "👍🏽" + "漢".repeat(4000) + "e\u0301";
  const chars = Array.from(text), { starts } = segment(text, chars, []);
  assert.equal(starts.length - 1, chars.length - 2);
});
