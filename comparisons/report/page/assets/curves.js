// Curves over the seeds of each algorithm, on any axis, of any metric.

const MARKED = 24; // points of a curve that each have a mark, at most
const LABEL = 20; // characters of a name at the end of its curve

function curvesFigure(place) {
  const metrics = place.curves.metrics;
  if (!metrics.length) return null;
  const state = { metric: 0, axis: "update", seeds: true, hidden: new Set(), at: null };
  const canvas = html("div", { class: "canvas" });
  const legend = html("tbody");
  const reader = html("input", { type: "range", input: () => read(Number(reader.value)) });
  const where = html("output", null);
  const chosen = html("select", { change: () => { state.metric = Number(chosen.value); redraw(); } },
    ["eval", "train"].map((split) => group(metrics, split)));
  const axis = html("select", { change: () => { state.axis = axis.value; state.at = null; redraw(); } },
    Object.entries(data.axes).map(([name, text]) => option(name, text, name === "update")));
  const numbersBox = html("div");
  let width = 0;
  let drawn = null;

  function redraw() {
    drawn = drawCurves(place, metrics[state.metric], state, width);
    canvas.replaceChildren(drawn ? drawn.node : html("p", { class: "empty" }, "No run has this metric on this axis."));
    numbersBox.replaceChildren(curveNumbers(place, metrics[state.metric]));
    reader.parentNode.hidden = !drawn;
    if (!drawn) { legend.replaceChildren(); return; }
    const [low, high] = drawn.range;
    const step = state.axis === "update" ? 1 : (high - low) / 200;
    Object.assign(reader, { min: low, max: high, step });
    drawn.node.addEventListener("pointermove", (event) => {
      const at = drawn.valueAt(event.clientX - drawn.node.getBoundingClientRect().left);
      read(state.axis === "update" ? Math.round(at) : at);
    });
    read(state.at === null ? high : state.at);
  }

  function read(at) {
    const [low, high] = drawn.range;
    state.at = Math.min(high, Math.max(low, at));
    reader.value = state.at;
    where.textContent = state.axis === "update" ? `update ${state.at}`
      : state.axis === "train_wall_s" ? said(state.at, "s") : `${compact(state.at)} ${data.axes[state.axis]}`;
    reader.setAttribute("aria-valuetext", where.textContent);
    drawn.cursor(state.at);
    legend.replaceChildren(...place.algorithms.map((_, index) => legendRow(index)));
  }

  function legendRow(index) {
    const algorithm = algorithmOf(place, index);
    const shown = !state.hidden.has(index);
    const button = html("button", { type: "button", class: "key", "aria-pressed": String(shown), click: toggle },
      swatch(algorithm), algorithm.short);
    function toggle() {
      if (shown) state.hidden.add(index); else state.hidden.delete(index);
      redraw();
      legend.children[index].querySelector("button").focus();
    }
    const value = drawn.readAt(index, state.at);
    return html("tr", null, html("th", { scope: "row" }, button),
      html("td", null, value ? spreadNodes(value, compact) : MISSING), html("td", null, counted(place, index)));
  }

  const key = html("table", { class: "legend" },
    html("thead", null, html("tr", null,
      html("th", { scope: "col" }, "algorithm (press to hide)"),
      html("th", { scope: "col" }, "mean there [95\u00a0%\u00a0interval]"),
      html("th", { scope: "col" }, "seeds"))), legend);
  return {
    nodes: [
      html("div", { class: "controls" }, labelled("Metric", chosen), labelled("Against", axis),
        checkbox("each seed", true, (on) => { state.seeds = on; redraw(); })),
      canvas,
      html("div", { class: "reader" }, labelled("Read at", reader), where),
      html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Legend" }, key),
      caption("Thick: mean of the seeds that ended ok after each update, at the mean of their x. Thin: each seed;",
        "a cross ends a run that failed. Band: 95 % Student-t interval, from 3 seeds on. Between points a value is",
        "interpolated; a gap is a value that is missing.",
        place.curves.thinned && "Long curves are drawn at evenly spread updates; curves.csv has every one."),
      folded("The curve in numbers", numbersBox),
    ],
    draw(newWidth) { width = newWidth; redraw(); },
  };
}

