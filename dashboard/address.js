// One entry of the browser's history for each step of the reader, so that Back leads to the step before.
//
// Python completes the address of a page that was come to (which neuron, which concept), and Streamlit makes an entry of
// every address that Python names. Back would lead to the incomplete one, which is completed again, and never further.
// So an address that is named before the reader has done anything on a page takes the place of the one there is.
(() => {
  const push = history.pushState.bind(history);
  let isNew = true; // the reader has done nothing since coming to this page
  for (const name of ["pointerdown", "keydown", "drop", "paste"]) addEventListener(name, () => { isNew = false; }, true);
  addEventListener("popstate", () => { isNew = true; });
  history.pushState = (state, title, address) => {
    const isHere = new URL(address ?? "", location.href).pathname === location.pathname;
    if (isNew && isHere) return history.replaceState(state, title, address);
    isNew = !isHere;
    push(state, title, address);
  };
})();
