"""Several processes of one run, as far as one process can tell: whose is what, what is refused.

That their run is the run of one process is in ``tests/slow/test_devices_*.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
import torch
from small_world import sampled_batch, small_config, small_model

from bakeoff.errors import UsageError
from bakeoff.training.batch import micro_rows
from bakeoff.training.devices.refusals import asked_sharding, check_launch
from bakeoff.training.devices.replicas import PIECE, fingerprint
from bakeoff.training.devices.sharding import empty_twin, met
from bakeoff.training.devices.shards import cut_like, full, here, is_shard
from bakeoff.training.devices.shares import Writing, dealt, share
from bakeoff.training.devices.world import Ranks, Value, World, launched_size
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


@pytest.mark.parametrize(("n", "size"), [(5, 2), (5, 3), (2, 3), (0, 2)])
def test_shares_are_neighbours_and_together_all(n: int, size: int) -> None:
    shares = [list(range(n))[share(n, Ranks(rank, size))] for rank in range(size)]

    assert [one for some in shares for one in some] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_rows_are_dealt_by_their_tokens() -> None:
    # with one more for each, 11 + 2 + 2 + 2 + 2 = 19: the middles of the rows are at 5.5, 12, 14,
    # 16 and 18, and half of all at 9.5
    parts = [dealt([0, 1, 2, 3, 4], [10, 1, 1, 1, 1], Ranks(rank, 2)) for rank in (0, 1)]

    assert parts == [[0], [1, 2, 3, 4]]


def test_micro_batches_of_all_ranks_are_each_row_once() -> None:
    batch = sampled_batch(small_model())

    found = [micro_rows(batch, 4, world=Ranks(rank, 3)) for rank in range(3)]

    assert sorted(row for pieces in found for piece in pieces for row in piece) == list(range(12))
    assert max(len(piece) for pieces in found for piece in pieces) <= 4


def test_more_ranks_than_rows_leave_some_without() -> None:
    batch = sampled_batch(small_model(), 3)

    found = [micro_rows(batch, 4, world=Ranks(rank, 8)) for rank in range(8)]

    assert [len(pieces) for pieces in found].count(1) == 3
    assert [len(pieces) for pieces in found].count(0) == 5


@pytest.mark.parametrize("first", [2, 4])
def test_a_completion_has_the_random_numbers_of_its_place(first: int) -> None:
    model = small_model()
    prompts = [model.prompt_ids(text) for text in ("1?", "23?", "456?")]
    decoding = Decoding(max_new_tokens=5)
    everything = sampler_of(model).sample(prompts, 2, decoding, 7)

    last = sampler_of(model).sample(prompts[first // 2 :], 2, decoding, 7, first=first)

    assert [one.token_ids for one in last] == [one.token_ids for one in everything[first:]]


def test_one_process_is_alone_whatever_it_says() -> None:
    tensor = torch.ones(2)
    World().total([tensor])

    assert tensor.tolist() == [1.0, 1.0]
    assert launched_size({"WORLD_SIZE": "4"}) == 1  # without a rank it is nobody's process


def test_a_twin_has_numbers_only_while_it_has_met_its_model() -> None:
    model = small_model().model
    model.lm_head.weight = model.model.embed_tokens.weight  # tied, as small models' are
    twin, tokens = empty_twin(model), torch.arange(3, 9)[None]

    with torch.no_grad(), met(model, twin):
        gap = (twin(tokens).logits - model(tokens).logits).abs().max()
        tied = twin.lm_head.weight is twin.model.embed_tokens.weight

    assert (float(gap), tied) == (0.0, True)
    assert [weight.numel() for weight in twin.parameters()] == [0] * len(list(model.parameters()))


def test_a_fingerprint_sees_numbers_that_are_there_twice_and_their_order() -> None:
    # an exclusive or of the bits is 0 of all three
    tensors = [
        torch.tensor(numbers) for numbers in ([1.0, 1, 2, 2], [3.0, 3, 2, 2], [2.0, 2, 1, 1])
    ]

    assert {int(torch.hash_tensor(tensor)) for tensor in tensors} == {0}
    assert len({fingerprint([tensor]) for tensor in tensors}) == 3


@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, PIECE + 2])
def test_a_fingerprint_sees_one_other_bit_wherever_it_is(place: int) -> None:
    tensor = torch.zeros(PIECE + 3, dtype=torch.int8)
    before = fingerprint([tensor])

    tensor[place] = -128

    assert fingerprint([tensor]) != before


def test_what_is_no_shard_is_whole_as_it_is() -> None:
    tensor = torch.ones(2)

    assert not is_shard(tensor)
    assert here(tensor) is full(tensor) is cut_like(tensor, tensor) is tensor


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"sharding": "full"}, "sharding full needs several processes: set processes"),
        ({"processes": 2, "sharding": "full", "lora_rank": 4}, "does not go with lora_rank"),
        ({"processes": 2, "sharding": "full", "optimizer_bits": 8}, "with optimizer_bits: 8-bit"),
        (
            {"processes": 2, "sharding": "full", "match": "kl", "match_target": 0.1},
            "does not go with match: a step is measured whole",
        ),
        (
            {"processes": 2, "sharding": "full", "activation_gib": 1.0},
            "does not go with activation_gib",
        ),
        (
            {"processes": 2, "sampler": "vllm"},
            "do not go with sampler vllm.*: use sampler vllm_server",
        ),
        ({"processes": 2, "sharding": "ful"}, "did you mean 'full'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    knobs: Mapping[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        small_config(**knobs)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "asks for DEEPSPEED"),
        ({"ACCELERATE_USE_FSDP": "true"}, "fsdp_version 1: the training shards by version 2"),
        ({**FSDP, "FSDP_OFFLOAD_PARAMS": "true"}, "fsdp_offload_params true"),
        ({**FSDP, "FSDP_RESHARD_AFTER_FORWARD": "false"}, "fsdp_reshard_after_forward false"),
    ],
)
def test_engines_that_the_training_has_not_are_refused(
    environ: Mapping[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        asked_sharding(environ)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (FSDP, "asks for sharding full, and the run's settings for none"),
        ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "asks for mixed precision fp16"),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, "bf16, and the run's settings for fp32"),
    ],
)
def test_a_launch_that_contradicts_the_settings_is_refused(
    environ: Mapping[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_launch(small_config(processes=2), 2, None, environ)


def test_a_launch_as_the_settings_have_it_passes() -> None:
    config = small_config(processes=2, sharding="full", precision="bf16")

    check_launch(config, 2, "separate", {**FSDP, "ACCELERATE_MIXED_PRECISION": "bf16"})


def test_a_low_rank_critic_is_not_split() -> None:
    with pytest.raises(UsageError, match="critic=lora: use critic=separate"):
        check_launch(small_config(processes=2, sharding="full"), 2, "lora", {})


class Told(Ranks):
    """A rank of two, whose rank 0 has something to say."""

    def __init__(self, rank: int, said: list[str]) -> None:
        super().__init__(rank, 2)
        self._said = said

    def everyone(self, value: Value) -> list[Value]:
        return [value] * self.size

    def first(self, value: Value) -> Value:
        return cast(Value, self._said)


def test_rank_0_writes_all_replies_if_it_drives_a_server() -> None:
    asked = [Writing(Ranks(rank, 3), driven=True).asked(5) for rank in range(3)]

    assert [list(range(5))[one] for one in asked] == [[0, 1, 2, 3, 4], [], []]


@pytest.mark.parametrize(
    ("greedy", "expected"),
    [
        # of three items rank 0 has the first, rank 1 the others; greedy replies come first
        (True, [["a", "a1", "a2"], ["b", "c", "b1", "b2", "c1", "c2"]]),
        (False, [["a1", "a2"], ["b1", "b2", "c1", "c2"]]),
    ],
)
def test_each_rank_is_handed_what_is_written_to_its_share(
    greedy: bool, expected: list[list[str]]
) -> None:
    written = ["a", "b", "c"] * greedy + ["a1", "a2", "b1", "b2", "c1", "c2"]

    ranks = [Writing(Told(rank, written), driven=True) for rank in (0, 1)]

    assert [one.handed(lambda: [], 2, greedy=greedy) for one in ranks] == expected
