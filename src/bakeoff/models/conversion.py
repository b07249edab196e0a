"""Convert SmolLM2's GGUF file into a folder of safetensors that transformers reads in seconds.

transformers reads GGUF, slowly (tens of seconds), and a model read so refuses ``save_pretrained``;
so the model is built again from its configuration and the weights are copied.

Two things it departs from in what transformers makes of the file:

1. Weights are stored as float32. Q4_1 is ``scale * q + minimum`` with both factors in float16, and
   the result fits neither float16 nor bfloat16.
2. The file says ``tokenizer.ggml.pre = smollm``: digits are split one by one *before* the GPT-2
   pattern (as in llama.cpp and in the model's own ``tokenizer.json``). transformers ignores that
   field; without it the white space before a number would be cut into other tokens.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

PROBE = "What is 47 + 38?\n\n  It is 85, and 1234567 is\tmore."


def convert(gguf: Path, target: Path) -> None:
    """Write the model in ``gguf`` and its tokenizer into the new folder ``target``.

    Raises:
        ValueError: what was written does not give exactly the logits of the GGUF model, or the
            tokenizer lacks its chat template or end-of-sequence token.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = _tokenizer(gguf)
    source = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    _plain_copy(source).save_pretrained(target)
    tokenizer.save_pretrained(target)

    written = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    rereads = AutoTokenizer.from_pretrained(target)
    ids = tokenizer(PROBE)["input_ids"]
    if rereads(PROBE)["input_ids"] != ids or rereads.chat_template != tokenizer.chat_template:
        raise ValueError("the written tokenizer differs from the one in the file")
    if not torch.equal(_logits(written, ids), _logits(source, ids)):
        raise ValueError("the written model's logits differ from those of the file")


def _tokenizer(gguf: Path) -> Any:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    if not tokenizer.chat_template or tokenizer.eos_token != "<|im_end|>":
        raise ValueError("the file's tokenizer has no chat template, or not <|im_end|> as its end")
    return tokenizer


def _plain_copy(source: Any) -> Any:
    """Return the same model without a trace of where it was read from."""
    values = source.config.to_dict()
    values.pop("quantization_config", None)
    values["_name_or_path"] = "smollm2"
    copy = type(source)(type(source.config).from_dict(values))
    copy.load_state_dict(source.state_dict())
    copy.generation_config = source.generation_config
    return copy


@torch.no_grad()
def _logits(model: Any, ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model.eval()(torch.tensor([ids])).logits
    return logits


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
