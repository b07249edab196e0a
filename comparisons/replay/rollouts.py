"""Making a recording: rollouts, scores, log-probabilities and a critic's values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.comparisons.commands.working import Count
from bakeoff.comparisons.replay.critic import explained_variance, fitted, values
from bakeoff.comparisons.replay.recording import (
    CRITIC,
    GOLD,
    GREEDY,
    SAMPLE,
    Recording,
    Row,
    Settings,
)
from bakeoff.errors import UsageError
from bakeoff.streams import stream_seed
from bakeoff.training.gold import gold_completion
from bakeoff.training.judging import judged
from bakeoff.training.order import item_indices
from bakeoff.training.rollout import rollout
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.scoring import token_logps
from bakeoff.types import Environment, Item

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

TEMPERATURE = 1.0
"""Of all samples: the policy gradient is that of the distribution that was sampled from."""


def record(
    environment: Environment,
    language_model: LanguageModel,
    settings: Settings,
    *,
    micro_batch: int,
    progress: Count,
) -> Recording:
    """Sample and score all replicates, a greedy and a gold reply of each item, and fit a critic.

    The items are those that a run of this seed asks in its first update, and the first replicate
    is what it samples there.

    Args:
        environment: asks and scores.
        language_model: the policy; it is not changed.
        settings: what to record.
        micro_batch: completions in one pass of the model.
        progress: told what is being done, how much of it is done, and of how much.

    Raises:
        FloatingPointError: the model's logits are not finite.
    """
    recorder = _Recorder(environment, language_model, settings)
    items = recorder.items(0)
    rows: list[Row] = []
    progress("recording samples", 0, settings.replicates)
    for replicate in range(settings.replicates):
        rows += recorder.sampled(SAMPLE, replicate, items, sampling_seed(settings.seed, replicate))
        progress("recording samples", replicate + 1, settings.replicates)
    rows += recorder.sampled(GREEDY, 0, items, 0) + recorder.gold(items)
    progress("recording samples for the critic", 0, settings.critic_updates)
    for number in range(settings.critic_updates):
        seed = stream_seed("replay critic", settings.seed, number)
        rows += recorder.sampled(CRITIC, number, recorder.items(number + 1), seed)
        progress("recording samples for the critic", number + 1, settings.critic_updates)
    recording = Recording(
        settings,
        tuple(rows),
        pad_id=language_model.pad_id,
        turns=environment.turns,
        facts=_facts(language_model),
    )
    recording = _with_logps(recording, language_model, micro_batch, progress)
    return _with_values(recording, language_model, micro_batch, progress)


def sampling_seed(seed: int, replicate: int) -> int:
    """Return the seed of a replicate's samples: for the first, that of a run's first update."""
    if replicate == 0:
        return stream_seed("sampling", seed, 0)
    return stream_seed("replay", seed, replicate)


class _Recorder:
    """Asks a language model and has its replies scored."""

    def __init__(
        self, environment: Environment, language_model: LanguageModel, settings: Settings
    ) -> None:
        self.environment, self.language_model = environment, language_model
        self.settings = settings
        self.sampler = sampler_of(language_model)
        self.decoding = Decoding(max_new_tokens=settings.max_new_tokens, temperature=TEMPERATURE)

    def items(self, update: int) -> list[Item]:
        size, settings = self.environment.size("train"), self.settings
        indices = item_indices(settings.seed, update, settings.prompts, size)
        return [self.environment.item(index, "train") for index in indices]

    def sampled(self, role: str, replicate: int, items: Sequence[Item], seed: int) -> list[Row]:
        n = 1 if role == GREEDY else self.settings.group_size
        decoding = self.decoding
        if role == GREEDY:
            decoding = replace(decoding, temperature=0.0)
        episodes, _ = rollout(
            self.environment, self.language_model, self.sampler, items, n, decoding, seed
        )
        groups = [group for group in range(len(items)) for _ in range(n)]
        return [
            Row(
                role,
                replicate,
                sample.group,
                sample.item.id,
                sample.item.prompt,
                sample.completion,
                sample.score.value,
                parts=dict(sample.score.parts),
                reason=sample.score.reason,
            )
            for sample in judged(self.environment, episodes, groups)
        ]

    def gold(self, items: Sequence[Item]) -> list[Row]:
        """Return the gold replies; none if the environment has none."""
        try:
            episodes = [
                (item, gold_completion(self.environment, self.language_model, item, self.decoding))
                for item in items
            ]
        except UsageError:
            return []
        return [
            Row(GOLD, 0, group, item.id, item.prompt, completion, None)
            for group, (item, completion) in enumerate(episodes)
        ]


def _pieces(recording: Recording, indices: Sequence[int], size: int) -> Iterator[list[int]]:
    """Split completions, the short ones first, so that little of a piece is padding."""
    rows = recording.rows
    order = sorted(indices, key=lambda i: len(rows[i].completion.token_ids))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.no_grad()
def _with_logps(
    recording: Recording, language_model: LanguageModel, micro_batch: int, progress: Count
) -> Recording:
    """Return the recording with the training model's own log-probabilities of all samples."""
    rows = list(recording.rows)
    wanted = [i for i, row in enumerate(rows) if row.role == SAMPLE]
    done = 0
    progress("scoring samples", 0, len(wanted))
    for piece in _pieces(recording, wanted, micro_batch):
        batch = recording.batch([rows[i] for i in piece], str(language_model.model.device))
        logp_BT = token_logps(language_model.model, batch, temperature=TEMPERATURE)[0]
        for index, logp_T in zip(piece, logp_BT.tolist(), strict=True):
            length = len(rows[index].completion.token_ids)
            rows[index] = replace(rows[index], logp_ref=tuple(logp_T[:length]))
        done += len(piece)
        progress("scoring samples", done, len(wanted))
    return replace(recording, rows=tuple(rows))


