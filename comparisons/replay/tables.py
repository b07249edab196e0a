"""The tables of a replay: one row an algorithm, one row a pair, one row a token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from bakeoff.comparisons.replay.estimates import (
    Estimate,
    cosines,
    cosines_to_others,
    expected_cosine,
    jackknife,
    log_snr_ratio,
    mean,
    noise,
    signal,
    snr,
)
from bakeoff.comparisons.replay.measuring import REFERENCE, Measured, Replay
from bakeoff.comparisons.replay.recording import SAMPLE, Recording
from bakeoff.comparisons.replay.recording import Row as Rollout
from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.tables import write_rows
from bakeoff.types import Algorithm, Batch

SHOWN_GROUPS = 4
"""Items of the first piece whose tokens stand in advantages.csv; those with spread first."""

SHOWN_TOKENS = 128
"""Tokens of a completion that stand there, at most."""

INTERVALS = (
    "grad_norm",
    "cosine_to_reference",
    "noise",
    "signal",
    "snr",
    "snr_per_token",
    "snr_to_reference",
)
SINGLE = (
    "expected_cosine_to_reference",
    "signal_positive",
    "noise_scale_completions",
    "noise_scale_tokens",
    "update_norm",
    "kl_k3",
    "kl_exact",
)
COUNTS = ("completions", "kept_frac", "generated_tokens", "learned_tokens")
REPLAY_COLUMNS = (
    "algorithm",
    "estimated_from",
    "pieces",
    *COUNTS,
    *(f"{name}{end}" for name in INTERVALS for end in ("", "_low", "_high")),
    *SINGLE,
    "note",
)
COSINE_COLUMNS = (
    "algorithm_a",
    "algorithm_b",
    "cosine",
    "cosine_low",
    "cosine_high",
    "expected_cosine",
)
ADVANTAGE_COLUMNS = (
    "algorithm",
    "replicate",
    "group",
    "completion",
    "reward",
    "token_index",
    "token",
    "advantage",
    "weight",
)

Row = dict[str, Any]


def write(
    out: Path,
    recording: Recording,
    replay: Replay,
    algorithms: Mapping[str, Algorithm],
    tokenizer: Any,
) -> tuple[list[Row], list[Row], list[Row]]:
    """Write ``replay.csv``, ``cosines.csv``, ``advantages.csv`` and ``semantics.json``.

    Returns:
        The rows of the three tables.
    """
    rows = [
        replay_row(name, recording, replay, algorithm) for name, algorithm in algorithms.items()
    ]
    pairs = cosine_rows(replay)
    write_rows(out / "replay.csv", REPLAY_COLUMNS, rows)
    write_rows(out / "cosines.csv", COSINE_COLUMNS, pairs)
    tokens = list(advantage_rows(replay, tokenizer))
    write_rows(out / "advantages.csv", ADVANTAGE_COLUMNS, tokens)
    semantics = {name: dict(algorithm.semantics) for name, algorithm in algorithms.items()}
    write_json(out / "semantics.json", semantics)
    return rows, pairs, tokens


def replay_row(name: str, recording: Recording, replay: Replay, algorithm: Algorithm) -> Row:
    """Return the row of one algorithm.

    Noise, signal and SNR are those of one whole batch. Of halves, each of half a batch, the noise
    is half of theirs, and the signal is the same.
    """
    own = replay.measured[name]
    per_batch = 2 if replay.halves else 1
    aa_RR = replay.gram.block(name, name)
    ab_RR, bb_RR = replay.gram.block(name, REFERENCE), replay.gram.block(REFERENCE, REFERENCE)
    generated = per_batch * fmean(one.generated for one in own)
    completions = per_batch * fmean(one.completions for one in own)
    found_noise = jackknife(noise, aa_RR)
    found_snr = jackknife(snr, aa_RR)
    found_signal = jackknife(signal, aa_RR)
    in_batches = found_snr.value * per_batch if found_snr.value is not None else None
    scale = 1 / in_batches if in_batches is not None and in_batches > 0 else None
    row: Row = {
        "algorithm": name,
        "estimated_from": "halves of one replicate" if replay.halves else "replicates",
        "pieces": len(own),
        "completions": completions,
        "kept_frac": fmean(one.kept for one in own),
        "generated_tokens": generated,
        "learned_tokens": per_batch * fmean(one.learned for one in own),
        "signal_positive": found_signal.value is not None and found_signal.value > 0,
        "expected_cosine_to_reference": expected_cosine(aa_RR, ab_RR, bb_RR),
        "noise_scale_completions": None if scale is None or not generated else scale * completions,
        "noise_scale_tokens": None if scale is None or not generated else scale * generated,
        **_updates(own),
        "note": note(recording, algorithm, own),
    }
    estimates = {
        "grad_norm": mean([one.norm for one in own]),
        "cosine_to_reference": mean(cosines_to_others(aa_RR, ab_RR, bb_RR)),
        "noise": _times(found_noise, 1 / per_batch),
        "signal": found_signal,
        "snr": _times(found_snr, per_batch),
        "snr_to_reference": snr_to_reference(aa_RR, bb_RR),
        "snr_per_token": _times(found_snr, per_batch / generated) if generated else Estimate(None),
    }
    for key, estimate in estimates.items():
        row |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return row


def snr_to_reference(aa_RR: Tensor, bb_RR: Tensor) -> Estimate:
    """Return the SNR as a multiple of the reference's, on the same samples."""
    logs = jackknife(log_snr_ratio, torch.stack([aa_RR, bb_RR]))
    return Estimate(*(None if number is None else math.exp(number) for number in logs))


