"""The pages' links to each other: every one leads to a file that is there, and to its heading."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def headings(page: Path) -> set[str]:
    """Return a page's anchors as GitHub makes them: small letters, digits and hyphens."""
    lines = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    shown = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).strip().lower() for line in lines)
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in shown}


def broken(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        known = headings(target) if anchor and target.suffix == ".md" and target.exists() else ()
        if not target.exists() or (known and anchor not in known):
            yield f"{page.relative_to(ROOT)}: {link}"


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    # a published report also names tables and a page that its raw.tar.xz is for
    pages = [page for page in pages if page.name != "report.md" or page.parent.name == "docs"]

    assert [link for page in pages for link in broken(page)] == []


def test_headings_are_known_by_their_whole_words() -> None:
    page = ROOT / "docs" / "scale.md"

    assert "what-was-run-for-real-and-what-was-not" in headings(page)
    assert "what-was-run" not in headings(page)
