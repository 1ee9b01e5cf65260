// @ts-check
// What things are called on screen: characters that cannot be seen, signals, numbers.

/** @type {Record<string, {letter: string, title: string}>} */
const SIGNALS = {
  hidden: { letter: "h", title: "hidden state" },
  cell: { letter: "c", title: "cell state" },
  input_gate: { letter: "i", title: "input gate" },
  forget_gate: { letter: "f", title: "forget gate" },
  candidate: { letter: "g", title: "candidate" },
  output_gate: { letter: "o", title: "output gate" },
  reset_gate: { letter: "r", title: "reset gate" },
  update_gate: { letter: "z", title: "update gate" },
};

/** @type {Record<string, string>} */
const NAMES = {
  "\n": "newline", "\t": "tab", "\r": "carriage return", " ": "space", "\u00a0": "no-break space", "\0": "null",
  "\ufeff": "byte order mark", "\u200b": "zero-width space", "\u200d": "zero-width joiner", "\u00ad": "soft hyphen",
  "\ufffd": "unknown character", "\ufe0f": "emoji variation selector",
};

/** @type {Record<string, string>} */
const MARKS = { "\n": "↵", "\t": "⇥", "\r": "←", " ": "·", "\u00a0": "·" };

/** Characters without a shape of their own: controls, invisible format characters, lone surrogates. */
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]$/u;

/** @param {string} signal */
export function signalLetter(signal) {
  return SIGNALS[signal]?.letter ?? signal.slice(0, 1);
}

/** @param {string} signal */
export function signalTitle(signal) {
  return SIGNALS[signal]?.title ?? signal.replaceAll("_", " ");
}

/** @param {string} char one code point */
export function isInvisible(char) {
  return INVISIBLE.test(char);
}

/**
 * A visible stand-in for one character: itself, or one of ↵ ⇥ ← · □.
 * @param {string} char one code point
 */
export function markOf(char) {
  if (char in MARKS) return MARKS[char];
  if (isInvisible(char)) return "□"; // few fonts have the control pictures; the panel gives the name
  return /^\p{M}$/u.test(char) ? `◌${char}` : char;
}

/**
 * What a character is called: "newline", "e", "U+200B zero-width space".
 * @param {string} char one code point
 */
export function nameOf(char) {
  const name = NAMES[char];
  if (!isInvisible(char) || char === "\n" || char === "\t" || char === "\r") return name ?? char;
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return name === undefined ? `U+${code}` : `U+${code} ${name}`;
}

/**
 * A float32 with six significant digits, a true minus sign, and a dash for nan.
 * @param {number | undefined} value
 */
export function showValue(value) {
  if (value === undefined || Number.isNaN(value)) return "—";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const digits = size < 1e-4 || size >= 1e6 ? size.toExponential(5) : size.toPrecision(6);
  return (value < 0 ? "−" : "") + digits;
}

/** @param {number} value an end of a scale: three digits are enough @param {boolean} isSigned */
export function showEnd(value, isSigned) {
  const digits = Number.isInteger(value) ? String(Math.abs(value)) : Math.abs(value).toPrecision(3);
  return (value < 0 ? "−" : value > 0 && isSigned ? "+" : "") + digits;
}

/** @param {number} count */
export function showCount(count) {
  return count.toLocaleString("en-US");
}
