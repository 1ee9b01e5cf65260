// @ts-check
// The drawing of a recurrent cell, after the way Christopher Olah drew the LSTM in 2015: the state runs along the top,
// gates open and close on it. One function for each kind of cell; numbers and colours come from outside.

import { show } from "./steps.js";

/** @typedef {import("./steps.js").Numbers} Numbers */
/** @typedef {(value: number, kind: "diverging" | "sequential", reach?: number) => {fill: string, ink: string}} Paint */

const SVG = "http://www.w3.org/2000/svg";
export const WIDTH = 1320, HEIGHT = 372;

/**
 * @param {Element} parent @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
export function draw(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/**
 * @param {SVGElement} svg
 * @param {string} kind
 * @param {Numbers} numbers
 * @param {{reads: string, expects: string | null}} around
 * @param {Paint} paint
 * @param {number} reach of the cell state's scale
 */
export function drawCell(svg, kind, numbers, around, paint, reach) {
  svg.replaceChildren();
  const page = new Page(svg, paint);
  draw(svg, "rect", { x: 150, y: 20, width: 1030, height: 292, rx: 24, class: "body" });
  if (kind === "lstm") drawLstm(page, numbers, reach);
  else if (kind === "gru") drawGru(page, numbers);
  else drawRnn(page, numbers);
  page.tag(232, 338, "reads", around.reads);
  if (around.expects !== null) page.tag(1060, 338, "expects next", around.expects);
}

class Page {
  /** @param {SVGElement} svg @param {Paint} paint */
  constructor(svg, paint) {
    this.svg = svg;
    this.paint = paint;
  }

  /** @param {string} path @param {number} [flow] how much passes, 0..1: a closed gate leaves a thin, pale line */
  wire(path, flow = 1) {
    const strength = Number.isNaN(flow) ? 1 : Math.min(Math.abs(flow), 1);
    draw(this.svg, "path", { d: path, class: "wire", "stroke-width": 1 + 3 * strength, opacity: 0.25 + 0.75 * strength });
  }

  /** @param {number} x @param {number} y @param {string} sign */
  operator(x, y, sign) {
    draw(this.svg, "circle", { cx: x, cy: y, r: 17, class: "operator" });
    draw(this.svg, "text", { x, y: y + 6, class: "sign" }, sign);
  }

  /** @param {number} x @param {number} y @param {string} name @param {number} value @param {"diverging" | "sequential"} kind @param {number} [reach] */
  box(x, y, name, value, kind, reach) {
    const { fill, ink } = this.paint(value, kind, reach);
    draw(this.svg, "rect", { x: x - 52, y, width: 104, height: 52, rx: 8, class: "box", style: `fill:${fill}` });
    draw(this.svg, "text", { x, y: y + 21, class: "name", style: `fill:${ink}` }, name);
    draw(this.svg, "text", { x, y: y + 42, class: "number", style: `fill:${ink}` }, show(value));
  }

  /** @param {number} x @param {number} y @param {string} name @param {string} value @param {{fill: string, ink: string}} [colours] */
  tag(x, y, name, value, colours) {
    draw(this.svg, "rect", { x: x - 60, y: y - 23, width: 120, height: 46, rx: 8, class: "tag", style: colours ? `fill:${colours.fill}` : "" });
    const ink = colours ? `fill:${colours.ink}` : "";
    draw(this.svg, "text", { x, y: y - 5, class: "name", style: ink }, name);
    draw(this.svg, "text", { x, y: y + 15, class: "number", style: ink }, value);
  }

  /** @param {number} x @param {number} y @param {string} words */
  remark(x, y, words) {
    draw(this.svg, "text", { x, y, class: "remark" }, words);
  }
}