def note(recording: Recording, algorithm: Algorithm, own: list[Measured]) -> str:
    """Return what a reader of the row has to know of it."""
    found = []
    if algorithm.on_gold:
        found.append("gold replies: nothing is sampled, so the same in every replicate")
    if algorithm.critic is not None:
        updates = recording.settings.critic_updates
        fit = recording.facts.get("explained_variance")
        if not updates:
            found.append("no critic was fitted: every value is 0")
        else:
            fit_text = "unknown" if fit is None else f"{fit:.2f}"
            found.append(
                f"critic fitted to {updates} further batches, explained variance {fit_text}"
            )
        if algorithm.critic.kind != "separate":
            found.append("values of a separate critic; the value loss is not in the gradient")
    if algorithm.needs_reference:
        found.append("the reference is the policy itself: its KL is 0 here")
    if algorithm.refill:
        found.append("dropped groups are not refilled")
    if not all(one.learned for one in own):
        found.append("learned from nothing in some replicates")
    return "; ".join(found)


def cosine_rows(replay: Replay) -> list[Row]:
    """Return one row for each pair of algorithms, the reference included."""
    rows = []
    for a, b in combinations(replay.gram.names, 2):
        block = partial(replay.gram.block, b=b)
        aa_RR, ab_RR, bb_RR = replay.gram.block(a, a), block(a), block(b)
        found = mean(cosines(aa_RR, ab_RR, bb_RR))
        rows.append(
            {
                "algorithm_a": a,
                "algorithm_b": b,
                "cosine": found.value,
                "cosine_low": found.low,
                "cosine_high": found.high,
                "expected_cosine": expected_cosine(aa_RR, ab_RR, bb_RR),
            }
        )
    return rows


def shown_groups(samples: Sequence[Rollout]) -> list[int]:
    """Return the items that are shown: those whose rewards differ first."""
    rewards: dict[int, set[float | None]] = {}
    for row in samples:
        rewards.setdefault(row.group, set()).add(row.reward)
    return sorted(rewards, key=lambda group: (len(rewards[group]) == 1, group))[:SHOWN_GROUPS]


def advantage_rows(replay: Replay, tokenizer: Any) -> Iterator[Row]:
    """Yield the credit and weight of each counted token of a few items, for each algorithm.

    What an algorithm leaves out has a weight of 0 and no advantage.
    """
    samples = replay.first.samples
    groups = shown_groups(samples)
    for name, (learned, step) in replay.shown.items():
        place = {id(row): index for index, row in enumerate(learned)}
        gold = [row for row in learned if row.role != SAMPLE]
        for number, rollout in enumerate(gold or samples):
            if rollout.group not in groups:
                continue
            index = place.get(id(rollout))
            own = None if step is None or index is None else step.rows(torch.tensor([index]))
            place_of = {"algorithm": name, "replicate": 0, "completion": number}
            for row in _token_rows(rollout, own, tokenizer):
                yield {**place_of, **row}


def _token_rows(rollout: Rollout, step: Batch | None, tokenizer: Any) -> Iterator[Row]:
    """Yield the counted tokens of one completion; ``step`` holds it alone, None if left out."""
    completion = rollout.completion
    mask = completion.mask or (1,) * len(completion.token_ids)
    for index, token_id in enumerate(completion.token_ids[:SHOWN_TOKENS]):
        if not mask[index]:
            continue
        advantage, weight = None, 0.0
        if step is not None and step.adv_BT is not None and step.weight_BT is not None:
            advantage, weight = float(step.adv_BT[0, index]), float(step.weight_BT[0, index])
        yield {
            "group": rollout.group,
            "reward": rollout.reward,
            "token_index": index,
            "token": tokenizer.convert_ids_to_tokens(token_id),
            "advantage": advantage,
            "weight": weight,
        }


def _updates(own: list[Measured]) -> Row:
    return {
        "update_norm": fmean(one.update.norm for one in own),
        "kl_k3": fmean(one.update.kl_k3 for one in own),
        "kl_exact": fmean(one.update.kl_exact for one in own),
    }


def _times(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(*(None if number is None else number * factor for number in estimate))