function group(metrics, split) {
  const options = metrics.map((metric, place) => [metric, place])
    .filter(([metric]) => metric.split === split)
    .map(([metric, place]) => option(place, metricName(metric), place === 0));
  const title = split === "eval" ? "Held-out items" : "Training";
  return options.length ? html("optgroup", { label: title }, options) : null;
}

function metricName(metric) {
  if (metric.name === "score/mean") return "held-out score (greedy)";
  return metric.name === "reward/mean" ? "training reward (sampled)" : metric.name;
}

function counted(place, index) {
  const own = place.runs.filter((run) => run.algorithm === place.algorithms[index]);
  const failed = own.filter((run) => !run.ok).length;
  return `${own.length - failed}${failed ? `, ${failed} failed` : ""}`;
}

// The points of an algorithm's mean: [x, mean, low, high, n]; a missing mean is null, a missing x none.
function meanPoints(place, metric, axis, index) {
  const xs = (place.curves.splits[metric.split][axis] || { means: [] }).means[index] || [];
  const line = metric.means[index];
  return xs.map((x, k) => (x === null ? undefined : line[k] ? [x, ...line[k]] : null)).filter((p) => p !== undefined);
}

function seedPoints(place, metric, axis, run) {
  const xs = (place.curves.splits[metric.split][axis] || { runs: [] }).runs[run] || [];
  const line = metric.runs[run];
  return xs.map((x, k) => (x === null ? undefined : line[k] === null ? null : [x, line[k]])).filter((p) => p !== undefined);
}

function drawCurves(place, metric, state, width) {
  const shown = place.algorithms.map((_, index) => index).filter((index) => !state.hidden.has(index));
  const means = place.algorithms.map((_, index) => meanPoints(place, metric, state.axis, index));
  const seeds = place.runs.map((_, run) => seedPoints(place, metric, state.axis, run));
  const all = [...means, ...seeds].flat().filter(Boolean);
  if (!all.length) return null;
  const visible = (run) => !state.hidden.has(place.algorithms.indexOf(run.algorithm));
  const drawnSeeds = seeds.filter((_, run) => visible(place.runs[run])).flat().filter(Boolean);
  const drawnMeans = shown.flatMap((index) => means[index]).filter(Boolean);
  const ys = [...(state.seeds ? drawnSeeds : []).map((p) => p[1]), ...drawnMeans.flatMap((p) => p.slice(1, 4))];
  const range = extent(all.map((p) => p[0]));
  const wide = width > 560;
  const longest = Math.max(0, ...shown.map((index) => algorithmOf(place, index).short.length));
  const chart = frame({
    width, height: wide ? 400 : 320, right: wide ? 40 + 6.4 * Math.min(LABEL, longest) : 14,
    label: curveLabel(place, metric, state.axis, means),
    x: { range: range[0] === range[1] ? padded(range, 0, []) : range, label: data.axes[state.axis],
      say: (value) => (state.axis === "update" && !Number.isInteger(value) ? "" : compact(value)) },
    y: { range: padded(ys, 0.05, []), label: metricName(metric), say: compact },
  });
  drawBands(chart, place, means, shown);
  if (state.seeds) drawSeeds(chart, place, seeds, visible);
  drawMeans(chart, place, means, shown);
  if (wide) endLabels(chart, place, means, shown);
  const line = svg("line", { class: "cursor", y1: chart.box[3], y2: chart.box[2] });
  chart.plot.append(line);
  return {
    node: chart.node,
    range,
    valueAt: (pixel) => range[0] + ((pixel - chart.box[0]) / (chart.box[1] - chart.box[0])) * (range[1] - range[0]),
    cursor: (at) => { line.setAttribute("x1", chart.toX(at)); line.setAttribute("x2", chart.toX(at)); },
    readAt: (index, at) => interpolated(means[index], at),
  };
}