/** @param {Page} page @param {Numbers} numbers @param {number} reach */
function drawLstm(page, { now, before }, reach) {
  const kept = now.forget_gate * before.cell, added = now.input_gate * now.candidate;
  page.wire("M120 78 H313", 1);
  page.wire("M347 78 H597", now.forget_gate);
  page.wire("M631 78 H1200", 1);
  page.wire("M120 262 H860", 0.4);
  for (const x of [330, 520, 690, 860]) page.wire(`M${x} 262 V230`, 0.4);
  page.wire("M232 315 V262", 0.4);
  page.wire("M330 178 V95", now.forget_gate);
  page.wire("M520 178 V154 Q520 144 530 144 H597", now.input_gate);
  page.wire("M690 178 V154 Q690 144 680 144 H631", Math.abs(now.candidate));
  page.wire("M614 127 V95", Math.abs(added));
  page.wire("M960 78 V120", 1);
  page.wire("M860 178 V200 H943", now.output_gate);
  page.wire("M960 172 V183", 1);
  page.wire("M977 200 H1200", now.output_gate);
  page.wire("M1060 200 V315", now.output_gate);
  page.operator(330, 78, "×");
  page.operator(614, 78, "+");
  page.operator(614, 144, "×");
  page.operator(960, 200, "×");
  page.box(330, 178, "forget σ", now.forget_gate, "sequential");
  page.box(520, 178, "input σ", now.input_gate, "sequential");
  page.box(690, 178, "candidate", now.candidate, "diverging", 1);
  page.box(860, 178, "output σ", now.output_gate, "sequential");
  page.box(960, 120, "tanh", Math.tanh(now.cell), "diverging", 1);
  page.remark(352, 58, `keeps ${show(kept)}`);
  page.remark(636, 58, `adds ${show(added)}`);
  page.tag(62, 78, "cell before", show(before.cell), page.paint(before.cell, "diverging", reach));
  page.tag(62, 262, "hidden before", show(before.hidden), page.paint(before.hidden, "diverging", 1));
  page.tag(1258, 78, "cell after", show(now.cell), page.paint(now.cell, "diverging", reach));
  page.tag(1258, 200, "hidden after", show(now.hidden), page.paint(now.hidden, "diverging", 1));
}

/** @param {Page} page @param {Numbers} numbers */
function drawGru(page, { now, before }) {
  page.wire("M120 78 H683", 1);
  page.wire("M717 78 H893", now.update_gate);
  page.wire("M927 78 H1200", 1);
  page.wire("M210 78 V262 H860", 0.4);
  page.wire("M232 315 V262", 0.4);
  for (const x of [330, 540, 700]) page.wire(`M${x} 262 V230`, 0.4);
  page.wire("M382 204 H488", now.reset_gate);
  page.wire("M540 178 V150 Q540 140 550 140 H893", Math.abs(now.candidate));
  page.wire("M700 178 V95", now.update_gate);
  page.wire("M752 204 H860 Q910 204 910 157", 1 - now.update_gate);
  page.wire("M910 123 V95", 1 - now.update_gate);
  page.wire("M1060 78 V315", 1);
  page.operator(700, 78, "×");
  page.operator(910, 78, "+");
  page.operator(910, 140, "×");
  page.box(330, 178, "reset σ", now.reset_gate, "sequential");
  page.box(540, 178, "candidate", now.candidate, "diverging", 1);
  page.box(700, 178, "update σ", now.update_gate, "sequential");
  page.remark(722, 58, `keeps ${show(now.update_gate * before.hidden)}`);
  page.remark(932, 122, `adds ${show((1 - now.update_gate) * now.candidate)}`);
  page.remark(790, 222, "1 − update");
  page.tag(62, 78, "hidden before", show(before.hidden), page.paint(before.hidden, "diverging", 1));
  page.tag(1258, 78, "hidden after", show(now.hidden), page.paint(now.hidden, "diverging", 1));
}

/** @param {Page} page @param {Numbers} numbers */
function drawRnn(page, { now, before }) {
  page.wire("M120 160 H583", 1);
  page.wire("M232 315 V200 Q232 180 252 180 H583", 0.6);
  page.wire("M617 166 H748", 1);
  page.wire("M852 166 H1200", 1);
  page.wire("M1060 166 V315", 1);
  page.operator(600, 166, "+");
  page.box(800, 140, "tanh", now.hidden, "diverging", 1);
  page.remark(300, 148, "all neurons of this layer, weighted");
  page.remark(300, 204, "the character (or the layer below), weighted");
  page.tag(62, 160, "hidden before", show(before.hidden), page.paint(before.hidden, "diverging", 1));
  page.tag(1258, 166, "hidden after", show(now.hidden), page.paint(now.hidden, "diverging", 1));
}
