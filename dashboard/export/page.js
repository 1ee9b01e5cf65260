// @ts-check
// Streamlit's part, played inside the file: hands the overlay its message and answers what it reports. The address
// after # follows the reader, so that a link into the page leads to the same neuron and place.

import show from "../overlay/overlay.js";

/** @typedef {{neuron: string, signal: string, at: number | null}} Place */

const HOST = /** @type {HTMLElement} */ (document.getElementById("overlay"));
const ROOT = HOST.shadowRoot ?? shadowOf(HOST);
const BUTTONS = /** @type {HTMLButtonElement[]} */ (Array.from(document.querySelectorAll("nav button")));
const MESSAGE = bytesOf(/** @type {HTMLElement} */ (document.getElementById("payload")).textContent ?? "");
const FIRST = headerOf(MESSAGE);
let served = { ...FIRST };

/** What a browser makes of the template by itself; an older one leaves that to the page. @param {HTMLElement} host */
function shadowOf(host) {
  const template = /** @type {HTMLTemplateElement} */ (host.querySelector("template"));
  const root = host.attachShadow({ mode: "open" });
  root.append(template.content);
  template.remove();
  return root;
}

/** @param {string} base64 */
function bytesOf(base64) {
  const raw = atob(base64.trim()), bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place += 1) bytes[place] = raw.charCodeAt(place);
  return bytes;
}

/** @param {Uint8Array} message */
function lengthOf(message) {
  return new DataView(message.buffer, message.byteOffset).getUint32(0, true);
}

/** @param {Uint8Array} message @returns {Record<string, any>} */
function headerOf(message) {
  return JSON.parse(new TextDecoder().decode(message.subarray(4, 4 + lengthOf(message))));
}

/** The message with another header; sections keep their places behind it. @param {Record<string, any>} header */
function withHeader(header) {
  const said = new TextEncoder().encode(JSON.stringify(header)), body = MESSAGE.subarray(4 + lengthOf(MESSAGE));
  const length = Math.ceil((4 + said.length) / 8) * 8 - 4;
  const made = new Uint8Array(4 + length + body.length).fill(32, 4, 4 + length);
  new DataView(made.buffer).setUint32(0, length, true);
  made.set(said, 4);
  made.set(body, 4 + length);
  return made;
}

/** @param {Record<string, any>} header */
function serve(header) {
  served = { ...header, title: buttonOf(header.neuron)?.title || null };
  show({ data: withHeader(served), parentElement: ROOT, setStateValue: settle });
  mark(header.neuron);
}

/** @param {string} neuron */
function buttonOf(neuron) {
  return BUTTONS.find((one) => one.dataset.neuron === neuron);
}

/** @param {string} neuron */
function mark(neuron) {
  for (const one of BUTTONS) one.setAttribute("aria-pressed", String(one.dataset.neuron === neuron));
}

/** Writes where the reader is into the address. @param {Record<string, string>} place */
function remember(place) {
  const parts = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of Object.entries(place)) parts.set(name, value);
  try {
    history.replaceState(null, "", `#${parts.toString().replaceAll("%3A", ":")}`);
  } catch { /* a page inside a frame may not */ }
}

/** The reader has settled on a view. @param {string} _name @param {any} view */
function settle(_name, view) {
  remember({ neuron: view.neuron, signal: view.signal, at: String(view.at) });
  if (view.neuron !== served.neuron || view.signal !== served.signal) serve({ ...served, neuron: view.neuron, signal: view.signal });
}

/** The place that the address names, as far as there is one. @returns {Record<string, any>} */
function placeInAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const neuron = said.get("neuron") ?? "", signal = said.get("signal") ?? "", at = Number(said.get("at") ?? NaN);
  /** @type {Record<string, any>} */ const place = {};
  if (FIRST.only.includes(neuron)) place.neuron = neuron;
  if (FIRST.layers[Number((place.neuron ?? FIRST.neuron).split(":")[0])].signals.includes(signal)) place.signal = signal;
  if (Number.isInteger(at) && at >= 0 && at < FIRST.chars) place.at = at;
  return place;
}

for (const one of BUTTONS) {
  one.addEventListener("click", () => {
    serve({ ...served, neuron: one.dataset.neuron ?? "" });
    remember({ neuron: served.neuron });
  });
}
addEventListener("hashchange", () => serve({ ...served, ...placeInAddress(), jump: Number(served.jump) + 1 }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => serve(served));
serve({ ...FIRST, ...placeInAddress() });
