// @ts-check
// A message from Python, taken apart: the one that mounts the component, and every answer of serve.py. payload.py
// writes them:
//
//     uint32 length of the header │ JSON header │ sections, each at a multiple of 8 bytes behind the header
//
// Bytes only: in a JSON message nan would be invalid and numpy numbers would arrive as their names.

export const PAYLOAD_VERSION = 2;

/** @typedef {{kind: "diverging" | "sequential" | "probability", low: number, high: number}} Scale */
/** @typedef {{name: string, start: number, stop: number}} TextDocument */
/**
 * @typedef {object} Header
 * @property {number} version
 * @property {string} neuron              "1:42"
 * @property {string} signal              "cell"
 * @property {string} key                 the same for the same text
 * @property {string | null} source       where to fetch from what did not come along
 * @property {string[]} ready             signals that can be fetched there
 * @property {number} editable            characters that may be written and read at once there; 0 where none
 * @property {number} chars               code points of the text
 * @property {{units: number, signals: string[]}[]} layers
 * @property {Record<string, Scale>} scales   by "1:42/cell"
 * @property {Scale} surprise             of the loss
 * @property {TextDocument[]} documents
 * @property {string[]} symbols           what the guesses' ids mean
 * @property {number} guesses             guesses per character, 0 where there are none
 * @property {string | null} title       what the chosen neuron is
 * @property {string | null} evidence    what that rests on
 * @property {boolean} [fills]           whether it reaches down to the bottom of the window
 * @property {number | null} at
 * @property {string | number | null} jump
 * @property {import("./view.js").Look} look
 * @property {Record<string, string>} palettes  what each is called, by name
 * @property {Record<string, string[]>} suggested  neurons worth pinning, by why
 * @property {string[]} [only]            the neurons there are, where not every one can be had
 * @property {string} [missing]           of an answer: what could not be had
 * @property {{name: string, dtype: string, offset: number, length: number, step?: number}[]} sections
 */
/**
 * @typedef {object} Payload
 * @property {Header} header
 * @property {string | null} text         null where it did not come along
 * @property {Record<string, Float32Array | Uint16Array | Uint32Array | Uint8Array>} sections   by name; float16 as raw uint16
 */

/**
 * @param {Uint8Array} bytes as Streamlit hands it over: a view at any offset into a larger buffer
 * @returns {Payload}
 */
export function decodePayload(bytes) {
  const own = bytes.slice(); // typed arrays need an aligned start, which a view into the message does not have
  const headerLength = new DataView(own.buffer).getUint32(0, true);
  const start = 4 + headerLength;
  /** @type {Header} */
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(own.subarray(4, start)));
  if (header.version !== PAYLOAD_VERSION) {
    throw new Error(`payload version ${header.version}, but this overlay reads version ${PAYLOAD_VERSION}: reload the page`);
  }
  /** @type {string | null} */ let text = null;
  /** @type {Payload["sections"]} */
  const sections = {};
  for (const section of header.sections) {
    const view = viewOf(own.buffer, section.dtype, start + section.offset, section.length, section.step);
    if (section.dtype !== "utf-8") sections[section.name] = view;
    // ignoreBOM means "do not drop it": a byte order mark is a character of the text like any other.
    else text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(view);
  }
  return { header, text, sections };
}

/**
 * @param {ArrayBufferLike} buffer
 * @param {string} dtype
 * @param {number} offset in bytes
 * @param {number} length in items
 * @param {number} [step] what one unit of an int8 value stands for
 */
function viewOf(buffer, dtype, offset, length, step = 1) {
  switch (dtype) {
    case "float32": return new Float32Array(buffer, offset, length);
    case "float16": case "uint16": return new Uint16Array(buffer, offset, length);
    case "uint32": return new Uint32Array(buffer, offset, length);
    case "int8": return new Float32Array(new Int8Array(buffer, offset, length)).map((value) => (value === -128 ? NaN : value * step));
    case "uint8": case "utf-8": return new Uint8Array(buffer, offset, length);
    default: throw new Error(`a section of dtype ${dtype}, which this overlay cannot read: reload the page`);
  }
}

/**
 * Guesses of consecutive characters, likeliest first.
 * @param {Payload["sections"]} sections
 * @param {number} k guesses per character
 * @param {string[]} symbols
 * @param {number} place which of the characters
 * @returns {{char: string, probability: number}[]}
 */
export function guessesIn(sections, k, symbols, place) {
  const ids = sections["guess/ids"], values = sections["guess/probabilities"];
  const isHalf = values instanceof Uint16Array;
  const found = [];
  for (let at = place * k; at < (place + 1) * k; at += 1) {
    found.push({ char: symbols[ids[at]], probability: isHalf ? fromHalf(values[at]) : values[at] });
  }
  return found;
}

/**
 * IEEE 754 half precision: browsers of today have no Float16Array.
 * @param {number} bits
 */
export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
