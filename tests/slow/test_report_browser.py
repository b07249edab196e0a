"""report.html in a real Chromium, opened as a file. It asks the network for nothing.

Skipped where there is no playwright (``pip install bakeoff[browser]``), or no Chromium: neither the
system's nor the one of ``playwright install chromium``.
"""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from unit.results_folder import write_cell

from bakeoff.comparisons.report import report
from bakeoff.comparisons.results import load
from bakeoff.comparisons.tables import replace_file

pytestmark = pytest.mark.slow

PLANTED = "</script><img src=x onerror=alert(1)>"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="there is no playwright")
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        path = next(filter(None, map(shutil.which, NAMES)), own)
        if not Path(path).exists():
            pytest.skip("there is no Chromium")
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of two environments with three algorithms; one run of the second one failed."""
    out = tmp_path_factory.mktemp("results")
    for environment in ("bakeoff/A-v0", "bakeoff/B-v0"):
        for seed in range(3):
            for algorithm, end in (("grpo", 0.7), ("ppo", 0.8)):
                lost = (environment, algorithm, seed) == ("bakeoff/B-v0", "ppo", 2)
                failure = {"status": "diverged", "error_message": PLANTED} if lost else {}
                scores = (0.25, 0.5, 0.6) if lost else (0.25, 0.5, end + seed / 100)
                folder = write_cell(
                    out, algorithm, seed, scores=scores, environment=environment, **failure
                )
                line = json.loads((folder / "samples.jsonl").read_text())
                line |= {"prompt": PLANTED, "completion": f"{algorithm} says {PLANTED}"}
                (folder / "samples.jsonl").write_text(json.dumps(line) + "\n")
    return written(out)


@pytest.fixture
def opened(chromium, file):
    """A function that opens the page and returns it; what it complained of fails the test."""
    contexts, complaints, asked = [], [], []

    def opened(path=file, **settings):
        asked.append(path.as_uri())
        settings = {"viewport": {"width": 1100, "height": 900}} | settings
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    # the page itself is the one request of each visit; then no word and no other request
    assert [text for text in complaints if text not in asked] == []


def chart(page):
    return page.locator("#curves .canvas svg")


def test_every_figure_is_drawn_without_a_complaint(opened):
    page = opened()

    drawn = ("curves", "differences", "tradeoff", "memory", "seconds")
    assert [page.locator(f"#{name} svg[role=img]").count() > 0 for name in drawn] == [True] * 5
    assert page.locator("#levels").is_hidden()  # these environments have no levels


def test_another_axis_draws_the_curves_against_it(opened):
    page = opened()
    page.get_by_label("Against", exact=True).select_option("train_wall_s")

    # two updates of 10 s each
    assert "against training time" in chart(page).get_attribute("aria-label")
    assert page.locator("#curves .reader output").inner_text() == "20.00 s"


def test_another_metric_draws_its_curves(opened):
    page = opened()
    page.get_by_label("Metric").select_option(label="training reward (sampled)")

    # half of the scores, from the first update on: .25 to .355
    assert "grpo from 0.25 to 0.355" in chart(page).get_attribute("aria-label")


def test_another_place_shows_its_runs(opened):
    page = opened()
    page.get_by_label("Environment and model").select_option(label="bakeoff/B-v0, tiny")

    cells = page.locator("#curves .legend tbody tr").nth(1).locator("td")
    assert cells.last.inner_text() == "2, 1 failed"


def test_the_curves_are_read_where_the_slider_stands(opened):
    page = opened()
    page.get_by_label("Read at").focus()
    page.keyboard.press("ArrowLeft")

    # after update 1 every run has .5: an interval of no width
    row = page.locator("#curves .legend tbody tr").first
    assert page.locator("#curves .reader output").inner_text() == "update 1"
    assert row.locator("td").first.inner_text() == "0.5 [0.5, 0.5]"


def test_an_algorithm_can_be_hidden_and_keeps_the_focus(opened):
    page = opened()
    key = page.get_by_role("button", name="ppo", exact=True)
    before = chart(page).locator("path").count()
    key.press("Enter")

    assert key.get_attribute("aria-pressed") == "false"
    assert key.evaluate("node => node === document.activeElement")
    assert chart(page).locator("path").count() < before


def test_all_algorithms_can_be_hidden(opened):
    page = opened()
    for name in ("grpo", "ppo"):
        page.get_by_role("button", name=name, exact=True).click()

    assert chart(page).locator("path").count() == 0


def test_a_heading_sorts_by_numbers_first_up_then_down(opened):
    page = opened()
    box = table(page, "summary.csv")
    heading = box.get_by_role("columnheader", name="mean", exact=True)
    place = box.locator("thead th").all_inner_texts().index("mean") + 1
    orders = []
    for _ in range(2):
        heading.get_by_role("button").click()
        cells = box.locator(f"tbody td:nth-child({place})").all_inner_texts()
        numbers = [float(cell) for cell in cells if cell]
        orders.append((heading.get_attribute("aria-sort"), numbers == sorted(numbers)))

    assert orders == [("ascending", True), ("descending", False)]


def test_a_filter_keeps_the_rows_that_hold_all_its_words(opened):
    page = opened()
    box = table(page, "runs.csv")
    box.get_by_label("Filter").fill("DIVERGED ppo")

    assert box.locator("tbody tr").count() == 1
    assert box.locator("output").inner_text() == "1 of 12 rows"


def test_a_downloaded_table_is_the_file_beside_the_page(opened, file):
    page = opened()
    with page.expect_download() as download:
        table(page, "runs.csv").get_by_role("button", name="Download runs.csv").click()

    assert download.value.suggested_filename == "runs.csv"
    assert Path(download.value.path()).read_bytes() == (file.parent / "runs.csv").read_bytes()


def test_the_theme_follows_the_system_until_it_is_chosen(opened):
    page = opened(color_scheme="dark")
    button = page.get_by_role("button", name="Theme")
    seen = []
    for _ in range(3):
        seen.append((button.inner_text(), is_dark(page)))
        button.click()

    assert seen == [("Theme: system", True), ("Theme: light", False), ("Theme: dark", True)]


def test_nothing_is_wider_than_a_phone(opened):
    page = opened(viewport={"width": 360, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
    page.wait_for_timeout(200)

    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_charts_are_drawn_anew_for_another_width(opened):
    page = opened()
    page.set_viewport_size({"width": 500, "height": 900})
    page.wait_for_timeout(200)

    assert float(chart(page).get_attribute("width")) < 500


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(opened):
    page = opened()
    controls = page.evaluate("""
        [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")]
          .filter(node => node.checkVisibility()).length""")
    tops, outlines = [], []
    for _ in range(controls):
        page.keyboard.press("Tab")
        top, outline, skip = page.evaluate("""(() => {
            const node = document.activeElement;
            const top = node.getBoundingClientRect().top + scrollY;
            return [top, getComputedStyle(node).outlineStyle, node.className === "skip"]; })()""")
        tops += [] if skip else [top]
        outlines.append(outline)

    assert "none" not in outlines  # the focus can be seen wherever it is
    assert len(tops) == controls - 1
    assert all(later > earlier - 200 for earlier, later in pairwise(tops))


def test_only_buttons_and_fields_are_clicked_upon(opened):
    page = opened()
    table(page, "summary.csv")
    names = page.evaluate(
        "[...document.querySelectorAll('button, select, input')].filter(node =>"
        " !(node.innerText || node.labels?.length || node.ariaLabel)).map(node => node.outerHTML)"
    )

    assert names == []  # each says what it is


def test_planted_markup_is_shown_as_the_text_that_it_is(opened):
    page = opened()

    assert page.locator("img").count() == 0
    assert page.locator("#samples .prompt pre").inner_text() == PLANTED
    assert page.locator("#samples .reply pre").first.inner_text() == f"grpo says {PLANTED}"
    assert PLANTED in page.locator("#failed").inner_text()


def test_what_was_found_is_said_without_scripts_too(opened):
    page = opened(java_script_enabled=False)

    assert "ppo needed a critic of 1.00 M parameters" in page.locator("#found").inner_text()
    assert "CSV files beside this page" in page.locator("noscript").inner_text()


def test_on_paper_there_are_no_controls_and_all_figures(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")

    assert page.locator("#curves .controls").is_hidden()
    assert page.locator("#theme").is_hidden()
    assert chart(page).is_visible()
    assert not is_dark(page)


@pytest.mark.parametrize(
    "statuses", [("timeout", "oom"), ("ok",), ("ok", None), ("diverged", "ok")]
)
def test_a_page_of_little_is_drawn_without_a_complaint(opened, tmp_path, statuses):
    for algorithm, status in zip(("grpo", "ppo"), statuses, strict=False):
        write_cell(tmp_path, algorithm, 0, status=status)
    page = opened(written(tmp_path))

    assert page.locator("#found li").count() > 0
    assert page.locator("#tables details").count() > 3


def written(out):
    """Write what is derived from a folder's cells, but for its figures; return the page."""
    for name, data in report.derived(load(out)).items():
        replace_file(out / name, data)
    return out / "report.html"


def table(page, name):
    """Unfold a table, and return its box."""
    box = page.locator("details.table", has=page.locator(f"summary >> text={name}"))
    box.locator("summary").click()
    return box


def is_dark(page):
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return sum(map(int, colour.strip("rgb()").split(","))) < 3 * 128
