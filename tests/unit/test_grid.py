"""The grid: which cells there are, what they are called, in which order they run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.comparisons.running.grid import cells, default_out, normal_form, plan
from bakeoff.errors import UsageError


def test_algorithms_rotate_by_one_place_from_seed_to_seed() -> None:
    grid = cells(plan(algorithms=["a", "b", "c"], seeds=3, control=False))

    # a Latin square: every algorithm runs once at every place
    assert [cell.algorithm for cell in grid] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [cell.seed for cell in grid] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
def test_every_combination_is_one_cell_with_an_id_of_its_own(
    n_algorithms: int, n_environments: int, n_models: int, n_seeds: int
) -> None:
    grid = cells(
        plan(
            algorithms=[f"a{i}" for i in range(n_algorithms)],
            environments=[f"me/E-v{i}" for i in range(n_environments)],
            models=[f"m{i}" for i in range(n_models)],
            seeds=n_seeds,
            control=False,
        )
    )

    total = n_algorithms * n_environments * n_models * n_seeds
    assert len({cell.cell_id for cell in grid}) == len(grid) == total
    # pairing leaves only the algorithm out: each pair_id is shared by all algorithms
    assert set(Counter(cell.pair_id for cell in grid).values()) == {n_algorithms}


def test_the_first_algorithm_runs_twice_as_a_control_that_rotates_with_the_others() -> None:
    grid = cells(plan(algorithms=["a", "b"], seeds=3))

    # four rows of a b a': the order moves on by one place for each seed
    expected = ["a", "b", "a'", "b", "a'", "a", "a'", "a", "b"]
    assert [cell.algorithm + "'" * cell.repeat for cell in grid] == expected
    assert len({cell.cell_id for cell in grid}) == 9


def test_there_is_no_control_of_one_algorithm_or_one_seed() -> None:
    assert not plan(algorithms=["a", "b"], seeds=1).control
    assert not plan(algorithms=["a"], seeds=2).control
    assert plan(algorithms=["a", "b"], seeds=2).control


def test_settings_of_one_algorithm_alone_are_in_its_cells_and_in_no_other() -> None:
    shared = {"algorithms": ["grpo", "ppo"], "seeds": 1}
    own = {"ppo": {"group_size": 4, "updates": 40}}

    plain = cells(plan(**shared))
    tuned = cells(plan(**shared, own=own, own_reason="tuned"))

    # 40 updates are what all have: only the group is ppo's own
    assert tuned[0] == plain[0]
    assert (tuned[1].own, tuned[1].own_reason) == ({"group_size": 4}, "tuned")
    assert tuned[1].config == {**plain[1].config, "group_size": 4}
    assert tuned[1].cell_id != plain[1].cell_id
    assert tuned[1].config_sha256 == plain[1].config_sha256


def test_a_cell_keeps_its_id_when_the_grid_grows() -> None:
    small = cells(plan(algorithms=["grpo"], seeds=2))
    large = cells(plan(algorithms=["grpo", "ppo"], seeds=[0, 1, 9], models=["tiny", "smollm2"]))

    assert {cell.cell_id for cell in small} <= {cell.cell_id for cell in large}


def test_settings_change_a_cells_id_and_limits_do_not() -> None:
    (plain,) = cells(plan(algorithms=["grpo"], seeds=1))
    (limited,) = cells(plan(algorithms=["grpo"], seeds=1, memory_limit=10**9, cell_timeout=60))
    (longer,) = cells(plan(algorithms=["grpo"], seeds=1, updates=41))

    assert plain.cell_id == limited.cell_id
    assert plain.cell_id != longer.cell_id
    assert plain.config_sha256 != longer.config_sha256


def test_ids_are_readable_and_safe_as_folder_names() -> None:
    environment = "my envs/../é.py:me/Add-v0:data=/some/place:digits=3"

    (cell,) = cells(plan(algorithms=["grpo:clip=0.1"], environments=[environment], seeds=[7]))

    # algorithm and its argument, environment and its argument without the path, model, seed, hash
    assert cell.cell_id.startswith("grpo-clip-0.1-add-v0-digits-3-tiny-s7-")
    assert set(cell.cell_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_two_spellings_of_a_name_are_one_cell() -> None:
    assert normal_form(" ppo:b=2:a=1.0 ") == normal_form("ppo:a=1.0:b=2") == "ppo:a=1.0:b=2"


def test_a_value_that_would_be_read_differently_later_is_refused() -> None:
    # a space and a # begin a comment in YAML: "x #y" comes back as "x" from "'x #y'"
    with pytest.raises(UsageError, match="cannot be written"):
        normal_form("grpo:note='x #y'")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": -2}, "at least one seed"),
        ({"seeds": [1, -1]}, "not -1"),
        ({"seeds": [3, 1, 3]}, "seed 3 is given 2 times"),
        ({"seeds": ["a"]}, "not 'a'"),
        ({"algorithms": []}, "at least one algorithm"),
        ({"algorithms": ["ppo:a=1:b=2", "ppo:b=2:a=1"]}, "'ppo:a=1:b=2' is given 2 times"),
        ({"models": ["tiny", "tiny"]}, "model 'tiny' is given 2 times"),
        ({"updates": 0}, "updates must be at least 1"),
        ({"update": 3}, "did you mean 'updates'"),
        ({"memory_limit": 0}, "memory_limit must be above 0"),
        ({"cell_timeout": float("nan")}, "cell_timeout must be above 0"),
        ({"max_parallel": 0}, "max_parallel must be a whole number from 1 on"),
        ({"control": "no"}, "control must be true or false"),
        ({"memory_limit": "8GiB"}, "memory_limit must be a number above 0, not '8GiB'"),
        ({"tuning_trials": "x"}, "tuning_trials must be a whole number from 0 on"),
        ({"own_reason": 3}, "own_reason must be text"),
        ({"algorithms": "grpo"}, r"algorithms are a list of names, \['grpo'\], not 'grpo'"),
        ({"models": None}, "models are a list of names"),
        ({"trackers": "wandb"}, r"trackers are a list of names, \['wandb'\]"),
        ({"seeds": 1.5}, "seeds are a number"),
        ({"own": {"grpo": 3}}, "own must be 'algorithm"),
        ({"own": {"gpro": {"updates": 3}}}, "did you mean 'grpo'"),
        ({"own": {"ppo": {"updates": 0}}}, "updates must be at least 1"),
    ],
)
def test_an_impossible_comparison_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(**wrong)  # type: ignore[arg-type]


def test_the_default_folder_is_named_after_what_is_compared() -> None:
    environments = ["bakeoff/GSM8K-v0:data=/a/b", "bakeoff/Arithmetic-v0:level=3"]

    # the path is left out; the level is not
    expected = Path("results/gsm8k-v0-arithmetic-v0-level-3-smollm2")
    assert default_out(environments, ["smollm2"]) == expected
