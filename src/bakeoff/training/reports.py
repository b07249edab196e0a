"""What the loop says of its progress: plain records, written down by whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from bakeoff.training.meter import Phase
from bakeoff.types import Completion, Item, Metrics, Score


@dataclass
class Counters:
    """What a run has used up so far; evaluation is left out of all but ``eval_s``."""

    updates: int = 0
    prompts: int = 0
    completions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    trained_tokens: int = 0
    unscored_completions: int = 0
    train_flops: int = 0
    train_s: float = 0.0
    eval_s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the counters by name."""
        return asdict(self)


GOLD = Score(None, reason="a gold reply is not scored")
"""The score of what nobody wrote."""


@dataclass(frozen=True)
class Sample:
    """One completion and how it was judged.

    Attributes:
        item: what was asked.
        completion: what was written.
        score: what came of it; ``GOLD`` of a gold reply.
        group: which of the update's items it answers, in the order in which they were asked.
        version: how many updates the policy that wrote it had behind it; None of a
            gold reply.
    """

    item: Item
    completion: Completion
    score: Score
    group: int = 0
    version: int | None = None

    @property
    def usable(self) -> bool:
        """Whether it may be learned from: it has a score, or is a gold reply and needs none."""
        return self.score.value is not None or self.score is GOLD


@dataclass(frozen=True)
class Report:
    """One finished update (0: before training), and the evaluation after it if there was one.

    Attributes:
        update: how many updates are done.
        metrics: of the update, by the names of the tables; empty for update 0.
        eval_metrics: of the evaluation; empty if there was none.
        phases: the update's, adding up to its wall time.
        samples: training completions that are kept for people to read.
        eval_samples: every completion of the evaluation.
        counters: of the run, after this update.
        completions: how many there were in the update: the metrics of completions are over them.
        done_frac: how far the run is: of its updates, or of its budget if that is further.
    """

    update: int
    metrics: Metrics
    eval_metrics: Metrics
    phases: Sequence[Phase]
    samples: Sequence[Sample]
    eval_samples: Sequence[Sample]
    counters: Counters = field(default_factory=Counters)
    completions: int = 0
    done_frac: float = 0.0
