// @ts-check
// The elements of the component and how they stand to each other. Built once, filled by the parts.

import { Bar, MarkBar, element, helpCard } from "./bar.js";
import { Editor } from "./editor.js";
import { Overview } from "./map.js";
import { Panel } from "./panel.js";
import { Prompt } from "./prompt.js";

/** @typedef {ReturnType<typeof buildFrame>} Frame */

/**
 * @param {object} reader
 * @param {(action: import("./view.js").Action) => void} reader.act
 * @param {(at: number) => void} reader.jump
 * @param {(at: number | null) => void} reader.pointAt
 * @param {import("./editor.js").Writer} reader.writer
 */
export function buildFrame({ act, jump, pointAt, writer }) {
  const scroller = element("div", "scroller");
  const frame = {
    root: element("div", "overlay"),
    colours: document.createElement("style"),
    bar: new Bar(act),
    prompt: new Prompt(() => scroller.focus()),
    panel: new Panel(act, jump),
    editor: new Editor(writer),
    overview: new Overview(jump, pointAt),
    markBar: new MarkBar(act),
    scroller,
    sheet: element("div", "sheet"),
    /** A hundred zeros: their width is that of a hundred columns. */
    ruler: element("span", "ruler", "0".repeat(100)),
    loading: element("p", "loading-text"),
    spoken: element("div", "spoken"),
    help: helpCard(),
    failure: element("p", "failure"),
  };
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "group");
  frame.ruler.setAttribute("aria-hidden", "true");
  frame.spoken.setAttribute("aria-live", "polite");
  frame.loading.setAttribute("role", "status");
  frame.failure.setAttribute("role", "alert");
  frame.failure.hidden = frame.loading.hidden = true;
  const page = element("div", "page"), column = element("div", "column"), beside = element("div", "beside");
  scroller.append(frame.sheet, frame.ruler);
  beside.append(frame.editor.root, scroller, frame.overview.root, frame.prompt.root);
  column.append(beside, frame.markBar.root, frame.overview.plot);
  page.append(column, frame.panel.root, frame.help);
  frame.root.append(frame.bar.root, frame.failure, frame.loading, page, frame.spoken);
  return frame;
}
