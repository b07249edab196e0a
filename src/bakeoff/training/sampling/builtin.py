"""The sampler that needs nothing but the model: the fastest one that fits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.training.packing.support import packs
from bakeoff.training.sampling.packed import PackedSampler
from bakeoff.training.sampling.padded import PaddedSampler

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


def sampler_of(language_model: LanguageModel, *, rows: int = 128) -> PackedSampler | PaddedSampler:
    """Return the packed sampler where the model can be read in packed rows, else the padded one.

    Args:
        language_model: what samples.
        rows: completions sampled at a time.

    Example:
        >>> from bakeoff.models.loading import load
        >>> type(sampler_of(load("tiny"))).__name__
        'PackedSampler'
    """
    kind = PackedSampler if packs(language_model.model) else PaddedSampler
    return kind(language_model, rows=rows)
