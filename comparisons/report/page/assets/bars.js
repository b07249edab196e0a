// Stacked bars: the parts of the memory at the peak, and of the seconds of an update.

const OUTSIDE = "process_baseline";

function memoryFigure(place) {
  const state = { outside: false, bars: place.memory };
  const sources = [
    [place.memory, "in the timed runs, by resident memory"],
    [place.audit.bars, "in an audit, by live tensors"],
  ].filter(([bars]) => bars.length);
  return barsFigure(state, data.components, "bytes", {
    controls: (redraw) => {
      const source = html("select", { change: () => { state.bars = sources[Number(source.value)][0]; redraw(); } },
        sources.map(([, text], k) => option(k, text, k === 0)));
      return html("div", { class: "controls" }, sources.length > 1 ? labelled("Measured", source) : null,
        checkbox("with the process before any model", false, (on) => { state.outside = on; redraw(); }));
    },
    left: (name) => name === OUTSIDE && !state.outside,
    caption: caption("Memory at the peak of a run; of timed runs means over seeds. The number at the end is the sum.",
      "Hatched: what no counted tensor explains.",
      place.audit.bars.length && "An audit is a short run of its own that counts every tensor."),
    title: "Memory at the peak by component",
    more: place.audit.ledger.length && folded("What was predicted", numbers(
      "The most that was held, counted in an audit, and what the formula says (process: the timed runs' highest mark)",
      ["algorithm and component", "held", "predicted", "error"],
      place.audit.ledger.map(([name, part, held, foretold, error]) => [`${name}: ${part}`, said(held, "bytes"),
        said(foretold, "bytes"), error === null ? MISSING : `${(Math.round(1000 * error) / 10 + 0).toFixed(1)} %`]))),
  });
}

function secondsFigure(place) {
  const shares = place.utilisation.map(([name, share]) => `${name} ${(100 * share).toFixed(1)} %`);
  return barsFigure({ bars: place.seconds }, data.phases, "s", {
    controls: () => null,
    left: () => false,
    caption: caption("Seconds of an update: medians over a run's updates, without warm-up, evaluation and checkpoints,",
      "then means over seeds. Medians need not add up to the median of the whole.",
      shares.length && `Of the machine's measured rate of matrix products the updates made ${shares.join(", ")}.`),
    title: "Seconds of an update by phase",
  });
}

function barsFigure(state, colours, unit, words) {
  const seen = () => Object.keys(colours).filter((part) => state.bars.some((bar) => bar.parts[part]));
  if (!seen().length) return null;
  const canvas = html("div", { class: "canvas" });
  const legend = html("ul", { class: "parts" });
  const table = html("div");
  let width = 0;

  function redraw() {
    const parts = seen();
    const shown = parts.filter((part) => !words.left(part));
    canvas.replaceChildren(drawBars(state.bars, shown, colours, unit, width, words.title));
    legend.replaceChildren(...shown.map((part) =>
      html("li", null, partSwatch(part, colours[part]), part.replaceAll("_", " "))));
    table.replaceChildren(numbers(words.title, ["component", ...state.bars.map(barName)],
      parts.map((part) => [part, ...state.bars.map((bar) => said(bar.parts[part], unit))])));
  }

  return {
    nodes: [words.controls(redraw), canvas, legend, words.caption, folded("The bars in numbers", table), words.more || null],
    draw(newWidth) { width = newWidth; redraw(); },
  };
}

function barName(bar) {
  return bar.label || `${data.algorithms[byName(bar.algorithm)].short} (n=${bar.n})`;
}

function drawBars(bars, parts, colours, unit, width, title) {
  const values = bars.map((bar) => parts.map((part) => bar.parts[part] || 0));
  const sum = (list, sign) => list.reduce((total, value) => total + (value * sign > 0 ? value : 0), 0);
  const low = Math.min(0, ...values.map((list) => sum(list, -1)));
  const high = Math.max(...values.map((list) => sum(list, 1)), 0) || 1;
  const toX = scale(low, high, 2, width - 78, false);
  const row = 52;
  const lines = svg("g", { class: "axes" });
  bars.forEach((bar, number) => {
    const top = number * row;
    const ends = { plus: 0, minus: 0 };
    lines.append(svg("text", { class: "row", x: 2, y: top + 16 }, barName(bar)));
    parts.forEach((part, place) => {
      const value = values[number][place];
      if (!value) return;
      const side = value > 0 ? "plus" : "minus";
      const [from, to] = [ends[side], ends[side] + value].sort((a, b) => a - b);
      ends[side] += value;
      lines.append(segment(part, colours[part], toX(from), toX(to), top + 23, said(value, unit)));
    });
    const known = parts.some((part) => bar.parts[part] !== undefined);
    const total = known ? said(ends.plus + ends.minus, unit) : "no run ended ok";
    lines.append(svg("text", { class: "total", x: toX(ends.plus) + 7, y: top + 37 }, total));
  });
  const label = `${title}. ${bars.map((bar, number) =>
    `${barName(bar)}: ${said(sum(values[number], 1) + sum(values[number], -1), unit)}`).join("; ")}.`;
  const height = bars.length * row + 4;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("defs", null, hatching()), lines);
}

function segment(part, colour, from, to, top, text) {
  const hatched = part === "unattributed";
  const name = part.replaceAll("_", " ");
  const paint = hatched ? "url(#hatching)" : colour === "#000000" ? "currentColor" : colour;
  const box = svg("rect", { class: "part", x: from, y: top, width: Math.max(to - from, 0.5), height: 20, fill: paint },
    svg("title", null, `${name}: ${text}`));
  if (to - from < name.length * 6.1 + 8) return box;
  const ink = hatched ? "paper" : dark(colour) ? "light" : "";
  return svg("g", null, box, hatched ? plate(from + 5, top + 3, name.length * 6.1) : null,
    svg("text", { class: `inside ${ink}`, x: from + 7, y: top + 14 }, name));
}

function plate(x, y, width) {
  return svg("rect", { x: x - 1, y, width: width + 6, height: 14, fill: "var(--paper)" });
}

function hatching() {
  return svg("pattern", { id: "hatching", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: 6, height: 6, fill: "var(--paper)" }),
    svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, stroke: "var(--faint)", "stroke-width": 2.4 }));
}

function partSwatch(part, colour) {
  const hatched = part === "unattributed";
  return svg("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" },
    hatched ? svg("defs", null, hatching()) : null,
    svg("rect", { class: "part", x: 1, y: 1, width: 12, height: 12,
      fill: hatched ? "url(#hatching)" : colour === "#000000" ? "currentColor" : colour }));
}

// Whether white text reads better on a colour than black: its relative luminance (WCAG 2.2).
function dark(colour) {
  const [r, g, b] = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.2;
}