def _with_values(
    recording: Recording, language_model: LanguageModel, micro_batch: int, progress: Count
) -> Recording:
    """Return the recording with the values of a critic that was fitted to the further samples."""
    settings = recording.settings
    if not settings.critic_updates:
        return recording
    device = str(language_model.model.device)
    groups = [recording.of(CRITIC, number) for number in range(settings.critic_updates)]
    batches = [recording.batch(rows, device) for rows in groups if rows]
    critic = fitted(
        language_model.model,
        batches,
        learning_rate=settings.critic_learning_rate,
        micro_batch=micro_batch,
        seed=settings.seed,
        progress=progress,
    )
    rows = list(recording.rows)
    wanted = [i for i, row in enumerate(rows) if row.role == SAMPLE]
    done = 0
    progress("valuing samples", 0, len(wanted))
    for piece in _pieces(recording, wanted, micro_batch):
        value_BT, end_B = values(critic, recording.batch([rows[i] for i in piece], device))
        found: list[tuple[int, Tensor, Tensor]] = list(zip(piece, value_BT, end_B, strict=True))
        for index, value_T, end in found:
            length = len(rows[index].completion.token_ids)
            value = tuple(value_T[:length].tolist())
            rows[index] = replace(rows[index], value=value, value_end=float(end))
        done += len(piece)
        progress("valuing samples", done, len(wanted))
    recording = replace(recording, rows=tuple(rows))
    samples = [row for row in rows if row.role == SAMPLE and row.reward is not None]
    found_variance = explained_variance(recording.batch(samples)) if samples else None
    return replace(recording, facts={**recording.facts, "explained_variance": found_variance})


def _facts(language_model: LanguageModel) -> dict[str, object]:
    parameters = sum(p.numel() for p in language_model.model.parameters())
    return {"weights_sha256": weights_sha256(language_model), "parameters": parameters}


def weights_sha256(language_model: LanguageModel) -> str:
    """Return a fingerprint of the model's weights."""
    digest = hashlib.sha256()
    for name, parameter in sorted(language_model.model.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
