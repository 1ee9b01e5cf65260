// @ts-check
// What the reader looks at, and who decides about it: keys to actions, the next neuron, how the text is shown, and
// whether a message from Python changes the reader's choice or merely answers it.

/** @typedef {{neuron: string, signal: string}} Choice */
/** @typedef {{units: number, signals: string[]}} Layer */
/** @typedef {{type: string, move?: string, extend?: boolean, step?: number, place?: number, name?: string}} Action */
/**
 * @typedef {object} Look  payload.py has the same names
 * @property {string} palette
 * @property {"neuron" | "surprise"} colour
 * @property {boolean} expects
 * @property {boolean} spaces
 * @property {boolean} wrap
 * @property {number} tab
 * @property {string[]} pins
 * @property {[number, number] | null} mark
 */

export const TABS = [2, 4, 8];
export const MOST_PINS = 12;

/** @type {Record<string, string>} */
const MOVES = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  PageUp: "page-up", PageDown: "page-down", Home: "line-start", End: "line-end",
};

/** @type {Record<string, Action>} */
const LETTERS = {
  n: { type: "neuron", step: 1 }, p: { type: "neuron", step: -1 },
  "]": { type: "layer", step: 1 }, "[": { type: "layer", step: -1 },
  ".": { type: "peak", step: 1 }, ",": { type: "peak", step: -1 },
  "}": { type: "file", step: 1 }, "{": { type: "file", step: -1 },
  i: { type: "write" }, g: { type: "go" }, "/": { type: "search" },
  m: { type: "mark" }, Enter: { type: "ask", name: "here" }, o: { type: "ask", name: "elsewhere" },
  b: { type: "pin" }, e: { type: "expects" }, s: { type: "surprise" },
  w: { type: "spaces" }, l: { type: "wrap" }, t: { type: "tab" }, c: { type: "palette" },
  "?": { type: "help" }, Escape: { type: "escape" },
};

const BRACKETS = new Set("[]{}");

/** What the `?` card says. */
export const KEYS = [
  ["← → ↑ ↓", "move the cursor; with shift: mark text"],
  ["Home End", "start and end of the row; with ctrl: of the text"],
  ["PageUp PageDown", "a screen up or down"],
  ["n p", "next and previous neuron"],
  ["[ ]", "previous and next layer"],
  ["g", "go to a neuron: 1:42"],
  ["1 … 6", "signal"],
  [", .", "previous and next peak of this neuron"],
  ["i", "write in the text; Esc: back to reading"],
  ["{ }", "previous and next file"],
  ["/ ctrl F", "search in the text; Enter: next, shift Enter: previous"],
  ["m", "begin or end marking"],
  ["Enter", "which neurons are on exactly in the mark?"],
  ["o", "where else is this neuron as in the mark?"],
  ["b", "pin this neuron under every line, or take it off"],
  ["e", "what the network expects, under each line"],
  ["s", "colour by surprise instead of the neuron"],
  ["c", "next palette"],
  ["w", "marks for spaces, tabs and newlines"],
  ["l", "break long lines, or scroll"],
  ["t", "tab width"],
  ["ctrl A, ctrl C", "mark everything, copy the mark"],
  ["Esc", "close what is open, unmark"],
  ["?", "this card"],
];

/**
 * @param {{key: string, code?: string, shiftKey: boolean, ctrlKey: boolean, metaKey: boolean, altKey: boolean}} event
 * @returns {Action | null}
 */
export function actionFor({ key: pressed, code = "", shiftKey, ctrlKey, metaKey, altKey }) {
  const key = commandOf(pressed, code);
  const isWritten = BRACKETS.has(pressed) && !metaKey && (altKey || !ctrlKey); // by AltGr or Option on many keyboards
  if (altKey && !isWritten) return null;
  if ((ctrlKey || metaKey) && !isWritten) {
    if (key === "Home" || key === "End") return { type: "move", move: key === "Home" ? "text-start" : "text-end", extend: shiftKey };
    if (shiftKey) return null;
    return key === "a" ? { type: "mark-all" } : key === "f" ? { type: "search" } : null;
  }
  if (Object.hasOwn(MOVES, key)) return { type: "move", move: MOVES[key], extend: shiftKey };
  if (/^[1-9]$/.test(key)) return { type: "signal", place: Number(key) - 1 };
  return Object.hasOwn(LETTERS, key) ? LETTERS[key] : null;
}

/**
 * The key that a command is known by: a small letter, whatever Caps Lock says; where the keyboard writes other letters
 * than Latin ones, the key at the same place.
 * @param {string} key
 * @param {string} code
 */
function commandOf(key, code) {
  if (key.length !== 1) return key;
  if (/[^\0-\x7f]/.test(key)) return /^Key([A-Z])$/.exec(code)?.[1].toLowerCase() ?? key;
  return key.toLowerCase();
}

