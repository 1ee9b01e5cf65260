// @ts-check
// The one message from Python, taken apart. payload.py writes it:
//
//     uint32 length of the header │ JSON header │ sections, each at a multiple of 8 bytes behind the header
//
// Bytes only: in a JSON message nan would be invalid and numpy numbers would arrive as their names.

export const PAYLOAD_VERSION = 1;

/** @typedef {{kind: "diverging" | "sequential", low: number, high: number}} Scale */
/** @typedef {{name: string, start: number, stop: number}} TextDocument */
/**
 * @typedef {object} Header
 * @property {number} version
 * @property {string} neuron              "1:42"
 * @property {string} signal              "cell"
 * @property {{units: number, signals: string[]}[]} layers
 * @property {Record<string, Scale>} scales   by "1:42/cell"
 * @property {TextDocument[]} documents
 * @property {string[]} symbols           what the guesses' ids mean
 * @property {number} guesses             guesses per character, 0 where there are none
 * @property {number} tab                 columns between tab stops
 * @property {string | null} title
 * @property {number | null} at
 * @property {string | number | null} jump
 * @property {{name: string, dtype: string, offset: number, length: number}[]} sections
 */
/**
 * @typedef {object} Payload
 * @property {Header} header
 * @property {string} text
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
  let text = "";
  /** @type {Payload["sections"]} */
  const sections = {};
  for (const section of header.sections) {
    const view = viewOf(own.buffer, section.dtype, start + section.offset, section.length);
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
 */
function viewOf(buffer, dtype, offset, length) {
  switch (dtype) {
    case "float32": return new Float32Array(buffer, offset, length);
    case "float16": case "uint16": return new Uint16Array(buffer, offset, length);
    case "uint32": return new Uint32Array(buffer, offset, length);
    case "uint8": case "utf-8": return new Uint8Array(buffer, offset, length);
    default: throw new Error(`a section of dtype ${dtype}, which this overlay cannot read: reload the page`);
  }
}

/**
 * One trace, where Python sent it along.
 * @param {Payload} payload
 * @param {string} neuron
 * @param {string} signal
 * @returns {Float32Array | undefined}
 */
export function traceOf(payload, neuron, signal) {
  return /** @type {Float32Array | undefined} */ (payload.sections[`trace/${neuron}/${signal}`]);
}

/**
 * What the network expected after the character at `at`, likeliest first.
 * @param {Payload} payload
 * @param {number} at
 * @returns {{char: string, probability: number}[]}
 */
export function guessesAt(payload, at) {
  const { guesses: k, symbols, sections } = payload.header;
  if (k === 0) return [];
  const ids = payload.sections["guess/ids"];
  const values = payload.sections["guess/probabilities"];
  const isHalf = sections.some((section) => section.name === "guess/probabilities" && section.dtype === "float16");
  const found = [];
  for (let place = at * k; place < (at + 1) * k; place += 1) {
    const probability = isHalf ? fromHalf(values[place]) : values[place];
    found.push({ char: symbols[ids[place]], probability });
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
