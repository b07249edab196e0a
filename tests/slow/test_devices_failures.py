"""What goes wrong on one process goes wrong on all of them, in the same words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ranked_world import Result, Run, ranked

pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
pytestmark = pytest.mark.slow

RUNS = {
    "unwell": Run("unwell", environment="Unwell"),
    "odd": Run("odd", odd=True),
    "diverges": Run("diverges", knobs={"learning_rate": 1e8, "updates": 9}),
    "diverges in shards": Run(
        "diverges in shards", knobs={"learning_rate": 1e8, "updates": 9, "sharding": "full"}
    ),
    "one": Run("one", knobs={"processes": 1}),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Result]]:
    return ranked(list(RUNS.values()), 2, tmp_path_factory.mktemp("failures"))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("unwell", "ValueError: the judge is unwell"),
        ("odd", "UsageError: rank 1 has other initial numbers of the policy than rank 0: give"),
        ("diverges", "Diverged: "),
        ("diverges in shards", "Diverged: "),
        ("one", "UsageError: the run is of 1 processes and was started as 2: set processes to 2"),
    ],
)
def test_all_ranks_fail_alike(name: str, error: str, found: Mapping[str, list[Result]]) -> None:
    first, second = (result.error for result in found[name])

    assert first == second
    assert first.startswith(error)
