import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from unit.results_folder import write_cell, write_grid

from bakeoff.comparisons.report import report
from bakeoff.comparisons.report.page import page as page_module
from bakeoff.comparisons.report.page.page import SCRIPTS, STYLES, page
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load

PLANTED = "</script><img src=x onerror=alert(1)><!--&amp;\u2028"


class Elements(HTMLParser):
    """The elements of a page as a browser sees them, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.raw = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        if self.cdata_elem:
            self.raw.setdefault(self.cdata_elem, []).append(data)


def text_of(out):
    return page_and_files(out)[0]


def page_and_files(out):
    results = load(out)
    summary, pairwise = summary_rows(results), pairwise_rows(results)
    files = {"summary.csv": b"algorithm\ngrpo\n", "odd.csv": '"a,\u00e9"\n'.encode()}
    return page(results, summary, pairwise, files), files


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The page of grpo and ppo with three seeds each, and the files it was given."""
    return page_and_files(write_grid(tmp_path_factory.mktemp("grid")))


def data_of(text):
    return json.loads(Elements(text).raw["script"][0])


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def plant(out):
    """Write a comparison whose every text is markup."""
    for seed in (0, 1):
        folder = write_cell(out, "grpo", seed, status="error", error_message=PLANTED)
        names = {"algorithm": f"odd{PLANTED}", "environment": f"env{PLANTED}"}
        semantics = json.dumps({PLANTED: PLANTED})
        edit(folder / "spec.json", **names)
        edit(folder / "status.json", **names, experiment=PLANTED, semantics_json=semantics)
        line = json.loads((folder / "samples.jsonl").read_text())
        line |= {"prompt": PLANTED, "completion": PLANTED, "item_id": PLANTED, "score": None}
        (folder / "samples.jsonl").write_text(json.dumps(line | {"reason": PLANTED}) + "\n")
    return out


def test_untrusted_text_makes_no_element(tmp_path):
    seen = Elements(text_of(plant(tmp_path)))

    # data and code; nothing of what was planted
    assert seen.tags.count("script") == 2
    assert "img" not in seen.tags


def test_untrusted_text_arrives_as_it_was_written(tmp_path):
    data = data_of(text_of(plant(tmp_path)))
    (moment,) = data["places"][0]["samples"]["moments"]
    ((reply,),) = moment["replies"].values()

    assert moment["prompt"]["shown"] == PLANTED
    assert reply["text"]["shown"] == reply["reason"] == PLANTED
    assert data["algorithms"][0]["name"] == f"odd{PLANTED}"


def test_half_a_surrogate_pair_does_not_keep_the_page_from_being_written(tmp_path):
    folder = write_cell(tmp_path, "grpo", 0, status="error", error_message="\ud800")
    line = json.loads((folder / "samples.jsonl").read_text())
    (folder / "samples.jsonl").write_text(json.dumps(line | {"completion": "\udfff"}) + "\n")

    assert text_of(tmp_path).encode()


def test_the_policy_allows_this_style_and_this_script_and_no_request(grid):
    seen = Elements(grid[0])
    policy = next(v for tag, key, v in seen.attributes if (tag, key) == ("meta", "content"))
    hashes = {
        name: base64.b64encode(hashlib.sha256(seen.raw[name][-1].encode()).digest()).decode()
        for name in ("style", "script")
    }

    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes['style']}'",
        f"script-src 'sha256-{hashes['script']}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_nothing_on_the_page_points_outside(grid):
    seen = Elements(grid[0])
    pointing = [v for _, key, v in seen.attributes if key in ("src", "href")]

    assert [v for v in pointing if not v.startswith("#")] == ["data:,"]  # an empty icon
    assert "style" not in {key for _, key, _ in seen.attributes}  # the policy would refuse it


def test_tables_are_in_the_page_to_the_byte(grid):
    text, files = grid
    tables = data_of(text)["tables"]

    assert {name: table["text"].encode() for name, table in tables.items()} == files


def test_every_asset_is_put_into_the_page():
    folder = Path(page_module.__file__).parent / "assets"

    assert {path.name for path in folder.iterdir()} == {*STYLES, *SCRIPTS}


def test_the_same_rows_make_the_same_page(tmp_path):
    write_grid(tmp_path, seeds=1)

    assert text_of(tmp_path) == text_of(tmp_path)


def test_the_page_is_among_the_derived_files(tmp_path):
    files = report.derived(load(write_grid(tmp_path, seeds=1)))
    tables = data_of(files["report.html"].decode())["tables"]

    beside = {name: data for name, data in files.items() if name.endswith(".csv")}
    assert {name: table["text"].encode() for name, table in tables.items()} == beside


def test_sentences_and_fairness_card_need_no_script(grid):
    text = grid[0]
    words = text[: text.index('<script type="application/json"')]

    assert "ppo needed a critic of 1.00 M parameters beside the policy." in words
    assert "Fairness card" in words


def test_what_differs_between_the_formulas_is_marked_in_words_too(grid):
    text = grid[0]

    assert '<tr class="differs"><th scope="row">critic \N{NOT EQUAL TO}</th>' in text


def test_wholly_failed_comparisons_make_a_page(tmp_path):
    write_cell(tmp_path, "grpo", 0, status="timeout")
    write_cell(tmp_path, "ppo", 0, status=None)
    text = text_of(tmp_path)

    assert "No run ended ok" in text
    assert "What failed, and what is missing" in text


@pytest.mark.parametrize("theme", [0, 1])  # light, dark
def test_words_stand_out_from_what_is_behind_them(theme):
    style = (Path(page_module.__file__).parent / "assets" / "page.css").read_text()
    pairs = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);", style)
    named = {name: colours[theme] for name, *colours in pairs}

    # WCAG 2.2, 1.4.3: text needs a contrast of 4.5
    for words in ("ink", "faint", "link", "alert"):
        for ground in ("paper", "wash"):
            assert contrast(named[words], named[ground]) >= 4.5, (words, ground)


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
