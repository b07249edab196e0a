"""What the memory of runs follows from, asked of a process that may import torch.

The driver and the command line stay small: they get sizes as JSON, and calculate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bakeoff.comparisons.running.checks import CELL_MODULE, last_line
from bakeoff.errors import UsageError
from bakeoff.training.config import train_config
from bakeoff.training.memory.sizes import LIKE_LLAMA, ModelSizes
from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run


@dataclass(frozen=True)
class Facts:
    """Of a comparison: what algorithms need, how large models are, how long prompts are.

    Attributes:
        needs: by algorithm.
        sizes: by model; ``None``: nothing is foretold of it.
        prompts: by environment and model: tokens of a prompt, the mean and the longest.
        replies: by environment: tokens of a reply by default, and replies of an episode at most.
        machine: where runs compute.
    """

    needs: Mapping[str, Needs]
    sizes: Mapping[str, ModelSizes | None]
    prompts: Mapping[str, Mapping[str, tuple[float, int]]]
    replies: Mapping[str, tuple[int, int]]
    machine: Machine

    def run(
        self, algorithm: str, environment: str, model: str, knobs: Mapping[str, Any]
    ) -> Run | None:
        """Return a run that has not been made; ``None`` if nothing is foretold of its model.

        Args:
            algorithm, environment, model: as they were asked for.
            knobs: settings of the run.
        """
        sizes, config = self.sizes[model], train_config(knobs)
        if sizes is None:
            return None
        reply, turns = self.replies[environment]
        mean, longest = self.prompts[environment][model]
        completion = (config.sampling.max_new_tokens or reply) * turns
        lengths = Lengths(mean, longest, completion)
        return Run(sizes, self.needs[algorithm], config, lengths, self.machine)


def facts(
    algorithms: Iterable[str],
    environments: Iterable[str],
    models: Iterable[str],
    knobs: Mapping[str, Any],
) -> Facts:
    """Return the facts of runs, found in a process of its own.

    Raises:
        UsageError: something that is named does not exist, or cannot be made.
    """
    request = {
        "algorithms": list(algorithms),
        "environments": list(environments),
        "models": list(models),
        "config": dict(knobs),
    }
    command = [sys.executable, "-P", "-m", CELL_MODULE, "--sizes", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UsageError(last_line(done.stderr) or "the sizes of the runs cannot be found")
    return read(json.loads(last_line(done.stdout)))


def read(answer: Mapping[str, Any]) -> Facts:
    """Return the facts in the answer of ``bakeoff.comparisons.cell.sizes``."""
    return Facts(
        needs={name: Needs(**found) for name, found in answer["needs"].items()},
        sizes={name: found and ModelSizes(**found) for name, found in answer["sizes"].items()},
        prompts={
            environment: {model: (mean, longest) for model, (mean, longest) in found.items()}
            for environment, found in answer["prompts"].items()
        },
        replies={name: (reply, turns) for name, (reply, turns) in answer["replies"].items()},
        machine=Machine(**answer["machine"]),
    )


def unknown_model(model: str) -> UsageError:
    """Return the error for a model of which nothing is foretold."""
    kinds = ", ".join(LIKE_LLAMA)
    return UsageError(
        f"the memory of model '{model}' is not foretold: the formula is of models that are read in "
        f"packed rows, of the types {kinds}"
    )
