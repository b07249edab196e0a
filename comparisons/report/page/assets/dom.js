"use strict";
// Elements, numbers and their words. Text only ever enters the page as text nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const MISSING = "\u2013";

function html(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(key, value === true ? "" : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

function option(value, text, selected) {
  return html("option", { value, selected }, text);
}

// A control with its label, and its own id so that they belong together.
let controls = 0;
function labelled(text, control) {
  control.id = `control-${(controls += 1)}`;
  return html("span", { class: "control" }, html("label", { for: control.id }, text), control);
}

function checkbox(text, checked, change) {
  const box = html("input", { type: "checkbox", checked, change: () => change(box.checked) });
  return html("label", { class: "control" }, box, text);
}

// A number with its unit, as the report's sentences say it.
function said(value, unit) {
  if (value === null || value === undefined) return MISSING;
  if (unit === "bytes") {
    const mebibytes = value / 2 ** 20;
    if (value && Math.abs(mebibytes) < 0.1) return `${(value / 1024).toFixed(1)} KiB`;
    if (Math.abs(mebibytes) >= 10240) return `${(mebibytes / 1024).toFixed(2)} GiB`;
    return `${mebibytes.toFixed(1)} MiB`;
  }
  if (unit === "s") {
    return Math.abs(value) < 0.1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
  }
  if (unit === "score") return value.toFixed(3);
  return compact(value);
}

// 1234567 is 1.23M, 0.000123 is 1.23e-4, and 12 stays 12.
function compact(value) {
  if (value === null || value === undefined) return MISSING;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e16 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  for (const [letter, factor] of [["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    const base = letter === "k" ? 1e3 : factor;
    if (size >= factor) return `${Number((value / base).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}

function times(ratio) {
  if (ratio === null || ratio === undefined) return MISSING;
  if (ratio < 0.1 || ratio >= 100) return ratio.toPrecision(2);
  return ratio > 0.9 && ratio < 1.1 ? ratio.toFixed(3) : ratio.toFixed(2);
}

function signed(value) {
  if (value === null || value === undefined) return MISSING;
  return `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(3)}`;
}

// Mean and interval: "0.71 [0.66, 0.76]".
function spread([mean, low, high], say) {
  if (mean === null || mean === undefined) return MISSING;
  return low === null || low === undefined ? say(mean) : `${say(mean)} [${say(low)}, ${say(high)}]`;
}

// The same with the interval in an element of its own, which a narrow screen sets on its own line.
function spreadNodes(values, say) {
  const [mean, interval] = spread(values, say).split(" [");
  return [html("span", { class: "mean" }, mean), interval ? [" ", html("span", { class: "interval" }, `[${interval}`)] : null];
}

// A table of text cells whose first column names the rows, in a box of its own to scroll in.
function numbers(caption, header, rows) {
  const head = html("tr", null, header.map((name) => html("th", { scope: "col" }, name)));
  const body = rows.map(([first, ...others]) =>
    html("tr", null, html("th", { scope: "row" }, first), others.map((cell) => html("td", null, cell))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html("table", null, html("caption", null, caption), html("thead", null, head), html("tbody", null, body)));
}

function folded(title, content) {
  return html("details", { class: "numbers" }, html("summary", null, title), content);
}

function caption(...texts) {
  return html("p", { class: "caption" }, texts.filter(Boolean).join(" "));
}

// The algorithm of the whole page that a place's own list names at an index.
function algorithmOf(place, index) {
  const found = data.algorithms[place.algorithms[index]];
  const number = place.algorithms[index];
  return { ...found, number, paint: found.colour === "#000000" ? "currentColor" : found.colour };
}

function byName(name) {
  return data.algorithms.findIndex((algorithm) => algorithm.name === name);
}
