// What all charts share: ticks, scales, axes, marks that differ in shape as well as in colour.

const DASHES = { "-": null, "--": "7 4", ":": "2 3.5", "-.": "9 3 2 3" };
const SHAPES = ["circle", "square", "triangle", "diamond"];

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

// Ticks of ratios: 0.5, 1, 2 and the like, as many as there is room for.
function ratioTicks(low, high, count) {
  if (high / low < 4) return ticks(low, high, count);
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const digit of [1, 2, 5]) found.push(Number((digit * 10 ** power).toPrecision(3)));
  }
  const inside = found.filter((tick) => tick >= low && tick <= high);
  const every = Math.ceil(inside.length / count);
  return inside.filter((tick, place) => tick === 1 || place % every === 0);
}

// The least and the largest of many values, missing ones passed over; 0 and 1 of none.
function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value === null || value === undefined) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low > high ? [0, 1] : [low, high];
}

// A range with room at both ends; `always` are values that must be in it.
function padded(values, share, always) {
  let [low, high] = extent([...always, ...values]);
  if (low === high) [low, high] = low ? [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1] : [0, 1];
  const room = (high - low) * share;
  return [low - room, high + room];
}

function scale(low, high, start, end, logarithmic) {
  const of = logarithmic ? Math.log : (value) => value;
  const factor = (end - start) / (of(high) - of(low));
  return (value) => start + (of(value) - of(low)) * factor;
}

// The frame of a chart. x and y: {range, label, say}; returns its scales and the group to draw in.
function frame({ width, height, x, y, right = 16, label }) {
  const inset = { left: 52, right, top: 30, bottom: 44 };
  const box = [inset.left, width - inset.right, height - inset.bottom, inset.top];
  const toX = scale(...x.range, box[0], box[1], false);
  const toY = scale(...y.range, box[2], box[3], false);
  const lines = svg("g", { class: "axes" });
  for (const tick of ticks(...y.range, Math.max(2, height / 60))) {
    lines.append(
      svg("line", { x1: box[0], x2: box[1], y1: toY(tick), y2: toY(tick) }),
      svg("text", { x: box[0] - 8, y: toY(tick) + 4, "text-anchor": "end" }, y.say(tick)));
  }
  for (const tick of ticks(...x.range, Math.max(2, (box[1] - box[0]) / 75))) {
    lines.append(
      svg("line", { class: "mark", x1: toX(tick), x2: toX(tick), y1: box[2], y2: box[2] + 5 }),
      svg("text", { x: toX(tick), y: box[2] + 19, "text-anchor": "middle" }, x.say(tick)));
  }
  lines.append(
    svg("line", { class: "base", x1: box[0], x2: box[1], y1: box[2], y2: box[2] }),
    svg("text", { class: "name", x: box[1], y: height - 6, "text-anchor": "end" }, x.label),
    svg("text", { class: "name", x: 0, y: 12 }, y.label));
  const plot = svg("g", { class: "data" });
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    lines, plot);
  return { node, plot, toX, toY, box };
}

// A path through points; null is a gap. A point alone between gaps is a dot.
function path(points, attributes) {
  let text = "";
  let run = 0;
  points.forEach((point, place) => {
    if (point === null) { run = 0; return; }
    const alone = run === 0 && (place + 1 === points.length || points[place + 1] === null);
    text += `${run ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}${alone ? "h0.01" : ""}`;
    run += 1;
  });
  return svg("path", { d: text, fill: "none", "stroke-linecap": "round", ...attributes });
}

// Bands between lower and upper points, one closed shape for each stretch without a gap.
function band(points, attributes) {
  const shapes = [];
  let stretch = [];
  for (const point of [...points, null]) {
    if (point !== null) { stretch.push(point); continue; }
    if (stretch.length > 1) {
      const there = stretch.map(([x, low]) => `${x.toFixed(1)} ${low.toFixed(1)}`);
      const back = stretch.map(([x, , high]) => `${x.toFixed(1)} ${high.toFixed(1)}`).reverse();
      shapes.push(`M${[...there, ...back].join("L")}Z`);
    }
    stretch = [];
  }
  return svg("path", { d: shapes.join(""), stroke: "none", ...attributes });
}

function mark(number, x, y, size, paint, full) {
  const shape = SHAPES[number % SHAPES.length];
  const s = size * (shape === "circle" ? 1 : 1.05);
  const outline = {
    circle: `M${x - s} ${y}a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0Z`,
    square: `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}Z`,
    triangle: `M${x} ${y - 1.25 * s}L${x + 1.2 * s} ${y + s}H${x - 1.2 * s}Z`,
    diamond: `M${x} ${y - 1.4 * s}L${x + 1.4 * s} ${y}L${x} ${y + 1.4 * s}L${x - 1.4 * s} ${y}Z`,
  }[shape];
  return svg("path", { d: outline, stroke: paint, "stroke-width": 1.8, fill: full ? paint : "var(--paper)" });
}

function cross(x, y, paint) {
  const d = `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`;
  return svg("path", { d, stroke: paint, "stroke-width": 2, fill: "none" });
}

// A line as it stands in a chart, for legends.
function swatch(algorithm) {
  return svg("svg", { class: "swatch", width: 34, height: 14, viewBox: "0 0 34 14", "aria-hidden": "true" },
    path([[2, 7], [32, 7]], { stroke: algorithm.paint, "stroke-width": 2.4, "stroke-dasharray": DASHES[algorithm.line] }),
    mark(algorithm.number, 17, 7, 3.4, algorithm.paint, true));
}

// Places for labels that stand at least `gap` apart, in the order of where they want to be.
function apart(wanted, gap, low, high) {
  const order = wanted.map((y, place) => [y, place]).sort((a, b) => a[0] - b[0]);
  const found = new Array(wanted.length);
  let last = low - gap;
  for (const [y, place] of order) found[place] = last = Math.max(y, last + gap);
  let next = high + gap;
  for (const [, place] of order.reverse()) found[place] = next = Math.min(found[place], next - gap);
  return found;
}
