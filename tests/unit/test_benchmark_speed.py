"""The speed benchmarks: equal work on both sides, floors counted by hand, rows that are kept."""

from __future__ import annotations

import argparse
import doctest
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_modules import MODULES, importing
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import LlamaConfig, LlamaForCausalLM


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    yield from importing(monkeypatch)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str, module: Any) -> None:
    failed, _ = doctest.testmod(module(name))

    assert failed == 0


def test_a_ratio_is_the_geometric_mean_with_student_s_interval_of_the_logarithms(
    module: Any,
) -> None:
    found = module("speed_tables").ratio([2.0, 8.0], [1.0, 1.0])

    # logs ln 2 and ln 8: mean ln 4, deviation (ln 8 - ln 2) / sqrt 2, error half of ln 4, so ln 2;
    # t(0.975, 1) = 12.7062
    expected = (4, 4 * 2**-12.7062, 4 * 2**12.7062)
    assert found == pytest.approx(expected, rel=1e-4)


def test_what_slows_both_sides_of_a_round_is_not_in_the_ratio(module: Any) -> None:
    found = module("speed_tables").ratio([2.0, 20.0], [1.0, 10.0])

    # both rounds have the ratio 2, however long they took
    assert found == pytest.approx((2, 2, 2))


def test_a_single_round_has_no_interval(module: Any) -> None:
    tables = module("speed_tables")

    found = tables.ratio([3.0], [1.0])

    assert found.middle == pytest.approx(3)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert tables.spelled(found) == "3.00 (one round)"


