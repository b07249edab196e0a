// What the algorithms wrote to the same item after the same update, side by side.

function samplesFigure(place) {
  const { moments, seed, kept, of } = place.samples;
  if (!moments.length) return null;
  const items = [...new Set(moments.map((moment) => moment.item))];
  const box = html("div");
  const updates = html("select", { change: show });
  const item = html("select", { change: () => { listUpdates(); show(); } },
    items.map((name, k) => option(name, name, k === 0)));
  const step = (by) => {
    const at = Math.min(Math.max(updates.selectedIndex + by, 0), updates.length - 1);
    const next = items.indexOf(item.value) + by;
    if (at !== updates.selectedIndex) updates.selectedIndex = at;
    else if (next >= 0 && next < items.length) {
      item.value = items[next];
      listUpdates();
      if (by > 0) updates.selectedIndex = 0;
    }
    show();
  };

  function listUpdates() {
    const own = moments.filter((moment) => moment.item === item.value);
    updates.replaceChildren(...own.map((moment, k) => option(moments.indexOf(moment), String(moment.update), k === own.length - 1)));
  }

  function show() {
    const moment = moments[Number(updates.value)];
    box.replaceChildren(
      html("div", { class: "prompt" }, html("h3", null, "Prompt"), written(moment.prompt)),
      html("div", { class: "replies" }, place.algorithms.map((_, index) => column(place, index, moment))));
  }

  listUpdates();
  show();
  return {
    nodes: [
      html("div", { class: "controls" }, labelled("Item", item), labelled("After update", updates),
        html("span", { class: "control" },
          html("button", { type: "button", click: () => step(-1) }, "\u2190 Earlier"),
          html("button", { type: "button", click: () => step(1) }, "Later \u2192"))),
      box,
      caption(`Seed ${seed}. Kept here: ${kept} of ${of} items and updates that completions were kept of;`,
        "samples.jsonl has all of them, and all seeds."),
    ],
    draw() {},
  };
}

function column(place, index, moment) {
  const algorithm = algorithmOf(place, index);
  const replies = moment.replies[algorithm.name] || [];
  return html("article", null,
    html("h3", null, swatch(algorithm), algorithm.short),
    replies.length ? replies.map(reply) : html("p", { class: "empty" }, "Nothing kept of this one."));
}

function reply(one) {
  const notes = [`score ${one.score === null ? MISSING : compact(one.score)}`];
  for (const [name, value] of Object.entries(one.parts)) notes.push(`${name} ${compact(value)}`);
  return html("div", { class: "reply" }, written(one.text),
    html("p", { class: "small" }, notes.join(" \u00b7 "),
      one.truncated ? html("span", { class: "flag" }, "cut off: out of room") : null,
      one.reason ? html("span", { class: "flag" }, `not scored: ${one.reason}`) : null));
}

function written({ shown, left_out: left }) {
  return [
    html("pre", { tabindex: shown.length > 400 ? 0 : null }, shown || html("em", null, "(empty)")),
    left ? html("p", { class: "small" }, `\u2026 and ${left} more characters, in samples.jsonl`) : null,
  ];
}
