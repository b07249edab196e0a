"""A recording: what the policy wrote, how it was scored, and what was known of every token.

FOLDER/recording.json          what was asked for; written last, so its presence means whole
      /rollouts.jsonl          one line a completion, for people
      /rollouts.safetensors    its numbers, all completions one after the other
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.tables import read_json_lines, replace_file
from bakeoff.errors import UsageError
from bakeoff.training.batch import collate
from bakeoff.types import Batch, Completion

VERSION = 1

SAMPLE, GREEDY, GOLD, CRITIC = "sample", "greedy", "gold", "critic"
"""What a completion is there for; those of ``critic`` are what the critic was fitted to."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a recording is of.

    Attributes:
        environment, model: their names.
        prompts, group_size: items, and completions of each, in one replicate.
        replicates: how often the same items are answered, each time with other random numbers.
        critic_updates: further batches, of other items, that the critic is fitted to; 0 for none.
        seed: of items and sampling.
        max_new_tokens: of one reply.
        critic_learning_rate: AdamW step size of the critic.
    """

    environment: str
    model: str
    prompts: int = 16
    group_size: int = 8
    replicates: int = 8
    critic_updates: int = 40
    seed: int = 0
    max_new_tokens: int
    critic_learning_rate: float


@dataclass(frozen=True)
class Row:
    """One completion of a recording.

    Attributes:
        role: what it is there for.
        replicate: of a sample; of a critic's, the number of its batch.
        group: which item of the batch it answers.
        item, prompt: the item's id and text.
        completion: what was written; the log-probabilities of gold replies are nan.
        reward: its score; None if it could not be scored, and of gold replies.
        parts: the named parts of the score.
        reason: why it could not be scored.
        logp_ref: the training model's log-probability of each token, at the sampling temperature.
        value: the critic's value before each token.
        value_end: and after the last.
    """

    role: str
    replicate: int
    group: int
    item: str
    prompt: str
    completion: Completion
    reward: float | None
    parts: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    logp_ref: tuple[float, ...] = ()
    value: tuple[float, ...] = ()
    value_end: float = 0.0


@dataclass(frozen=True)
class Recording:
    """Completions and what is known of them.

    Attributes:
        settings: what was asked for.
        rows: the completions.
        pad_id: the token that fills up rows.
        turns: replies of one episode, at most.
        facts: of the model and its critic: ``weights_sha256``, ``parameters``,
            ``explained_variance`` (of the critic, on samples that it was not fitted to).
    """

    settings: Settings
    rows: tuple[Row, ...]
    pad_id: int
    turns: int
    facts: dict[str, Any]

    def of(self, role: str, replicate: int = 0) -> list[Row]:
        """Return the completions of a role and replicate, but for what could not be scored."""
        found = [row for row in self.rows if (row.role, row.replicate) == (role, replicate)]
        return [row for row in found if role == GOLD or row.reward is not None]

    def batch(self, rows: Sequence[Row], device: str = "cpu") -> Batch:
        """Return some completions as a batch, with all that was recorded of them.

        The reward of a gold reply is nan, and so is a greedy reply's that could not be scored.
        """
        greedy = {row.group: row.reward for row in self.of(GREEDY)}
        batch = collate(
            [row.completion for row in rows],
            [_number(row.reward) for row in rows],
            [row.group for row in rows],
            limit=self.settings.max_new_tokens * self.turns,
            pad_id=self.pad_id,
            device=device,
            greedy=[_number(greedy.get(row.group)) for row in rows],
        )
        return batch._replace(
            logp_ref_BT=_padded([row.logp_ref for row in rows], batch.mask_BT),
            value_BT=_padded([row.value for row in rows], batch.mask_BT),
            value_end_B=torch.tensor([row.value_end for row in rows], device=device),
        )

    def save(self, folder: Path) -> None:
        """Write the recording; what was in the folder before is no recording until it is done."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recording.json").unlink(missing_ok=True)
        lines = (json.dumps(_readable(row), ensure_ascii=False) for row in self.rows)
        replace_file(folder / "rollouts.jsonl", "".join(f"{line}\n" for line in lines).encode())
        replace_file(folder / "rollouts.safetensors", save(_numbers(self.rows)))
        rest = {"pad_id": self.pad_id, "turns": self.turns, "facts": self.facts}
        settings = dataclasses.asdict(self.settings)
        write_json(
            folder / "recording.json",
            {"version": VERSION, "completions": len(self.rows), "settings": settings, **rest},
        )


