"""The final model of a run, kept in its folder so that others can load it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel

NAME = "model"

README = """\
A LoRA adapter for the model `{base}`, in peft's format, with the tokenizer.

As a plain model, the adapter added into the weights (or `bakeoff ... --model FOLDER`):

    from bakeoff.models.loading import load
    model = load("FOLDER").model

As an adapter on its base:

    from peft import PeftModel
    model = PeftModel.from_pretrained(load("{base}").model, "FOLDER")

FOLDER is the one that this file is in.
"""


def keep(folder: Path, language_model: LanguageModel, *, adapter: str | None) -> None:
    """Write a model and its tokenizer to ``folder/model``, as transformers or peft writes them.

    Args:
        folder: the cell's.
        language_model: the trained model.
        adapter: the name of the adapter that was trained, if one was; it alone is written then,
            and a README that says how to load it.
    """
    place = folder / NAME
    if adapter is None:
        language_model.model.save_pretrained(place)
    else:
        from bakeoff.training import adapters

        base = base_name(language_model.name)
        adapters.save(language_model.model, adapter, place, base=base)
        (place / "README.md").write_text(README.format(base=base), encoding="utf-8")
    language_model.tokenizer.save_pretrained(place)


def base_name(name: str) -> str:
    """Return the name of a model by which it can be loaded from any folder.

    Example:
        >>> base_name("tiny")
        'tiny'
    """
    from bakeoff.models import MODELS, local_folder

    folder = None if name in MODELS else local_folder(name)
    return name if folder is None else str(folder.resolve())
