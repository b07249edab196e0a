"""A run as hungry as it can be, counted: what was foretold of it, and what it held."""

from __future__ import annotations

import gc
from typing import Any, cast

from bakeoff import algorithms, envs
from bakeoff.comparisons.cell.sizes import foreseen
from bakeoff.comparisons.cell.worst_case import Endless, Spread
from bakeoff.models.loading import load
from bakeoff.training.accounting.audit_meter import AuditMeter
from bakeoff.training.config import train_config
from bakeoff.training.loop import Training
from bakeoff.training.memory.prediction import Prediction
from bakeoff.types import Environment


def counted(model: str, algorithm: str, **knobs: Any) -> tuple[Prediction, AuditMeter]:
    """Return the prediction of two updates, and the meter that counted them."""
    gc.collect()  # tensors of an earlier run that are still alive would be counted
    loaded = load(model)
    endless = Endless(loaded.model, loaded.tokenizer, loaded.name)
    environment = cast(Environment, Spread(envs.make("bakeoff/Arithmetic-v0")))
    settings = {"updates": 2, "eval_items": 2, "eval_every": 9, "learning_rate": 1e-4, **knobs}
    meter = AuditMeter("cpu")
    training = Training(
        endless,
        environment,
        algorithms.make(algorithm),
        train_config(settings),
        seed=0,
        meter=meter,
    )
    prediction = foreseen(training, endless, environment, 0)
    assert prediction is not None
    with meter.counting(training):
        for _ in training.run():
            pass
    return prediction, meter
