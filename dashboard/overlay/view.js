// @ts-check
// What the reader looks at, and who decides about it: keys to actions, the next neuron, and whether a message from
// Python changes the reader's choice or merely answers it.

/** @typedef {{neuron: string, signal: string}} Choice */
/** @typedef {{units: number, signals: string[]}} Layer */
/** @typedef {{type: string, move?: string, extend?: boolean, step?: number, place?: number}} Action */

/** @type {Record<string, string>} */
const MOVES = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  PageUp: "page-up", PageDown: "page-down", Home: "line-start", End: "line-end",
};

/** What the `?` card says. */
export const KEYS = [
  ["← → ↑ ↓", "move the cursor; with shift: mark text"],
  ["Home End", "start and end of the row; with ctrl: of the text"],
  ["PageUp PageDown", "a screen up or down"],
  ["n p", "next and previous neuron"],
  ["1 … 6", "signal"],
  ["e", "what the network expects, under each line"],
  ["w", "marks for spaces, tabs and newlines"],
  ["ctrl A, ctrl C", "mark everything, copy the marked text"],
  ["Esc", "close this card, unmark"],
  ["?", "this card"],
];

/**
 * @param {{key: string, shiftKey: boolean, ctrlKey: boolean, metaKey: boolean, altKey: boolean}} event
 * @returns {Action | null}
 */
export function actionFor({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey) return null;
  if (ctrlKey || metaKey) {
    if (key === "Home" || key === "End") return { type: "move", move: key === "Home" ? "text-start" : "text-end", extend: shiftKey };
    return key.toLowerCase() === "a" && !shiftKey ? { type: "mark-all" } : null;
  }
  if (key in MOVES) return { type: "move", move: MOVES[key], extend: shiftKey };
  if (/^[1-9]$/.test(key)) return { type: "signal", place: Number(key) - 1 };
  switch (key) {
    case "n": return { type: "neuron", step: 1 };
    case "p": return { type: "neuron", step: -1 };
    case "e": return { type: "expects" };
    case "w": return { type: "marks" };
    case "?": return { type: "help" };
    case "Escape": return { type: "escape" };
    default: return null;
  }
}

/**
 * The neuron `step` places further, through all layers and round again; its signal if the layer has it.
 * @param {Layer[]} layers
 * @param {Choice} choice
 * @param {number} step
 * @returns {Choice}
 */
export function neighbour(layers, { neuron, signal }, step) {
  const [layer, unit] = neuron.split(":").map(Number);
  const total = layers.reduce((sum, { units }) => sum + units, 0);
  let place = unit + step;
  for (let above = 0; above < layer; above += 1) place += layers[above].units;
  place = ((place % total) + total) % total;
  let at = 0;
  while (place >= layers[at].units) {
    place -= layers[at].units;
    at += 1;
  }
  const { signals } = layers[at];
  return { neuron: `${at}:${place}`, signal: signals.includes(signal) ? signal : signals[0] };
}

/** @param {Choice} one @param {Choice | null} other */
export function sameChoice(one, other) {
  return other !== null && one.neuron === other.neuron && one.signal === other.signal;
}

/**
 * Whether Python's message changes what the reader sees. It does when Python chose something by itself (a click
 * elsewhere on the page); it does not when it answers an older wish or repeats itself while a newer wish is under way.
 * @param {{wanted: Choice, asked: Choice[], served: Choice | null}} state
 * @param {Choice} incoming
 */
export function changesChoice({ wanted, asked, served }, incoming) {
  if (sameChoice(incoming, wanted)) return false;
  return !sameChoice(incoming, served) && !asked.some((choice) => sameChoice(choice, incoming));
}
