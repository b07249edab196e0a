"""What the memory of runs follows from, found in a process that may import torch: sizes as JSON.

``python -m bakeoff.comparisons.cell --sizes REQUEST`` prints, on its last line, what each algorithm
needs, the sizes of each model, the tokens of each environment's prompts, and what this process
holds once everything that a cell imports is there. No weights are read.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.cell.failures import first_line
from bakeoff.errors import UsageError

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.loop import Training
    from bakeoff.training.memory.prediction import Prediction
    from bakeoff.types import Environment

PROMPTS = 64
"""So many training items of an environment are turned into tokens."""


def sizes(text: str) -> int:
    """Print the answer to a request; or one line on standard error, and return 2.

    Args:
        text: a JSON object: ``algorithms``, ``environments``, ``models``, and ``config``, the knobs
            of the runs.
    """
    try:
        print(json.dumps(_answer(json.loads(text))))
    except Exception as error:  # a user's own code may raise anything
        plain = isinstance(error, UsageError)
        print(first_line(error) if plain else repr(error)[:300], file=sys.stderr)
        return 2
    return 0


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    import bakeoff.training.loop  # noqa: F401
    from bakeoff import algorithms, envs
    from bakeoff.comparisons.cell.baseline import baseline_bytes
    from bakeoff.training.config import train_config
    from bakeoff.training.memory.workload import Needs
    from bakeoff.training.packing.products import BF16

    config = train_config(request["config"])
    made = {
        spec: algorithms.make(spec, corrected=config.corrected) for spec in request["algorithms"]
    }
    environments = {spec: envs.make(spec) for spec in request["environments"]}
    baseline = baseline_bytes(made.values(), config)
    cpu = config.device == "cpu" or not torch.cuda.is_available()
    models = {name: _model(name) for name in request["models"]}
    return {
        "needs": {spec: dataclasses.asdict(Needs.of(one)) for spec, one in made.items()},
        "sizes": {name: found and dataclasses.asdict(found) for name, (found, _) in models.items()},
        "prompts": {
            spec: {name: _prompt_tokens(environment, model) for name, (_, model) in models.items()}
            for spec, environment in environments.items()
        },
        "replies": {
            spec: (environment.reply_tokens, environment.turns)
            for spec, environment in environments.items()
        },
        "machine": {"cpu": cpu, "bf16": BF16, "baseline": baseline if cpu else 0},
    }


def foreseen(
    training: Training, model: LanguageModel, environment: Environment, baseline: int
) -> Prediction | None:
    """Return what a run will hold, before it starts; ``None`` if that is not known of its model.

    Args:
        training: set up and not begun.
        model: its policy.
        environment: where its prompts come from.
        baseline: bytes of the process before it had a model; 0: not on a CPU.
    """
    from bakeoff.training.memory.prediction import predicted
    from bakeoff.training.memory.sizes import model_sizes
    from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run
    from bakeoff.training.packing.products import BF16
    from bakeoff.training.packing.support import packs

    config = training.config
    sizes = model_sizes(model.model.config.get_text_config().to_dict())
    if sizes is None or config.sampler != "builtin" or not packs(model.model):
        return None
    mean, longest = _prompt_tokens(environment, model)
    reply = config.sampling.max_new_tokens
    assert reply is not None, "the cell fills it in"
    lengths = Lengths(mean, longest, reply * environment.turns)
    machine = Machine(cpu=training.learner.policy.device.type == "cpu", bf16=BF16)
    machine = dataclasses.replace(machine, baseline=baseline)
    needs = Needs.of(training.learner.algorithm)
    return predicted(Run(sizes, needs, config, lengths, machine))


def _model(name: str) -> tuple[Any, LanguageModel]:
    """Return the sizes of a model, and its tokenizer, in a language model without a model."""
    from transformers import AutoConfig, AutoTokenizer

    from bakeoff.models import adapter_base, local_folder, smollm2
    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.memory.sizes import model_sizes

    base = adapter_base(name) or name
    place = str(local_folder(base) or base)
    if base == "tiny":
        import bakeoff.models

        place = str(Path(bakeoff.models.__file__).parent / "tiny")
    if base == "smollm2":
        place = str(smollm2.fetch())
    config = AutoConfig.from_pretrained(place).get_text_config()
    tokenizer = AutoTokenizer.from_pretrained(place)
    return model_sizes(config.to_dict()), LanguageModel(None, tokenizer, name)


def _prompt_tokens(environment: Environment, model: LanguageModel) -> tuple[float, int]:
    """Return the tokens of the first prompts of an environment: the mean, and the longest."""
    count = min(PROMPTS, environment.size("train"))
    items = [environment.item(index, "train") for index in range(count)]
    tokens = [len(model.prompt_ids(item.prompt)) for item in items]
    return sum(tokens) / count, max(tokens)
