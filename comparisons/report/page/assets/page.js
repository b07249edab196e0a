// Puts the page together: theme, place, figures, tables, print.

const FIGURES = {
  curves: curvesFigure,
  differences: differencesFigure,
  tradeoff: tradeoffFigure,
  memory: memoryFigure,
  seconds: secondsFigure,
  levels: levelsFigure,
  samples: samplesFigure,
};
let drawn = [];

function showPlace(place) {
  drawn = [];
  for (const [id, build] of Object.entries(FIGURES)) {
    const section = document.getElementById(id);
    const figure = build(place);
    section.replaceChildren(section.firstElementChild, ...(figure ? figure.nodes.filter(Boolean) : []));
    section.hidden = !figure;
    if (figure) drawn.push(figure);
  }
  draw();
  listContents();
}

function listContents() {
  const sections = [...document.querySelectorAll("main section[id]")].filter((section) => !section.hidden);
  document.getElementById("contents").replaceChildren(...sections.map((section) =>
    html("a", { href: `#${section.id}` }, section.querySelector("h2").textContent)));
}

function draw() {
  const width = Math.floor(document.getElementById("figures").clientWidth);
  if (width > 0) drawn.forEach((figure) => figure.draw(width));
}

function choosePlace() {
  if (data.places.length < 2) return;
  const choice = html("select", { change: () => showPlace(data.places[Number(choice.value)]) },
    data.places.map((place, number) => option(number, place.title, number === 0)));
  document.getElementById("place").append(labelled("Environment and model", choice));
}

function chooseTheme() {
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  let theme = "system";
  try { theme = themes.find((name) => name === localStorage.getItem("bakeoff-theme")) || "system"; } catch { /* no storage here */ }
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("bakeoff-theme", theme); } catch { /* it lasts for this visit */ }
    apply();
  });
  apply();
  button.hidden = false;
}

// On paper all numbers behind the figures are shown, and figures fit the sheet.
function onPaper() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.numbers:not([open])")];
    opened.forEach((box) => { box.open = true; });
    drawn.forEach((figure) => figure.draw(640));
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((box) => { box.open = false; });
    draw();
  });
}

function start() {
  chooseTheme();
  document.getElementById("figures").hidden = false;
  choosePlace();
  const tables = document.getElementById("tables");
  tables.append(...tablesSection());
  tables.hidden = !Object.keys(data.tables).length;
  showPlace(data.places[0]);
  onPaper();
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) { width = window.innerWidth; draw(); }
  });
}

start();
