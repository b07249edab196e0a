"""Load a causal language model with its tokenizer, by short name, local folder or hub id."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from bakeoff.models import MODELS, ModelError, adapter_base, check, local_folder


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model and what turns text into its tokens and back.

    Attributes:
        model: a ``transformers`` model, in evaluation mode.
        tokenizer: its tokenizer.
        name: the name it was loaded by.
    """

    model: Any
    tokenizer: Any
    name: str

    def prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """Return the tokens that ask ``prompt``, ready for a reply to follow.

        The tokenizer's chat template wraps the prompt as one user message, if there is a template;
        else the prompt is encoded as plain text, with whatever the tokenizer puts before a text.

        Raises:
            ModelError: there are no tokens at all, so that nothing could follow them.
        """
        if self.tokenizer.chat_template is not None:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
            )
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer(prompt)["input_ids"]
        if not ids:
            raise ModelError(f"the tokenizer of '{self.name}' makes no tokens of {prompt!r}")
        return tuple(ids)

    def observation_ids(self, observation: str) -> tuple[int, ...]:
        """Return the tokens that say ``observation`` after a reply that has ended.

        With a chat template, it is the next message of the user; else plain text.

        Raises:
            ModelError: the template puts earlier messages differently when others follow.
        """
        if self.tokenizer.chat_template is None:
            return tuple(self.tokenizer(observation, add_special_tokens=False)["input_ids"])
        said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}]
        apply = self.tokenizer.apply_chat_template
        before = apply(said, tokenize=False)
        after = apply(
            [*said, {"role": "user", "content": observation}],
            add_generation_prompt=True,
            tokenize=False,
        )
        if not after.startswith(before) or "@@" not in before:
            raise ModelError(
                f"the chat template of '{self.name}' changes earlier messages when others follow: "
                "it cannot be used in episodes of several turns"
            )
        end = before.rpartition("@@")[2]
        for token in self.tokenizer.convert_ids_to_tokens(list(self.eos_ids)):
            end = end.removeprefix(token)  # the reply has it already
        text = end + after[len(before) :]
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, token_ids: tuple[int, ...]) -> str:
        """Return the text of a reply, without special tokens and otherwise unchanged."""
        decoded: str = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return decoded

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a reply: the generation config's, the model's, the tokenizer's.

        Raises:
            ModelError: there is none, so that no reply could ever end.
        """
        found: set[int] = set()
        configs = (self.model.generation_config, self.model.config, self.tokenizer)
        for config in configs:
            ids = getattr(config, "eos_token_id", None)
            found.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
        if not found:
            raise ModelError(f"model '{self.name}' has no end-of-sequence token")
        return tuple(sorted(found))

    @property
    def pad_id(self) -> int:
        """The token that fills up rows; an end-of-sequence token if there is no padding token."""
        pad: int | None = self.tokenizer.pad_token_id
        return self.eos_ids[0] if pad is None else pad


def load(
    name: str, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> LanguageModel:
    """Return the model ``name``: a key of ``MODELS``, a local folder, or a hub id.

    ``smollm2`` is downloaded on first use, which is said on standard output. A folder with an
    adapter, in peft's format, is its base with the adapter added into the weights: a plain model.

    Args:
        name: see ``bakeoff.models.check``.
        dtype: of the weights.
        device: where they go.

    Raises:
        UsageError: the name is none of these.
        ModelError: the folder or the hub's model cannot be read, or the hub cannot be reached.

    Example:
        >>> tiny = load("tiny")
        >>> tiny.text(tiny.prompt_ids("What is 47 + 38?"))
        'What is 47 + 38?'
    """
    check(name)
    if name == "tiny":
        with as_file(files("bakeoff.models") / "tiny") as folder:
            return _from_pretrained(str(folder), name, dtype, device)
    if name == "smollm2":
        from bakeoff.models import smollm2

        return _from_pretrained(str(smollm2.fetch()), name, dtype, device)
    if (base := adapter_base(name)) is not None:
        return _with_adapter(load(base, dtype=dtype, device=device), name)
    return _from_pretrained(str(local_folder(name) or name), name, dtype, device)


def _with_adapter(base: LanguageModel, name: str) -> LanguageModel:
    """Return the base with the adapter in folder ``name`` added into its weights, for good."""
    import peft
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    folder = str(local_folder(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what peft calls and transformers will drop
            model = peft.PeftModel.from_pretrained(base.model, folder).merge_and_unload()
        own = (Path(folder) / "tokenizer_config.json").is_file()
        tokenizer = AutoTokenizer.from_pretrained(folder) if own else base.tokenizer
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        raise ModelError(_advice(folder, name, error)) from error
    return LanguageModel(model=model.eval(), tokenizer=tokenizer, name=name)


def _from_pretrained(
    place: str, name: str, dtype: torch.dtype, device: str | torch.device
) -> LanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(_advice(place, name, error)) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(f"'{name}' is an adapter: download it and give the folder that it is in")
    return LanguageModel(model=model.eval().to(device), tokenizer=tokenizer, name=name)


def _advice(place: str, name: str, error: Exception) -> str:
    first = " ".join(str(error).split())[:200] or type(error).__name__
    if Path(place).is_dir():
        return f"cannot load model folder '{name}': {first}"
    offline = f"a local folder or one of {', '.join(sorted(MODELS))} works without the hub"
    return f"cannot load '{name}' from the Hugging Face hub ({offline}): {first}"
