"""What both samplers do: exact log-probabilities, seeds, stopping, and what may not matter."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import small_model

from bakeoff.errors import UsageError
from bakeoff.training.batch import collate
from bakeoff.training.sampling.choice import choose, keep_likely
from bakeoff.training.sampling.packed import PackedSampler
from bakeoff.training.sampling.padded import PaddedSampler
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.scoring import token_logps
from bakeoff.types import Completion

MODEL = small_model(1, layers=2)
PROMPTS = [MODEL.prompt_ids(text) for text in ("1?", "23?", "456789?", "0?")]
DECODING = Decoding(max_new_tokens=12)
Kind = type[PackedSampler] | type[PaddedSampler]

both = pytest.mark.parametrize("kind", [PackedSampler, PaddedSampler])


@both
def test_the_same_seed_gives_the_same_completions(kind: Kind) -> None:
    first, second, other = (kind(MODEL).sample(PROMPTS, 3, DECODING, s) for s in (5, 5, 6))

    assert first == second
    assert first != other


@both
def test_completions_of_one_prompt_stand_together_and_differ(kind: Kind) -> None:
    completions = kind(MODEL).sample(PROMPTS, 3, DECODING, 0)

    assert [c.prompt_ids for c in completions] == [p for p in PROMPTS for _ in range(3)]
    assert len({c.token_ids for c in completions[:3]}) == 3


@both
@pytest.mark.parametrize("rows", [1, 5])
def test_how_rows_are_split_over_passes_changes_nothing(kind: Kind, rows: int) -> None:
    whole = kind(MODEL, rows=12).sample(PROMPTS, 3, DECODING, 0)
    parts = kind(MODEL, rows=rows).sample(PROMPTS, 3, DECODING, 0)

    assert [c.token_ids for c in parts] == [c.token_ids for c in whole]


@both
@pytest.mark.parametrize("temperature", [1.0, 0.5, 1.7])
def test_log_probabilities_are_those_of_a_pass_without_a_cache(
    kind: Kind, temperature: float
) -> None:
    """Left padding, the repeated cache and the rows that left may not show in them."""
    decoding = Decoding(max_new_tokens=12, temperature=temperature)
    completions = kind(MODEL).sample(PROMPTS, 4, decoding, 3)
    assert len({len(c.token_ids) for c in completions}) > 2  # else no row left before another
    batch = collate(completions, [0.0] * 16, [0] * 16, limit=8, pad_id=0)

    logp_BT, _ = token_logps(MODEL.model, batch, temperature=temperature)

    torch.testing.assert_close(logp_BT.detach(), batch.logp_old_BT, rtol=0, atol=1e-5)


@both
def test_a_completion_ends_with_any_of_several_end_tokens(kind: Kind) -> None:
    ends = (1, 7, 9)

    class ManyEnds(type(MODEL)):  # type: ignore[misc]
        eos_ids = ends

    model = ManyEnds(MODEL.model, MODEL.tokenizer, "many ends")
    completions = kind(model).sample(PROMPTS, 8, DECODING, 0)

    finished = [c for c in completions if not c.truncated]
    assert {c.token_ids[-1] for c in finished} == set(ends)
    assert not any(set(c.token_ids[:-1]) & set(ends) for c in completions)


@both
def test_a_completion_that_runs_out_of_room_is_truncated_not_finished(kind: Kind) -> None:
    completions = kind(MODEL).sample(PROMPTS, 8, Decoding(max_new_tokens=4), 0)

    for completion in completions:
        assert completion.truncated == (completion.token_ids[-1] != 1)
        assert len(completion.token_ids) == 4 or not completion.truncated


@both
def test_greedy_takes_the_likeliest_token(kind: Kind) -> None:
    completions = kind(MODEL).sample(PROMPTS, 1, Decoding(max_new_tokens=6, temperature=0.0), 0)
    batch = collate(completions, [0.0] * 4, [0] * 4, limit=8, pad_id=0)
    inputs = torch.cat([batch.prompt_BP, batch.token_BT], 1)
    row = 2  # the longest prompt: its row has no padding on the left

    logits_SV = MODEL.model(input_ids=inputs[row : row + 1]).logits[0]

    start = batch.prompt_BP.shape[1] - 1
    n = len(completions[row].token_ids)
    assert logits_SV[start : start + n].argmax(-1).tolist() == list(completions[row].token_ids)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0.05, 1), st.integers(0, 9))
@settings(deadline=None)
def test_top_p_and_top_k_keep_the_fewest_likeliest(
    weights: list[float], top_p: float, top_k: int
) -> None:
    weights[0] += 1e-3
    p_V = torch.tensor(weights, dtype=torch.float64) / sum(weights)

    kept_V = keep_likely(p_V[None], top_p, top_k)[0]

    n = int((kept_V > 0).sum())
    assert n >= 1
    assert n <= top_k or top_k == 0
    dropped_V = p_V[(kept_V == 0) & (p_V > 0)]
    if len(dropped_V):
        assert dropped_V.max() <= kept_V[kept_V > 0].min()
        assert kept_V.sum() >= top_p - 1e-9 or n == top_k
    if n > 1:  # one fewer would not hold enough
        assert kept_V.sum() - kept_V[kept_V > 0].min() < top_p + 1e-9


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    logits_BV = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(5, 5)
    uniform_B = torch.tensor([0.0, 0.5 - 1e-9, 0.5, 1 - 1e-9, 0.25], dtype=torch.float64)

    token_B, logp_B = choose(logits_BV, uniform_B, Decoding(max_new_tokens=1))

    # the cumulative distribution steps at tokens 1 (to .5) and 3 (to 1)
    assert token_B.tolist() == [1, 1, 3, 3, 1]
    assert logp_B.tolist() == pytest.approx([-0.6931472] * 5)


def test_drawn_frequencies_are_the_probabilities() -> None:
    # 4,000 draws of p = .1, .2, .7: the standard error of a share is at most .0073
    logits_BV = torch.tensor([[0.1, 0.2, 0.7]]).log().expand(4000, 3)
    uniform_B = torch.rand(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    token_B, _ = choose(logits_BV, uniform_B, Decoding(max_new_tokens=1))

    shares = torch.bincount(token_B) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.2, 0.7]), rtol=0, atol=0.03)


def test_logits_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        choose(torch.tensor([[torch.nan, 0.0]]), torch.tensor([0.5]), DECODING)


@both
def test_a_prompt_that_does_not_fit_the_context_is_named(kind: Kind) -> None:
    with pytest.raises(UsageError, match="context of 64 tokens of model 'small'"):
        kind(MODEL).sample(PROMPTS, 1, dataclasses.replace(DECODING, max_new_tokens=60), 0)


def test_the_padded_cache_is_measured() -> None:
    sampler = PaddedSampler(MODEL)
    sampler.sample([PROMPTS[0]], 3, Decoding(max_new_tokens=1), 0)

    # 2 layers x (keys + values) x 3 rows x 1 head x 16 wide x the prompt's 2 tokens x 4 bytes
    assert sampler.kv_cache_bytes == 2 * 2 * 3 * 1 * 16 * 2 * 4


@both
@pytest.mark.parametrize("rows", [5, 100])
def test_of_each_completion_is_told_once_with_what_is_returned(kind: Kind, rows: int) -> None:
    told: list[tuple[int, Completion]] = []

    completions = kind(MODEL, rows=rows).sample(
        PROMPTS, 4, DECODING, 0, lambda row, completion: told.append((row, completion))
    )

    assert sorted(row for row, _ in told) == list(range(16))
    assert all(completions[row] == completion for row, completion in told)


@both
def test_of_a_completion_is_told_before_the_longer_ones_are_done(kind: Kind) -> None:
    lengths: list[int] = []

    kind(MODEL).sample(PROMPTS, 4, DECODING, 0, lambda _, one: lengths.append(len(one.token_ids)))

    assert len(set(lengths)) > 2
    assert lengths == sorted(lengths)  # all entered together, so they end by their lengths
