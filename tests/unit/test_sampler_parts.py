"""The packed sampler's pieces: who attends to what, who sits where, and which token is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bakeoff.training.sampling.cache import Slots
from bakeoff.training.sampling.choice import BLOCK, drawn
from bakeoff.training.sampling.layouts import Both, Step, groups, prefill, visible_up_to
from bakeoff.training.sampling.parts import attend_part, attend_part_plainly, joined
from bakeoff.training.sampling.schedule import (
    Schedule,
    better_order,
    cells,
    moves_into_gaps,
    spans,
)

CPU = torch.device("cpu")
HEADS, KEY_HEADS, WIDTH, SCALE = 4, 2, 8, 0.3


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seen(query_HD: Tensor, key_KTD: Tensor, value_KTD: Tensor) -> Tensor:
    """One token's attention to all of ``T`` tokens, as the definition has it."""
    key_HTD, value_HTD = (t.repeat_interleave(HEADS // KEY_HEADS, 0) for t in (key_KTD, value_KTD))
    weight_HT = (SCALE * (key_HTD @ query_HD[..., None])[..., 0]).softmax(-1)
    return (weight_HT[:, None] @ value_HTD)[:, 0]


@pytest.mark.parametrize(
    "prompt_R",
    [[0, 0, 1, 1, 2, 2], [2, 0, 1, 2, 0, 1], [0, 1, 2, 2, 2, 2, 2, 2], [2, 0]],
    ids=["even", "mixed", "two runs", "a prompt without rows"],
)
def test_a_row_sees_its_prompt_and_itself_up_to_its_newest_token(prompt_R: list[int]) -> None:
    lengths, rows = [3, 5, 4], len(prompt_R)
    ages = [row % 3 for row in range(rows)]
    prompts, own = Slots(), Slots()
    prompts.reserve(3, 5, used=0, most=(3, 5))
    own.reserve(rows, 4, used=0, most=(rows, 4))
    read = prefill([(0,) * length for length in lengths], 0, prompts, CPU)
    key_KND, value_KND = random(KEY_HEADS, 12, WIDTH), random(KEY_HEADS, 12, WIDTH, seed=1)
    read.attend(0, random(HEADS, 12, WIDTH), key_KND, value_KND, SCALE)
    old_KOD, old_value_KOD = random(KEY_HEADS, rows * 4, WIDTH), random(KEY_HEADS, rows * 4, WIDTH)
    own.write(0, torch.arange(rows * 4), old_KOD.transpose(0, 1), old_value_KOD.transpose(0, 1))
    step = Step(
        token_N=torch.zeros(rows),
        position_N=torch.zeros(rows),
        place_N=torch.tensor([row * own.tokens + age for row, age in enumerate(ages)]),
        tokens=max(ages) + 1,
        bias_RT=visible_up_to(torch.tensor(ages)[:, None] + 1, max(ages) + 1),
        groups=groups(prompt_R, lengths, CPU),
        prompts=prompts,
        own=own,
    )
    query_HRD, new_KRD = random(HEADS, rows, WIDTH, seed=2), random(KEY_HEADS, rows, WIDTH, seed=3)

    out_HRD = step.attend(0, query_HRD, new_KRD, new_KRD, SCALE)

    starts = [0, 3, 8]
    for row, (prompt, age) in enumerate(zip(prompt_R, ages, strict=True)):
        there = slice(starts[prompt], starts[prompt] + lengths[prompt])
        here = slice(row * 4, row * 4 + age)
        newest = new_KRD[:, row : row + 1]
        expected_HD = seen(
            query_HRD[:, row],
            torch.cat([key_KND[:, there], old_KOD[:, here], newest], 1),
            torch.cat([value_KND[:, there], old_value_KOD[:, here], newest], 1),
        )
        torch.testing.assert_close(out_HRD[:, row], expected_HD, rtol=0, atol=1e-6)


def test_prompts_and_newest_tokens_in_one_pass_are_read_as_in_two() -> None:
    def caches() -> tuple[Slots, Slots]:
        prompts, own = Slots(), Slots()
        prompts.reserve(2, 5, used=0, most=(2, 5))
        own.reserve(2, 1, used=0, most=(2, 1))
        layout = prefill([(1, 2, 3)], 0, prompts, CPU)
        t_KND = random(KEY_HEADS, 3, WIDTH)
        layout.attend(0, random(HEADS, 3, WIDTH), t_KND, t_KND, SCALE)
        return prompts, own

    def layouts(prompts: Slots, own: Slots) -> Both:
        place_N = torch.arange(2) * own.tokens
        rows = groups([0, 0], [3], CPU)
        step = Step(place_N, place_N, place_N, 1, None, rows, prompts, own)
        return Both(prefill([(4, 5, 6, 7, 8)], 1, prompts, CPU), step)

    query_HND, t_KND = random(HEADS, 7, WIDTH, seed=4), random(KEY_HEADS, 7, WIDTH, seed=5)
    new, newest = slice(0, 5), slice(5, 7)

    both_HND = layouts(*caches()).attend(0, query_HND, t_KND, t_KND, SCALE)

    apart = layouts(*caches())
    new_HND = apart.prompts.attend(0, query_HND[:, new], t_KND[:, new], t_KND[:, new], SCALE)
    newest_HND = apart.step.attend(
        0, query_HND[:, newest], t_KND[:, newest], t_KND[:, newest], SCALE
    )
    torch.testing.assert_close(both_HND, torch.cat([new_HND, newest_HND], 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("hidden", [False, True])
def test_products_and_sums_give_what_the_kernel_of_the_cpu_does(hidden: bool) -> None:
    query, key, value = random(3, 2, 4, 8), random(3, 2, 6, 8, seed=1), random(3, 2, 6, 8, seed=2)
    bias_XT = visible_up_to(torch.tensor([[6], [2], [4]]), 6) if hidden else None

    out, normaliser = attend_part(query, key, value, bias_XT, SCALE)
    bias_X11T = None if bias_XT is None else bias_XT[:, None, None]
    plain_out, plain_normaliser = attend_part_plainly(query, key, value, bias_X11T, SCALE)

    torch.testing.assert_close(plain_out, out, rtol=0, atol=1e-6)
    torch.testing.assert_close(plain_normaliser, normaliser, rtol=0, atol=1e-6)


def test_two_parts_joined_are_one_softmax() -> None:
    query, key, value = random(1, 1, 2, 8), random(1, 1, 7, 8, seed=1), random(1, 1, 7, 8, seed=2)
    whole, _ = attend_part(query, key, value, None, SCALE)

    first = attend_part(query, key[:, :, :3], value[:, :, :3], None, SCALE)
    second = attend_part(query, key[:, :, 3:], value[:, :, 3:], None, SCALE)

    torch.testing.assert_close(joined(first, second), whole, rtol=0, atol=1e-6)


def test_a_cache_that_grows_keeps_what_is_in_use() -> None:
    slots, t_NKD = Slots(), random(4, KEY_HEADS, WIDTH)
    slots.reserve(2, 2, used=0, most=(9, 2))
    slots.write(0, torch.arange(4), t_NKD, t_NKD)

    slots.reserve(5, 40, used=2, most=(9, 90))

    key_SKTD, value_SKTD = slots.read(0, slice(0, 2), 2)
    assert torch.equal(key_SKTD.transpose(1, 2).flatten(0, 1), t_NKD)
    assert torch.equal(value_SKTD.transpose(1, 2).flatten(0, 1), t_NKD)
    # (keys + values) x 5 slots x 40 tokens x 2 heads x 8 wide x 4 bytes
    assert slots.nbytes == 2 * 5 * 40 * 2 * 8 * 4


def test_what_stays_moves_into_the_gaps() -> None:
    slots = Slots()
    slots.reserve(4, 1, used=0, most=(4, 1))
    t_NKD = torch.arange(4.0)[:, None, None].expand(4, 1, 1)
    slots.write(0, torch.arange(4), t_NKD, t_NKD)

    slots.move(moves_into_gaps([0, 2], 4))  # 1 stays where it is, 3 goes to 0

    assert slots.read(0, slice(0, 2), 1)[0].flatten().tolist() == [3, 1]


def test_completions_enter_when_a_quarter_of_the_slots_is_free() -> None:
    schedule = Schedule.of([(7,)] * 3, n=4, limit=8)
    schedule.enter(0)
    schedule.leave([5])

    assert schedule.enter(1) == ([], [])
    schedule.leave([0])

    rows, prompts = schedule.enter(2)
    assert [row.index for row in rows] == [8, 9]
    assert [row.entered for row in rows] == [2, 2]
    assert prompts == [rows[0].prompt]


def test_a_prompt_leaves_with_its_last_completion_and_not_before() -> None:
    schedule = Schedule.of([(7,), (8,)], n=2, limit=3)
    schedule.enter(0)
    first, second = schedule.prompts

    schedule.leave([2])  # the second prompt's only completion that runs; another one waits

    assert schedule.prompts == [first, second]
    assert schedule.leave([0, 1])[1] == [(0, 1)]
    assert schedule.prompts == [second]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
def test_runs_of_prompts_are_all_of_them_in_few_cells(counts: list[int]) -> None:
    found = spans(counts)

    covered = [slot for start, end in found for slot in range(start, end)]
    assert covered == list(range(len(counts)))
    assert sum(counts) <= cells(counts) <= len(counts) * max(counts)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
def test_another_order_of_prompts_is_worth_its_copies_and_not_asked_again(
    counts: list[int],
) -> None:
    order = better_order(counts)

    if order is not None:
        ordered = [counts[slot] for slot in order]
        assert sorted(order) == list(range(len(counts)))
        assert cells(ordered) * 1.5 < cells(counts)
        assert better_order(ordered) is None


@given(st.integers(1, 3 * BLOCK), st.integers(0, 2**31), st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_a_token_is_found_block_by_block_as_over_all_of_the_vocabulary(
    size: int, seed: int, uniform: float
) -> None:
    """Sums of whole numbers are exact, so the two ways agree to the last one."""
    generator = torch.Generator().manual_seed(seed)
    weight_BV = torch.randint(0, 3, (2, 2 * BLOCK + size), generator=generator).float()
    # whole numbers of steps, and the share in the middle of a step: no rounding decides
    total_B = weight_BV.double().sum(-1)
    uniform_B = ((total_B * uniform).floor() + 0.5) / total_B

    token_B = drawn(weight_BV, uniform_B)

    cumulative_BV = weight_BV.double().cumsum(-1)
    expected_B1 = torch.searchsorted(cumulative_BV, (uniform_B * total_B)[:, None], right=True)
    assert token_B.tolist() == expected_B1[:, 0].tolist()


def test_blocks_without_weight_are_never_drawn_from() -> None:
    weight_BV = torch.zeros(3, 4 * BLOCK + 5)
    weight_BV[:, BLOCK + 7] = 1.0
    weight_BV[:, 2 * BLOCK + 1] = 1.0
    uniform_B = torch.tensor([0.0, 0.5, 1 - 1e-9], dtype=torch.float64)

    # the cumulative weights step to 1/2 and to 1 at the two; 0.5 is beyond the first
    assert drawn(weight_BV, uniform_B).tolist() == [BLOCK + 7, 2 * BLOCK + 1, 2 * BLOCK + 1]
