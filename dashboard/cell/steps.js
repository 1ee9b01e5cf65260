// @ts-check
// What one step of a recurrent cell did to one neuron, in numbers and in words. The equations are those of torch's
// nn.LSTM, nn.GRU and nn.RNN; nothing here draws.

/** @typedef {{text: string[], offset: number, kind: string, traces: Record<string, Float32Array>, label: Uint8Array | null, concept: string | null, starts: Set<number>}} Story */
/** @typedef {{title: string, words: string}} Step */
/** @typedef {{now: Record<string, number>, before: Record<string, number>, isFirst: boolean}} Numbers */

/**
 * All signals of the neuron after this character and after the one before it; at the start of a document the state is 0.
 * @param {Story} story
 * @param {number} place index into the traces
 * @returns {Numbers}
 */
export function numbersAt(story, place) {
  const isFirst = place === 0 ? story.offset === 0 : story.starts.has(story.offset + place);
  const names = Object.keys(story.traces);
  const at = (/** @type {number} */ where) => Object.fromEntries(names.map((name) => [name, story.traces[name][where]]));
  const nothing = Object.fromEntries(names.map((name) => [name, 0]));
  const unknown = Object.fromEntries(names.map((name) => [name, NaN]));
  return { now: at(place), before: isFirst ? nothing : place === 0 ? unknown : at(place - 1), isFirst };
}

/** @param {number} value two decimals, a true minus sign, a dash for what is not known */
export function show(value) {
  if (Number.isNaN(value)) return "—";
  const written = Math.abs(value).toFixed(2);
  return value < 0 && written !== "0.00" ? `−${written}` : written;
}

/**
 * The steps of this kind of cell, one sentence each.
 * @param {string} kind
 * @param {Numbers} numbers
 * @returns {Step[]}
 */
export function stepsOf(kind, numbers) {
  if (kind === "lstm") return lstm(numbers);
  return kind === "gru" ? gru(numbers) : rnn(numbers);
}

/** @param {Numbers} numbers @returns {Step[]} */
function lstm({ now, before, isFirst }) {
  const kept = now.forget_gate * before.cell;
  const added = now.input_gate * now.candidate;
  return [
    { title: "1 Forget", words: isFirst ? "There is no old state yet: it starts from 0." : forgotten(now.forget_gate, before.cell, kept) },
    { title: "2 Write", words: written(now.input_gate, now.candidate, added) },
    { title: "3 New state", words: moved("Cell", before.cell, now.cell) },
    { title: "4 Show", words: shown(now.output_gate, now.cell, now.hidden) },
  ];
}

/** @param {number} gate @param {number} old @param {number} kept */
function forgotten(gate, old, kept) {
  const start = `Forget gate ${show(gate)}: `;
  if (gate < 0.1) return `${start}the old cell value ${show(old)} is dropped.`;
  if (gate > 0.9) return `${start}the old cell value ${show(old)} is kept.`;
  return `${start}of the old cell value ${show(old)}, ${show(kept)} remains.`;
}

/** @param {number} gate @param {number} candidate @param {number} added */
function written(gate, candidate, added) {
  const start = `Input gate ${show(gate)}: `;
  if (gate < 0.1) return `${start}almost nothing is let in; the candidate was ${show(candidate)}.`;
  if (Math.abs(added) < 0.05) return `${start}the way in is open, but the candidate is ${show(candidate)}: there is nothing to write.`;
  return `${start}of the candidate ${show(candidate)}, ${show(added)} is added.`;
}

/** @param {string} what @param {number} from @param {number} to */
function moved(what, from, to) {
  if (Number.isNaN(from)) return `${what} is now ${show(to)}.`;
  if (show(from) === show(to)) return `${what} stays at ${show(to)}.`;
  if (Math.abs(to - from) < 0.05) return `${what} hardly moves, from ${show(from)} to ${show(to)}.`;
  const turned = from * to < 0 && Math.min(Math.abs(from), Math.abs(to)) > 0.1 ? ": its sign turns" : "";
  return `${what} goes from ${show(from)} to ${show(to)}${turned}.`;
}

/** @param {number} gate @param {number} cell @param {number} hidden */
function shown(gate, cell, hidden) {
  const inside = `tanh(${show(cell)}) = ${show(Math.tanh(cell))}`;
  if (gate < 0.1) return `Output gate ${show(gate)}: ${inside} stays inside; the others see ${show(hidden)}.`;
  return `Output gate ${show(gate)} shows ${inside} as hidden ${show(hidden)} to the next character and layer.`;
}

/** @param {Numbers} numbers @returns {Step[]} */
function gru({ now, before, isFirst }) {
  const { reset_gate: reset, update_gate: update, candidate, hidden } = now;
  const looked = reset < 0.1 ? "ignores" : reset > 0.9 ? "sees all of" : "sees part of";
  const mixed = update > 0.9 ? "the old state is kept" : update < 0.1 ? "the candidate takes its place" : "the two are mixed";
  return [
    { title: "1 Reset", words: isFirst ? "There is no old state yet: it starts from 0." : `Reset gate ${show(reset)}: the proposal ${looked} the old state.` },
    { title: "2 Propose", words: `The candidate is ${show(candidate)}.` },
    { title: "3 Mix", words: `Update gate ${show(update)}: ${mixed} (${show(update * before.hidden)} of the old, ${show((1 - update) * candidate)} of the new).` },
    { title: "4 New state", words: moved("Hidden", before.hidden, hidden) },
  ];
}

/** @param {Numbers} numbers @returns {Step[]} */
function rnn({ now, before, isFirst }) {
  const old = isFirst ? "There is no old state yet: it starts from 0." : `The old state ${show(before.hidden)} and those of all its neighbours come in with the character.`;
  return [
    { title: "1 Listen", words: old },
    { title: "2 New state", words: `${moved("Hidden", before.hidden, now.hidden)} A plain RNN has no gates: everything is written anew at each step.` },
  ];
}

/**
 * What happens at this character for the concept in question: it opens, it closes, or nothing.
 * @param {Story} story @param {number} place
 */
export function eventAt(story, place) {
  if (story.label === null || story.concept === null || Number.isNaN(numbersAt(story, place).before.hidden)) return null;
  const now = story.label[place], before = place === 0 || numbersAt(story, place).isFirst ? 0 : story.label[place - 1];
  if (now === before) return null;
  return now ? `Here “${story.concept}” begins.` : `Here “${story.concept}” ends.`;
}