/**
 * The look after an action that changes it, or the same one.
 * @param {Look} look
 * @param {Action} action
 * @param {{palettes: string[], neuron: string}} known
 * @returns {Look}
 */
export function changedLook(look, { type, name, place }, { palettes, neuron }) {
  switch (type) {
    case "expects": return { ...look, expects: !look.expects };
    case "spaces": return { ...look, spaces: !look.spaces };
    case "wrap": return { ...look, wrap: !look.wrap };
    case "surprise": return { ...look, colour: look.colour === "surprise" ? "neuron" : "surprise" };
    case "tab": return { ...look, tab: place ?? after(TABS, look.tab) };
    case "palette": return { ...look, palette: name ?? after(palettes, look.palette) };
    case "pin": return { ...look, pins: withPin(look.pins, name ?? neuron) };
    default: return look;
  }
}

/** @template T @param {T[]} list @param {T} one @returns {T} the one after it, round again */
function after(list, one) {
  return list[(list.indexOf(one) + 1) % list.length];
}

/** @param {string[]} pins @param {string} neuron */
function withPin(pins, neuron) {
  if (pins.includes(neuron)) return pins.filter((pin) => pin !== neuron);
  return pins.length < MOST_PINS ? [...pins, neuron] : pins;
}

/**
 * The neuron `step` places further, through all layers and round again; its signal if the layer has it.
 * @param {Layer[]} layers
 * @param {Choice} choice
 * @param {number} step
 * @param {string[] | null} [only] the neurons there are, where not every one can be had
 * @returns {Choice}
 */
export function neighbour(layers, { neuron, signal }, step, only = null) {
  if (only !== null) {
    const place = only.indexOf(neuron) + step;
    return withSignal(layers, only[((place % only.length) + only.length) % only.length], signal);
  }
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
  return withSignal(layers, `${at}:${place}`, signal);
}

/** The same unit of another layer, or its last; of `only` some neurons, the first there. @param {Layer[]} layers @param {Choice} choice @param {number} step @param {string[] | null} [only] @returns {Choice} */
export function otherLayer(layers, { neuron, signal }, step, only = null) {
  const [layer, unit] = neuron.split(":").map(Number);
  if (only !== null) {
    const elsewhere = only.find((one) => Number(one.split(":")[0]) !== layer);
    return withSignal(layers, elsewhere ?? neuron, signal);
  }
  const there = (((layer + step) % layers.length) + layers.length) % layers.length;
  return withSignal(layers, `${there}:${Math.min(unit, layers[there].units - 1)}`, signal);
}

/**
 * The neuron somebody typed: "1:42", or "42" in the layer that is shown.
 * @param {Layer[]} layers
 * @param {Choice} choice
 * @param {string} typed
 * @param {string[] | null} [only] the neurons there are, where not every one can be had
 * @returns {Choice | string} or one sentence that says what there is
 */
export function typedNeuron(layers, { neuron, signal }, typed, only = null) {
  const found = /^\s*(?:(\d+)\s*:\s*)?(\d+)\s*$/.exec(typed);
  const layer = Number(found?.[1] ?? neuron.split(":")[0]), unit = Number(found?.[2] ?? -1);
  const isThere = only === null || only.includes(`${layer}:${unit}`);
  if (found !== null && isThere && layer < layers.length && unit < layers[layer].units) {
    return withSignal(layers, `${layer}:${unit}`, signal);
  }
  if (only !== null) return `there is ${only.join(", ")}`;
  return `there is ${layers.map(({ units }, place) => `${place}:0 to ${place}:${units - 1}`).join(", ")}`;
}

/** Whether another digit could follow a neuron that is being typed. @param {Layer[]} layers @param {Choice} choice */
export function mayGrow(layers, { neuron }) {
  const [layer, unit] = neuron.split(":").map(Number);
  return unit > 0 && unit * 10 < layers[layer].units;
}

/** @param {Layer[]} layers @param {string} neuron @param {string} signal @returns {Choice} */
export function withSignal(layers, neuron, signal) {
  const { signals } = layers[Number(neuron.split(":")[0])];
  return { neuron, signal: signals.includes(signal) ? signal : signals[0] };
}

/** What may be wanted next: the other signals of this neuron, then its neighbours. @param {Layer[]} layers @param {Choice} choice @returns {Choice[]} */
export function likelyNext(layers, choice) {
  const near = [1, -1, 2].map((step) => neighbour(layers, choice, step));
  const { signals } = layers[Number(choice.neuron.split(":")[0])];
  return [...near, ...signals.map((signal) => ({ neuron: choice.neuron, signal }))];
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