function spots(chart, points) {
  return points.map((point) => point && [chart.toX(point[0]), chart.toY(point[1])]);
}

function drawBands(chart, place, means, shown) {
  for (const index of shown) {
    const edges = means[index].map((p) => (p && p[2] !== null ? [chart.toX(p[0]), chart.toY(p[2]), chart.toY(p[3])] : null));
    chart.plot.append(band(edges, { fill: algorithmOf(place, index).paint, "fill-opacity": 0.14 }));
  }
}

function drawSeeds(chart, place, seeds, visible) {
  place.runs.forEach((run, number) => {
    if (!visible(run)) return;
    const algorithm = algorithmOf(place, place.algorithms.indexOf(run.algorithm));
    const points = spots(chart, seeds[number]);
    chart.plot.append(path(points, { stroke: algorithm.paint, "stroke-width": 0.9, "stroke-opacity": 0.5,
      "stroke-dasharray": DASHES[algorithm.line] }));
    const last = points.filter(Boolean).at(-1);
    if (!run.ok && last) chart.plot.append(cross(...last, algorithm.paint));
  });
}

function drawMeans(chart, place, means, shown) {
  for (const index of shown) {
    const algorithm = algorithmOf(place, index);
    const points = spots(chart, means[index]);
    chart.plot.append(path(points, { stroke: algorithm.paint, "stroke-width": 2.4,
      "stroke-dasharray": DASHES[algorithm.line] }));
    const marked = points.filter(Boolean);
    if (marked.length <= MARKED) chart.plot.append(...marked.map((p) => mark(algorithm.number, ...p, 3, algorithm.paint, true)));
  }
}

function endLabels(chart, place, means, shown) {
  const ends = shown.map((index) => [algorithmOf(place, index), spots(chart, means[index]).filter(Boolean).at(-1)])
    .filter(([, end]) => end);
  const places = apart(ends.map(([, [, y]]) => y), 15, chart.box[3] + 4, chart.box[2]);
  ends.forEach(([algorithm, [x]], index) => {
    const name = algorithm.short.length > LABEL ? `${algorithm.short.slice(0, LABEL - 1)}\u2026` : algorithm.short;
    chart.plot.append(mark(algorithm.number, x + 13, places[index], 3, algorithm.paint, true),
      svg("text", { class: "end", x: x + 21, y: places[index] + 4 }, name));
  });
}

// Mean and interval at an x between two neighbouring points; null outside, and in a gap.
function interpolated(points, at) {
  for (let k = 0; k < points.length; k += 1) {
    const [here, next] = [points[k], points[k + 1]];
    if (here && here[0] === at) return here.slice(1, 4);
    if (here && next && here[0] < at && at < next[0]) {
      const share = (at - here[0]) / (next[0] - here[0]);
      return [1, 2, 3].map((i) => (here[i] === null || next[i] === null ? null : here[i] + share * (next[i] - here[i])));
    }
  }
  return null;
}

function curveLabel(place, metric, axis, means) {
  const parts = place.algorithms.map((_, index) => {
    const points = means[index].filter(Boolean);
    const name = algorithmOf(place, index).short;
    return points.length ? `${name} from ${compact(points[0][1])} to ${compact(points.at(-1)[1])}` : `${name}: none`;
  });
  return `${metricName(metric)} against ${data.axes[axis]}, means: ${parts.join("; ")}.`;
}

function curveNumbers(place, metric) {
  const updates = place.curves.splits[metric.split].update;
  const names = place.algorithms.map((_, index) => algorithmOf(place, index).short);
  const rows = [];
  (updates ? updates.runs[0] || [] : []).forEach((_, k) => {
    const at = updates.runs.map((line) => line[k]).find((update) => update !== null);
    rows.push([compact(at), ...place.algorithms.map((_, index) => {
      const value = metric.means[index][k];
      return value ? `${spread(value, compact)}, n=${value[3]}` : MISSING;
    })]);
  });
  return numbers(`${metricName(metric)}: mean [95 % interval] after each update`, ["update", ...names], rows);
}
