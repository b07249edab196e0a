// Points with whiskers: paired differences, what is traded for what, solve rates by level.

const DECIDED = { a_better: true, b_better: true };
const SAID = {
  a_better: (pair) => `${pair.a} better`,
  b_better: (pair) => `${pair.b} better`,
  no_difference_shown: () => "no difference shown",
  too_few_seeds: () => "too few seeds",
  not_comparable: () => "not comparable",
};
function differencesFigure(place) {
  if (!place.differences.length) return null;
  const views = [...new Set(place.differences.map((panel) => panel.view))];
  const canvas = html("div", { class: "panels" });
  const table = html("div");
  let width = 0;
  const choice = html("select", { change: redraw }, views.map((view, k) => option(k, view, k === 0)));

  function redraw() {
    const panels = place.differences.filter((panel) => panel.view === views[Number(choice.value)]);
    const columns = width > 760 && panels.length > 1 ? 2 : 1;
    canvas.replaceChildren(...panels.map((panel) =>
      html("figure", null, html("figcaption", null, `${panel.title}, ${panel.ratio ? "ratio" : "difference"}`),
        drawForest(panel, (width - (columns - 1) * 28) / columns))));
    const rows = panels.flatMap((panel) => panel.pairs.map((pair) => [`${panel.title}: ${pairName(panel, pair)}`,
      spread(pair.effect, effectSay(panel)), String(pair.n), pair.p === null ? MISSING : pair.p.toPrecision(2),
      verdictOf(pair), pair.note]));
    table.replaceChildren(numbers("Effects of the pairs", ["metric and pair", "effect", "pairs", "p (Holm)", "verdict", "note"], rows));
  }

  return {
    nodes: [html("div", { class: "controls" }, labelled("Compared", choice)), canvas,
      caption("Differences and ratios within pairs of runs of one seed, with 95 % intervals. Filled: the verdict names",
        "a better one (exact test, Holm's correction). Hollow: it does not, which is not equality. Item by item there is",
        "an interval and no verdict."),
      folded("The differences in numbers", table)],
    draw(newWidth) { width = newWidth; redraw(); },
  };
}

function verdictOf(pair) {
  return SAID[pair.verdict] ? SAID[pair.verdict](pair) : "";
}

function pairName(panel, pair) {
  return panel.ratio ? `${pair.b} / ${pair.a}` : `${pair.b} \u2212 ${pair.a}`;
}

function effectSay(panel) {
  return panel.ratio ? times : panel.unit === "score" ? signed : (value) => said(value, panel.unit);
}

function drawForest(panel, width) {
  const { pairs, ratio } = panel;
  const neutral = ratio ? 1 : 0;
  const values = pairs.flatMap((pair) => pair.effect).filter((value) => value !== null && (!ratio || value > 0));
  let [low, high] = padded(values, 0.08, [neutral]);
  if (ratio) [low, high] = [Math.min(...values, 0.95) / 1.04, Math.max(...values, 1.05) * 1.04];
  const toX = scale(low, high, 8, width - 8, ratio);
  const row = 40;
  const bottom = pairs.length * row;
  const lines = svg("g", { class: "axes" });
  for (const tick of (ratio ? ratioTicks : ticks)(low, high, Math.max(2, width / 90))) {
    lines.append(svg("line", { x1: toX(tick), x2: toX(tick), y1: 0, y2: bottom }),
      svg("text", { x: toX(tick), y: bottom + 16, "text-anchor": "middle" }, ratio ? `${compact(tick)}\u00d7` : compact(tick)));
  }
  lines.append(svg("line", { class: "base", x1: toX(neutral), x2: toX(neutral), y1: 0, y2: bottom }));
  pairs.forEach((pair, number) => {
    const top = number * row;
    const text = `${spread(pair.effect, effectSay(panel))}, n=${pair.n}`;
    lines.append(svg("text", { class: "row", x: 2, y: top + 14 }, pairName(panel, pair),
      svg("tspan", { class: "quiet", dx: 8 }, verdictOf(pair)), svg("title", null, `${text} ${pair.note}`)));
    const [middle, from, to] = pair.effect;
    if (middle === null) return;
    if (from !== null) lines.append(svg("line", { class: "whisker", x1: toX(from), x2: toX(to), y1: top + 27, y2: top + 27 }));
    lines.append(mark(0, toX(middle), top + 27, 4.5, "currentColor", DECIDED[pair.verdict] === true));
  });
  const label = `${panel.title}: ${pairs.map((pair) =>
    `${pairName(panel, pair)} ${spread(pair.effect, effectSay(panel))}, ${verdictOf(pair)}`).join("; ")}.`;
  return svg("svg", { viewBox: `0 0 ${width} ${bottom + 24}`, width, height: bottom + 24, role: "img", "aria-label": label }, lines);
}

