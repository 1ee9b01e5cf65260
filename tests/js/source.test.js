// @ts-check
// What is fetched, what is fetched anew, and what happens where nothing can be.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Source } from "../../dashboard/overlay/source.js";
import { answer, settle } from "./answers.js";

/** @typedef {import("../../dashboard/overlay/payload.js").Payload} Payload */

/** What Python sends. @param {Partial<Payload["header"]>} [changes] @returns {Payload} */
function payload(changes = {}) {
  const header = { key: "text", source: "/charscope/name", ready: ["hidden"], scales: {}, symbols: [], guesses: 0, ...changes };
  return /** @type {Payload} */ (/** @type {unknown} */ ({ header, text: null, sections: {} }));
}

/** @type {string[]} */ let asked;
/** @type {(path: string) => Response | Promise<Response>} */ let serve;
/** @type {Source} */ let source;
/** @type {string[]} */ let arrived;

beforeEach(() => {
  asked = [];
  arrived = [];
  globalThis.fetch = /** @type {typeof fetch} */ (async (address) => {
    asked.push(String(address));
    return serve(String(address));
  });
  mock.timers.enable({ apis: ["setTimeout"] });
  source = new Source((kind) => arrived.push(kind));
  source.take(payload());
});
afterEach(() => mock.timers.reset());

const GATE = { neuron: "0:1", signal: "input_gate" }, HIDDEN = { neuron: "0:1", signal: "hidden" };

test("gates that Python says are read come with values fetched before", async () => {
  serve = () => answer({}, asked.length === 1 ? { hidden: [1] } : { hidden: [1], input_gate: [0.5] });
  source.value(HIDDEN, 0);
  await settle();
  assert.equal(source.value(HIDDEN, 0), 1);

  source.take(payload({ ready: ["hidden", "input_gate"] }));
  source.value(GATE, 0);
  await settle();

  assert.equal(source.value(GATE, 0), 0.5);
});

test("values that were on their way when gates were read are asked for again", async () => {
  serve = (path) => {
    if (path.endsWith("/ready")) return answer({ ready: ["hidden", "input_gate"] });
    return answer({}, asked.filter((one) => one === path).length === 1 ? { hidden: [1] } : { hidden: [1], input_gate: [0.5] });
  };
  source.value(GATE, 0); // not read yet: asks whether it is
  mock.timers.tick(1500);
  source.value(HIDDEN, 0);
  await settle();
  source.value(GATE, 0);
  await settle();

  assert.equal(source.value(GATE, 0), 0.5);
});

test("a connection that fails once is tried again, and nothing is given up", async () => {
  serve = () => {
    if (asked.length === 1) throw new TypeError("failed to fetch");
    return answer({}, { loss: [1] });
  };
  source.take(payload({ surprise: { kind: "sequential", low: 0, high: 1 } }));
  source.loss();
  await settle();
  assert.equal(source.isBroken, false);
  mock.timers.tick(1000);
  await settle();

  assert.deepEqual([asked.length, source.isBroken, source.loss()?.values?.[0]], [2, false, 1]);
});

for (const [when, happens] of /** @type {[string, () => void][]} */ ([
  ["after a while", () => mock.timers.tick(10_000)],
  ["for another text", () => source.take(payload({ source: "/charscope/other" }))],
])) {
  test(`where nothing can be fetched Python is asked, and the fast way is tried again ${when}`, async () => {
    serve = () => new Response("somebody else's page");
    source.ask(HIDDEN);
    await settle();
    assert.equal(source.isBroken, true);

    happens();

    assert.equal(source.isBroken, false);
  });
}

test("a server that stumbles over what is similar still gives traces", async () => {
  serve = () => new Response("", { status: 500 });
  source.similar(HIDDEN);
  await settle();
  assert.equal(source.isBroken, false);
  source.ask(HIDDEN);
  await settle();
  assert.equal(source.isBroken, true);
});

test("what is lost is said once", async () => {
  serve = () => answer({ missing: "no longer in memory" });
  source.value(HIDDEN, 0);
  await settle();
  assert.deepEqual([source.lacks("values/0:1/0"), source.lacks("values/0:1/0")], [true, false]);
  source.take(payload());
  source.value(HIDDEN, 0);
  await settle();
  assert.equal(source.lacks("values/0:1/0"), false);
});

test("whether gates are read is asked again after an answer that failed", async () => {
  serve = () => (asked.length === 1 ? new Response("", { status: 404 }) : answer({ ready: ["hidden", "input_gate"] }));
  source.value(GATE, 0);
  mock.timers.tick(1500);
  await settle();
  mock.timers.tick(10_000); // until the fast way is tried again

  source.value(GATE, 0);
  mock.timers.tick(1500);
  await settle();

  assert.equal(asked.length, 2);
  assert.deepEqual(source.payload?.header.ready, ["hidden", "input_gate"]);
});

test("nothing is fetched after the end", async () => {
  serve = () => answer({}, { hidden: [1] });
  source.value(GATE, 0);
  source.close();
  mock.timers.tick(10_000);
  source.value(HIDDEN, 0);
  await settle();
  assert.deepEqual(asked, []);
});