def load(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        UsageError: there is none, it was interrupted, is broken, or of another version.
    """
    head = read_json(folder / "recording.json") if folder.is_dir() else None
    if head is None and (folder.parent / "recording.json").is_file():
        raise UsageError(f"{folder.parent} is a recording itself; name the folder that it is in")
    if head is None:
        raise UsageError(f"{folder} holds no whole recording (no recording.json); record it anew")
    if head.get("version") != VERSION:
        raise UsageError(f"{folder} was recorded by another version; delete it to record it anew")
    try:
        number = load_file(folder / "rollouts.safetensors")
        texts = [json.loads(line) for line in read_json_lines(folder / "rollouts.jsonl")]
        rows = _rows(texts, number)
        if len(rows) != head["completions"]:
            raise ValueError(f"{len(rows)} completions, not {head['completions']}")
        settings = Settings(**head["settings"])
        return Recording(settings, rows, head["pad_id"], head["turns"], head["facts"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the recording in {folder} is broken ({reason}); delete it to record it anew"
        ) from None


RAGGED = {
    "prompt_ids": torch.long,
    "token_ids": torch.long,
    "mask": torch.uint8,
    "logprobs": torch.float32,
    "logp_ref": torch.float32,
    "value": torch.float32,
}
"""One number for each token, and their types; ``NAME_length`` says how many each completion has."""


def _numbers(rows: Sequence[Row]) -> dict[str, Tensor]:
    found = {}
    for name, dtype in RAGGED.items():
        parts = [getattr(row if hasattr(row, name) else row.completion, name) for row in rows]
        found[name] = torch.tensor([value for part in parts for value in part], dtype=dtype)
        found[f"{name}_length"] = torch.tensor([len(part) for part in parts])
    reward = [_number(row.reward) for row in rows]
    found["reward"] = torch.tensor(reward, dtype=torch.float64)
    found["value_end"] = torch.tensor([row.value_end for row in rows], dtype=torch.float32)
    return found


def _readable(row: Row) -> dict[str, Any]:
    return {
        "role": row.role,
        "replicate": row.replicate,
        "group": row.group,
        "item": row.item,
        "prompt": row.prompt,
        "text": row.completion.text,
        "replies": row.completion.replies,
        "reward": row.reward,
        "parts": row.parts,
        "reason": row.reason,
        "truncated": row.completion.truncated,
        "tokens": row.completion.sampled,
    }


def _rows(texts: Sequence[dict[str, Any]], number: dict[str, Tensor]) -> tuple[Row, ...]:
    parts = {}
    for name in RAGGED:
        lengths = number[f"{name}_length"].tolist()
        parts[name] = [tuple(part.tolist()) for part in torch.split(number[name], lengths)]
    ends, rows = number["value_end"].tolist(), []
    for index, text in enumerate(texts):
        own = {name: part[index] for name, part in parts.items()}
        completion = Completion(
            **{name: own[name] for name in ("prompt_ids", "token_ids", "logprobs", "mask")},
            truncated=text["truncated"],
            text=text["text"],
            replies=tuple(text["replies"]),
        )
        same = ("role", "replicate", "group", "item", "prompt", "reward", "parts", "reason")
        rows.append(
            Row(
                **{name: text[name] for name in same},
                completion=completion,
                logp_ref=own["logp_ref"],
                value=own["value"],
                value_end=ends[index],
            )
        )
    return tuple(rows)


def _number(reward: float | None) -> float:
    return math.nan if reward is None else reward


def _padded(rows: Sequence[Sequence[float]], like_BT: Tensor) -> Tensor:
    found_BT = torch.zeros_like(like_BT)
    for index, row in enumerate(rows):
        found_BT[index, : len(row)] = torch.tensor(row, dtype=like_BT.dtype)
    return found_BT