function tradeoffFigure(place) {
  const costs = Object.keys(data.traded).filter((name) => name !== "score_final"
    && place.traded.some((one) => one.numbers[name]));
  const scored = place.traded.filter((one) => one.numbers.score_final);
  if (!scored.length || !costs.length) return null;
  const state = ["train_s", "training_bytes"].map((name, k) => (costs.includes(name) ? name : costs[Math.min(k, costs.length - 1)]));
  const boxes = state.map(() => html("div"));
  let width = 0;
  const redraw = () => boxes.forEach((box, k) => {
    const own = width > 760 ? (width - 28) / 2 : width;
    box.replaceChildren(drawTrade(scored, state[k], own));
  });
  const panels = boxes.map((box, k) => {
    const choice = html("select", { change: () => { state[k] = choice.value; redraw(); } },
      costs.map((name) => option(name, data.traded[name][0], name === state[k])));
    return html("figure", null, html("div", { class: "controls" }, labelled("Held-out score against", choice)), box);
  });
  const rows = scored.map((one) => [data.algorithms[byName(one.algorithm)].short,
    ...["score_final", ...costs].map((name) => (one.numbers[name]
      ? spread(one.numbers[name], (value) => said(value, data.traded[name][1])) : MISSING)),
    one.front ? "yes" : "no"]);
  const header = ["algorithm", ...["score_final", ...costs].map((name) => data.traded[name][0]), "undominated"];
  return {
    nodes: [html("div", { class: "panels" }, panels),
      caption("Higher and further left is better. Filled: no other algorithm is at least as good in score, training time and",
        "training memory at once and better in one, by means alone; where intervals overlap that is not a finding.",
        "Whiskers: 95 % intervals over seeds."),
      folded("The points in numbers", numbers("Means [95 % intervals] over the seeds that ended ok", header, rows))],
    draw(newWidth) { width = newWidth; redraw(); },
  };
}

function drawTrade(scored, name, width) {
  const [text, unit] = data.traded[name];
  const points = scored.filter((one) => one.numbers[name]);
  const reach = (key) => padded(points.flatMap((one) => one.numbers[key]), 0.12, []);
  const label = `Held-out score against ${text}: ${points.map((one) =>
    `${data.algorithms[byName(one.algorithm)].short} ${said(one.numbers.score_final[0], "score")} at ${said(one.numbers[name][0], unit)}`).join("; ")}.`;
  const size = unit === "bytes" ? 2 ** 20 : 1;
  const [left, right] = reach(name).map((value) => value / size);
  const named = unit === "bytes" ? `${text} (MiB)` : unit === "s" ? `${text} (s)` : text;
  const chart = frame({ width, height: 290, label, x: { range: [left, right], label: named, say: compact },
    y: { range: reach("score_final"), label: data.traded.score_final[0], say: compact } });
  const toX = (value) => chart.toX(value / size);
  const spots = points.map((one) => [toX(one.numbers[name][0]), chart.toY(one.numbers.score_final[0])]);
  const labels = apart(spots.map(([, y]) => y), 15, chart.box[3] + 4, chart.box[2] - 4);
  points.forEach((one, place) => {
    const number = byName(one.algorithm);
    const paint = data.algorithms[number].colour === "#000000" ? "currentColor" : data.algorithms[number].colour;
    const [[, from, to], [, low, high], [x, y]] = [one.numbers[name], one.numbers.score_final, spots[place]];
    const whisker = { stroke: paint, "stroke-width": 1.4, "stroke-opacity": 0.7 };
    if (from !== null) chart.plot.append(svg("line", { x1: toX(from), x2: toX(to), y1: y, y2: y, ...whisker }));
    if (low !== null) chart.plot.append(svg("line", { x1: x, x2: x, y1: chart.toY(low), y2: chart.toY(high), ...whisker }));
    const toLeft = x > (chart.box[0] + chart.box[1]) / 2;
    chart.plot.append(mark(number, x, y, 5, paint, one.front),
      svg("text", { class: "end", x: x + (toLeft ? -10 : 10), y: labels[place] - 6, "text-anchor": toLeft ? "end" : "start" },
        data.algorithms[number].short));
  });
  return chart.node;
}