def one_layer() -> LlamaForCausalLM:
    """8 wide, 2 heads of 4 that share one key, 16 inside, 10 tokens."""
    config = LlamaConfig(
        vocab_size=10,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def test_the_sizes_of_a_model_of_one_layer(module: Any) -> None:
    floors = module("speed_floors")

    # query and output 8 x 8, key and value 8 x 4, three of 8 x 16; three norms of 8
    body = 2 * 64 + 2 * 32 + 3 * 128
    expected = floors.Sizes(
        body=body,
        head=80,
        attention_width=8,
        cache_width=4 + 4,
        parameters=body + 80 + 24,
        weight_bytes=4,
    )
    assert floors.sizes_of(one_layer(), "fp32") == expected
    assert floors.sizes_of(one_layer(), "bf16_autocast") == expected._replace(weight_bytes=2)


# one prompt of 3 tokens, two completions of 3
SHAPE = (1, 2, 3, 3)
BODY, HEAD = 576, 80


def counted(module: Any, phase: str) -> tuple[int, int]:
    floors, world = module("speed_floors"), module("speed_world")
    sizes = floors.sizes_of(one_layer(), "fp32")
    return tuple(floors.PHASES[phase](world.Shape(*SHAPE), sizes))


def test_the_prompt_is_passed_once_for_its_group(module: Any) -> None:
    # 3 tokens; logits after the last; 1 + 2 + 3 pairs of 8 wide; weights and 3 tokens of cache
    flops = 2 * BODY * 3 + 2 * HEAD + 4 * 8 * 6
    assert counted(module, "prefill") == (flops, 4 * (BODY + HEAD) + 4 * 8 * 3)


def test_decoding_reads_the_weights_once_a_step_and_the_prompt_once_for_its_group(
    module: Any,
) -> None:
    # the first token is the prefill's: 2 steps of 2 rows, which see 3 + 1 and 3 + 2 tokens
    flops = 2 * (BODY + HEAD) * 4 + 4 * 8 * 2 * (4 + 5)
    # 2 times the weights; 2 times the prompt's 3 tokens; 1 + 2 own tokens of each row
    read = 4 * 2 * (BODY + HEAD) + 4 * 8 * (2 * 3 + 2 * 3)
    assert counted(module, "decoding") == (flops, read)


def test_an_update_passes_the_prompt_once_and_no_last_token(module: Any) -> None:
    # 3 + 2 x 2 tokens, logits for 2 x 3; pairs: 6 of the prompt, (3 + 1) + (3 + 2) of each row;
    # backward is twice forward
    forward = 2 * BODY * 7 + 2 * HEAD * 6 + 4 * 8 * (6 + 2 * 9)
    # the weights in two passes; 9 accesses to each of 680 parameters
    assert counted(module, "update") == (3 * forward, 4 * 2 * (BODY + HEAD) + 4 * 9 * 680)


def test_every_variant_of_trl_makes_one_step_of_all_completions(module: Any) -> None:
    own, trl, vs_trl = module("speed_own"), module("speed_trl"), module("vs_trl")

    for shape in module("speed_world").SHAPES.values():
        for knobs in vs_trl.variants(shape).values():
            job = own.Job("tiny", shape, "fp32", 1, 2, 1, "cpu", knobs)
            found = trl.settings(job, "", 0)
            passes = found["gradient_accumulation_steps"]
            assert found["per_device_train_batch_size"] * passes == shape.completions
            assert found["num_generations"] == shape.group


def test_the_phases_of_trl_add_up_to_its_update(module: Any) -> None:
    trl, own = module("speed_trl"), module("speed_own")
    clock = trl.Clock("cpu")
    seconds = {"generated": 5.0, "prepared": 6.0, "stepped": 10.0, "applied": 2.0, "whole": 13.0}
    clock.spent = {name: own.Times(wall, 2 * wall) for name, wall in seconds.items()}

    found = clock.update()

    # scoring 6 - 5, the update 10 - 6 + 2, the rest 13 - 10 - 2
    assert [times.wall_s for times in found.values()] == [5, 1, 6, 1]
    assert [times.cpu_s for times in found.values()] == [10, 2, 12, 2]


def test_own_completions_are_full_and_an_update_is_one_step(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, world = module("speed_own"), module("speed_world")
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)  # those of the tests stay
    shape = world.Shape(prompts=2, group=3, prompt_tokens=7, completion_tokens=5)
    steps: list[object] = []
    counting = register_optimizer_step_post_hook(lambda *_: steps.append(None))

    run = own.train(own.Job("tiny", shape, "fp32", 1, 2, 1, "cpu", {}))

    counting.remove()
    assert run.tokens == 2 * 3 * 5
    assert len(run.updates) == 2 and len(steps) == 3  # one of them the warm-up
    assert all(set(update) == set(own.PHASES) for update in run.updates)


def test_prompts_have_the_length_that_is_asked_for(module: Any) -> None:
    world = module("speed_world")
    model = world.endless("tiny")

    found = world.prompts(model.tokenizer, count=3, tokens=41)

    assert len(set(found)) == 3
    assert [len(model.prompt_ids(text)) for text in found] == [41] * 3


def test_a_cell_that_is_done_is_kept_and_one_that_failed_is_tried_again(
    module: Any, tmp_path: Path
) -> None:
    cells = module("speed_cells")
    path, calls = tmp_path / "rows.csv", []

    def broken() -> dict[str, object]:
        calls.append("broken")
        raise cells.Failed("exit code -9: killed")

    def works() -> dict[str, object]:
        calls.append("works")
        return {"wall_s": 1.5}

    for measure in (broken, works, broken):
        results = cells.Results(path)  # as a new start reads it
        row = cells.fill(results, {"shape": "short", "round": 1}, measure, "[1/1]")
        assert row["status"] == ("failed" if calls == ["broken"] else "ok")
        if calls == ["broken"]:
            assert cells.failures(results) == ["Failed: short, 1: exit code -9: killed"]

    assert calls == ["broken", "works"]
    assert [row["wall_s"] for row in cells.Results(path).rows] == ["1.5"]


@pytest.mark.slow
def test_a_process_that_fails_gives_its_last_line_as_the_reason(module: Any) -> None:
    cells, own, world = module("speed_cells"), module("speed_own"), module("speed_world")
    job = own.Job("tny", world.SHAPES["short"], "fp32", 0, 1, 1, "cpu", {})

    with pytest.raises(cells.Failed, match="exit code 1: UsageError: unknown model 'tny'"):
        cells.measured("bakeoff", job)


def test_a_share_of_the_limit_is_the_larger_floor_over_the_time(module: Any) -> None:
    floors, limits, world = module("speed_floors"), module("limits"), module("speed_world")
    rates = module("speed_rates").Measured(square=1e6, layers=5e5, rows=5e5, read=1e3, copy=2e3)
    sizes = floors.sizes_of(one_layer(), "fp32")
    row = {"prefill_s": "10", "decoding_s": "10", "update_s": "10"}
    row |= {name: str(value) for name, value in sizes._asdict().items()}

    lines = limits.shares(world.Shape(*SHAPE), rates, [row])

    # 2,720, 5,632 and 29,728 bytes at 2,000 a second in 10 s; operations at 1e6 are below that
    assert [line[6] for line in lines] == ["14%", "28%", "149%"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_benchmark_of_gpus_says_how_to_try_it(
    module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = module("gpu").main([])

    assert code == 2
    expected = "gpu: there is no CUDA device here; try it with --device cpu --size tiny\n"
    assert capsys.readouterr().err == expected


def test_knobs_are_read_as_numbers_where_they_are(module: Any) -> None:
    args = (
        module("speed_arguments")
        .parser("", "", "x.csv")
        .parse_args(["--knob", "micro_batch=8", "--knob", "precision=bf16"])
    )

    found: argparse.Namespace = module("speed_arguments").checked(args)

    assert found.knobs == {"micro_batch": 8, "precision": "bf16"}


@pytest.mark.slow
def test_both_sides_are_compared_from_the_command_line(
    module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl", reason="TRL is not installed: pip install 'bakeoff[trl]'")
    small = ["--model", "tiny", "--shape", "2,4,20,8", "--precisions", "fp32", "--threads", "1"]
    once = ["--rounds", "1", "--warmup", "0", "--updates", "1", "--csv", str(tmp_path / "rows.csv")]

    code = module("vs_trl").main([*small, *once])

    # three variants of TRL's (4, 8, 8 with checkpointing), then one round of two sides
    assert code == 0
    assert capsys.readouterr().err.count(": ok (") == 5
