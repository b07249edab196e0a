// The CSV tables: sorted, filtered, and handed out byte for byte as they stand beside the page.

const FIRST_ROWS = 100;
const FIRST_TABLES = ["summary.csv", "pairwise.csv"];
const LAST_TABLES = ["runs.csv", "curves.csv", "phases.csv", "memory.csv", "evals.csv"];

function tablesSection() {
  const rank = (name) => (FIRST_TABLES.includes(name) ? FIRST_TABLES.indexOf(name) - 99
    : LAST_TABLES.includes(name) ? LAST_TABLES.indexOf(name) + 99 : 0);
  const names = Object.keys(data.tables).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return names.map((name) => tableBox(name, data.tables[name]));
}

function tableBox(name, { text, bytes }) {
  const size = bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  if (text === null) {
    return html("p", { class: "beside" }, html("a", { href: name }, name),
      ` (${size}) is too large for this page; it stands beside it.`);
  }
  const box = html("details", { class: "table", toggle: () => { if (box.open && box.children.length === 1) box.append(...opened(name, text)); } },
    html("summary", null, html("span", { class: "file" }, name), html("span", { class: "small" }, size)));
  return box;
}

function opened(name, text) {
  const [header, ...rows] = parsed(text);
  const state = { column: null, down: false, words: [], all: false };
  const body = html("tbody");
  const count = html("output", { class: "small" });
  const more = html("button", { type: "button", click: () => { state.all = true; show(); } }, "Show all rows");
  const search = html("input", { type: "search", placeholder: "words, all of them",
    input: () => { state.words = search.value.toLowerCase().split(/\s+/).filter(Boolean); show(); } });
  const numeric = header.map((_, column) => {
    const values = rows.map((row) => row[column]).filter((cell) => cell !== "");
    return values.length > 0 && values.every((cell) => isNumber(cell));
  });
  const heads = header.map((title, column) => html("th", { scope: "col", "aria-sort": "none", class: numeric[column] ? "number" : null },
    html("button", { type: "button", click: () => sort(column) }, title)));

  function sort(column) {
    state.down = state.column === column ? !state.down : false;
    state.column = column;
    heads.forEach((head, place) => head.setAttribute("aria-sort",
      place !== column ? "none" : state.down ? "descending" : "ascending"));
    show();
  }

  function show() {
    let found = rows.filter((row) => {
      const line = row.join("\u0000").toLowerCase();
      return state.words.every((word) => line.includes(word));
    });
    if (state.column !== null) found = sorted(found, state.column, numeric[state.column], state.down);
    const shown = state.all ? found : found.slice(0, FIRST_ROWS);
    body.replaceChildren(...shown.map((row) => html("tr", null, row.map((cell, column) =>
      html("td", { class: numeric[column] ? "number" : null, title: cell.length > 60 ? cell : null }, readable(cell, numeric[column]))))));
    const of = found.length === rows.length ? `${rows.length} rows` : `${found.length} of ${rows.length} rows`;
    count.textContent = shown.length < found.length ? `${of}, the first ${shown.length} shown` : of;
    more.hidden = shown.length === found.length;
  }

  show();
  return [
    html("div", { class: "controls" }, labelled("Filter", search), count, more,
      html("button", { type: "button", class: "download", click: () => download(name, text) }, `Download ${name}`)),
    html("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": name },
      html("table", null, html("caption", null, `${name}. A heading sorts; numbers are shown in six digits, the file has them all.`),
        html("thead", null, html("tr", null, heads)), body)),
  ];
}

// The rows of a CSV text (RFC 4180), each a list of texts.
function parsed(text) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const sign = text[place];
    if (quoted) {
      if (sign !== "\"") cell += sign;
      else if (text[place + 1] === "\"") { cell += sign; place += 1; } else quoted = false;
    } else if (sign === "\"") quoted = true;
    else if (sign === ",") { row.push(cell); cell = ""; } else if (sign === "\n") {
      rows.push([...row, cell]);
      [row, cell] = [[], ""];
    } else cell += sign;
  }
  return rows;
}

function isNumber(cell) {
  return /^[+-]?(\d+\.?\d*(e[+-]?\d+)?|nan|inf)$/i.test(cell);
}

function readable(cell, numeric) {
  if (numeric && cell.length > 8 && cell.includes(".")) return String(Number(Number(cell).toPrecision(6)));
  return cell.length > 160 ? `${cell.slice(0, 157)}\u2026` : cell;
}

// Missing cells stand last in either direction.
function sorted(rows, column, numeric, down) {
  const sign = down ? -1 : 1;
  const words = new Intl.Collator("en", { numeric: true });
  const missing = (cell) => cell === "" || cell === "nan";
  return [...rows].sort(({ [column]: a }, { [column]: b }) => {
    if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
    return sign * (numeric ? Number(a.replace("inf", "Infinity")) - Number(b.replace("inf", "Infinity")) : words.compare(a, b));
  });
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = html("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