function levelsFigure(place) {
  const metrics = place.curves.metrics.filter((metric) => metric.split === "eval" && /^score\/level_/.test(metric.name));
  if (!metrics.length) return null;
  const levels = metrics.map((metric) => ({ name: metric.name.replace("score/level_", "level "),
    ends: place.algorithms.map((_, index) => metric.means[index].filter(Boolean)) }))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const canvas = html("div", { class: "canvas" });
  const names = place.algorithms.map((_, index) => algorithmOf(place, index).short);
  const rows = levels.map((level) => [level.name, ...level.ends.map((points) => (points.length
    ? `${compact(points[0][0])} to ${spread(points.at(-1), compact)}, n=${points.at(-1)[3]}` : MISSING))]);
  return {
    nodes: [canvas,
      caption("Held-out solve rate of each level, from before training (hollow) to the end (filled); means over the seeds that",
        "ended ok; the broad line is the 95 % interval at the end. The curves of the levels are among the metrics above."),
      folded("The levels in numbers", numbers("Held-out solve rate, from the first evaluation to the last", ["level", ...names], rows))],
    draw(width) { canvas.replaceChildren(drawLevels(place, levels, width)); },
  };
}

function drawLevels(place, levels, width) {
  const row = 20;
  const block = place.algorithms.length * row + 34;
  const bottom = levels.length * block;
  const toX = scale(0, 1, 8, width - Math.min(150, width * 0.34), false);
  const lines = svg("g", { class: "axes" });
  for (const tick of ticks(0, 1, Math.max(2, width / 120))) {
    lines.append(svg("line", { x1: toX(tick), x2: toX(tick), y1: 24, y2: bottom }),
      svg("text", { x: toX(tick), y: bottom + 16, "text-anchor": "middle" }, compact(tick)));
  }
  const points = svg("g", { class: "data" });
  levels.forEach((level, number) => {
    const top = number * block;
    lines.append(svg("text", { class: "row", x: 2, y: top + 16 }, level.name));
    level.ends.forEach((ends, index) => {
      const algorithm = algorithmOf(place, index);
      const y = top + 34 + index * row;
      const last = ends.at(-1);
      lines.append(svg("text", { class: "end", x: toX(1) + 12, y: y + 4 },
        `${algorithm.short} ${last ? said(last[0], "score") : MISSING}`));
      if (!last) return;
      if (last[1] !== null) points.append(svg("line", { x1: toX(Math.max(0, last[1])), x2: toX(Math.min(1, last[2])), y1: y, y2: y,
        stroke: algorithm.paint, "stroke-width": 7, "stroke-opacity": 0.25 }));
      points.append(svg("line", { x1: toX(ends[0][0]), x2: toX(last[0]), y1: y, y2: y, stroke: algorithm.paint, "stroke-width": 1.4 }),
        mark(algorithm.number, toX(ends[0][0]), y, 3.6, algorithm.paint, false),
        mark(algorithm.number, toX(last[0]), y, 4.4, algorithm.paint, true));
    });
  });
  const label = `Held-out solve rates by level at the end: ${levels.map((level) => `${level.name}: ${level.ends.map((points, index) =>
    `${algorithmOf(place, index).short} ${points.length ? compact(points.at(-1)[0]) : "none"}`).join(", ")}`).join("; ")}.`;
  return svg("svg", { viewBox: `0 0 ${width} ${bottom + 24}`, width, height: bottom + 24, role: "img", "aria-label": label }, lines, points);
}
