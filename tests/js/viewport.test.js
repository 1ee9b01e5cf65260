// What is in sight is asked of the browser once for each move, however often it is looked at.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AfterPaint, Viewport } from "../../dashboard/overlay/viewport.js";

/** An element that counts how often the browser would have to lay it out. */
function scroller() {
  let top = 30;
  const counted = { layouts: 0, clientHeight: 400 };
  Object.defineProperty(counted, "scrollTop", {
    get() { counted.layouts += 1; return top; },
    set(value) { top = Math.min(value, 1000); },
  });
  return counted;
}

test("the browser is asked once until something moves", () => {
  const element = scroller(), viewport = new Viewport(element);
  assert.deepEqual([viewport.top, viewport.height, viewport.place()], [30, 400, { top: 30, height: 400 }]);
  assert.equal(element.layouts, 1);
  element.scrollTop = 60;
  element.clientHeight = 300;
  viewport.moved();
  assert.deepEqual([viewport.top, viewport.height], [60, 300]);
  assert.equal(element.layouts, 2);
});

test("how far it scrolls is the browser's to say", () => {
  const viewport = new Viewport(scroller());
  viewport.scrollTo(5000);
  assert.equal(viewport.top, 1000);
});

test("what can wait is done behind the next frame, and only what was asked for last", async () => {
  /** @type {(() => void)[]} */ const frames = [], done = /** @type {string[]} */ ([]);
  Object.assign(globalThis, {
    requestAnimationFrame: (/** @type {() => void} */ work) => frames.push(work) - 1,
    cancelAnimationFrame: (/** @type {number} */ frame) => { frames[frame] = () => {}; },
  });
  const later = new AfterPaint();
  later.start(() => done.push("first"));
  later.start(() => done.push("second"));
  for (const frame of frames) frame();
  assert.deepEqual(done, []);
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(done, ["second"]);
});
