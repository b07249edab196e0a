"""One replay from beginning to end: the recording, made or read, and all that is written of it."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import torch

from bakeoff import envs, models
from bakeoff.comparisons.commands.algorithms_command import made
from bakeoff.comparisons.commands.working import Count
from bakeoff.comparisons.replay import figures, reading, recording, tables
from bakeoff.comparisons.replay.command import CRITIC_RATE, Request
from bakeoff.comparisons.replay.measuring import replay
from bakeoff.comparisons.replay.recording import Recording, Settings
from bakeoff.comparisons.replay.rollouts import record, weights_sha256
from bakeoff.comparisons.report import figures as report_figures
from bakeoff.comparisons.running import checks
from bakeoff.comparisons.running.folder import locked
from bakeoff.comparisons.running.share import default_threads
from bakeoff.comparisons.tables import replace_file
from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.config import AUTO_SANDBOX
from bakeoff.types import Algorithm

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def run(request: Request, progress: Count) -> str:
    """Record, replay, and write everything; return the summary for the console.

    Args:
        request: what was asked for.
        progress: told what is being done.

    Raises:
        UsageError: something that was asked for does not exist or does not fit.
        ModelError: the model could not be had.
        FloatingPointError: the model, or a loss, is not finite.
    """
    asked = {name: made(name) for name in request.algorithms}
    if request.recorded:
        recorded = recording.load(request.place)
        _check_groups(asked, recorded.settings.group_size)
        language_model = _loaded(recorded.settings.model, request.device, progress)
        _check_weights(recorded, language_model)
    else:
        _check_groups(asked, request.numbers["group_size"] or 1)
    with locked(request.out):
        if not request.recorded:
            recorded, language_model = _recorded(request, progress)
        rate = request.rates["learning_rate"]
        if rate is None:
            rate = models.default_learning_rate(recorded.settings.model)
        found = replay(
            recorded,
            language_model.model,
            asked,
            learning_rate=rate,
            micro_batch=request.numbers["micro_batch"] or 1,
            progress=progress,
        )
        (request.out / "report.md").unlink(
            missing_ok=True
        )  # written last: then all is of one replay
        rows, pairs, tokens = tables.write(
            request.out, recorded, found, asked, language_model.tokenizer
        )
        report_figures.save(figures.draw(rows, pairs, tokens), request.out)
        text = reading.document(recorded, rows, pairs, learning_rate=rate)
        replace_file(request.out / "report.md", text.encode())
    return reading.console(recorded, rows, request.out)


def _recorded(request: Request, progress: Count) -> tuple[Recording, LanguageModel]:
    """Return the recording that is asked for, made if it is not there, and its model.

    Raises:
        UsageError: the folder holds a recording of something else.
    """
    if checks.builds(request.environment):
        level = os.environ.get("BAKEOFF_SANDBOX", AUTO_SANDBOX)
        checks.check_sandbox(level, [request.environment])
    environment = envs.make(request.environment)
    settings = _settings(request, environment.reply_tokens)
    head = request.place / "recording.json"
    if head.exists():
        found = recording.load(request.place)
        _check_same(found.settings, settings, request)
        language_model = _loaded(settings.model, request.device, progress)
        _check_weights(found, language_model)
        return found, language_model
    language_model = _loaded(settings.model, request.device, progress)
    found = record(
        environment,
        language_model,
        settings,
        micro_batch=request.numbers["micro_batch"] or 1,
        progress=progress,
    )
    found.save(request.place)
    return found, language_model


def _settings(request: Request, reply_tokens: int) -> Settings:
    rate = request.rates["critic_learning_rate"]
    if rate is None:
        rate = CRITIC_RATE * models.default_learning_rate(request.model)
    numbers = {
        name: value
        for name, value in request.numbers.items()
        if name != "micro_batch" and value is not None
    }
    return Settings(
        environment=request.environment,
        model=request.model,
        critic_learning_rate=rate,
        **{"max_new_tokens": reply_tokens, **numbers},
    )


def _loaded(name: str, device: str, progress: Count) -> LanguageModel:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    progress(f"loading {name}", 0, 1)
    language_model = load(name, device=device)
    progress(f"loading {name}", 1, 1)
    weights = sum(weight.numel() for weight in language_model.model.parameters())
    torch.set_num_threads(default_threads(weights))
    return language_model


def _check_same(found: Settings, wanted: Settings, request: Request) -> None:
    before, now = dataclasses.asdict(found), dataclasses.asdict(wanted)
    for name, value in now.items():
        if before[name] != value:
            raise UsageError(
                f"{request.place} was recorded with {name}={before[name]}, not {name}={value}; "
                "use another --out, the same setting, or --from"
            )


def _check_weights(found: Recording, language_model: LanguageModel) -> None:
    if found.facts["weights_sha256"] != weights_sha256(language_model):
        raise UsageError(
            f"model '{language_model.name}' has other weights than when it was recorded; "
            "record it anew, in another --out"
        )


def _check_groups(asked: dict[str, Algorithm], group_size: int) -> None:
    for name, algorithm in asked.items():
        if group_size < algorithm.min_group_size:
            raise UsageError(
                f"{name} needs a group_size of at least {algorithm.min_group_size}, "
                f"and the recording has {group_size}"
            )
