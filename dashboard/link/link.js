// @ts-check
// Copies the address of the page. Where the browser keeps the clipboard from pages served without TLS, the address is
// shown, marked, so that the reader's own keys copy it.

const SAID_FOR_MS = 2_000;

/** @type {WeakSet<object>} */
const BUILT = new WeakSet();

/** @param {{parentElement: HTMLElement | ShadowRoot}} message */
export default function show({ parentElement }) {
  if (BUILT.has(parentElement)) return;
  BUILT.add(parentElement);
  const button = document.createElement("button"), field = document.createElement("input");
  button.type = "button";
  button.textContent = "copy link";
  button.title = "copy the address of this view";
  field.readOnly = true;
  field.hidden = true;
  field.setAttribute("aria-label", "address of this view");
  button.addEventListener("click", async () => {
    const address = location.href;
    const isCopied = await copy(address, field);
    button.textContent = isCopied ? "copied" : "copy it from here:";
    setTimeout(() => { button.textContent = "copy link"; }, SAID_FOR_MS);
  });
  field.addEventListener("blur", () => { field.hidden = true; });
  parentElement.append(button, field);
}

/** @param {string} address @param {HTMLInputElement} field @returns {Promise<boolean>} */
async function copy(address, field) {
  try {
    await navigator.clipboard.writeText(address);
    return true;
  } catch {
    field.value = address;
    field.hidden = false;
    field.focus();
    field.select();
    return false;
  }
}
