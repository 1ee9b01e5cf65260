// @ts-check
// The elements of the component and how they stand to each other. Built once, filled by bar, rows and panel.

import { Bar, element, helpCard } from "./bar.js";
import { Panel } from "./panel.js";

/** @typedef {ReturnType<typeof buildFrame>} Frame */

/** @param {(action: import("./view.js").Action) => void} act */
export function buildFrame(act) {
  const frame = {
    root: element("div", "overlay"),
    colours: document.createElement("style"),
    bar: new Bar(act),
    panel: new Panel(),
    scroller: element("div", "scroller"),
    sheet: element("div", "sheet"),
    /** A hundred zeros: their width is that of a hundred columns. */
    ruler: element("span", "ruler", "0".repeat(100)),
    spoken: element("div", "spoken"),
    help: helpCard(),
    failure: element("p", "failure"),
  };
  frame.scroller.tabIndex = 0;
  frame.scroller.setAttribute("role", "group");
  frame.ruler.setAttribute("aria-hidden", "true");
  frame.spoken.setAttribute("aria-live", "polite");
  frame.failure.setAttribute("role", "alert");
  frame.failure.hidden = true;
  const page = element("div", "page");
  frame.scroller.append(frame.sheet, frame.ruler);
  page.append(frame.scroller, frame.panel.root);
  frame.root.append(frame.bar.root, frame.failure, page, frame.help, frame.spoken);
  return frame;
}
