"""Whatever is changed in a results folder, the check finds it, and does not break on it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from unit.true_folder import make, rehash, write_report

from bakeoff.comparisons.report.check import findings
from bakeoff.comparisons.report.checking import hashes
from bakeoff.errors import UsageError

JUNK = ("", "-1", "0", "7", "nan", "1e400", "abc", '"', ",", "\n", "{", "null", "\x00", "é", "true")


def mutant(text: str, random: random.Random) -> str:
    """Return a text with a stretch of it cut out, doubled, or replaced by something else."""
    start = random.randrange(len(text))
    end = min(len(text), start + random.choice((1, 1, 4, 40)))
    put = random.choice((random.choice(JUNK), text[start:end] * 2, ""))
    return text[:start] + put + text[end:]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make(tmp_path_factory.mktemp("fresh") / "results"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_any_change_of_any_file_is_found_and_breaks_nothing(
    fresh: Path, tmp_path: Path, seed: int
) -> None:
    out = shutil.copytree(fresh, tmp_path / "results")
    draw = random.Random(seed)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    path = draw.choice([path for path in files if path.name != hashes.FILE])
    before = path.read_bytes()
    path.write_bytes(mutant(before.decode(), draw).encode())
    if path.read_bytes() == before:
        pytest.skip("this one changes nothing")

    assert findings(out) != []
    try:
        rehash(out)  # and with every hash made anew it is a finding or an honest folder
        findings(out)
    except UsageError as error:
        assert "\n" not in str(error)
