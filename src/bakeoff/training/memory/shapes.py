"""Models that need not be here to be planned for: the shapes that their makers published.

Numbers of layers, heads and widths are those of each model's ``config.json`` on the Hugging Face
hub, and ``parameters`` is the exact count that the hub shows for its safetensors, both at
``https://huggingface.co/HUB``. Nothing is asked of a hub: the figures are kept here, and a test
holds the first to the second. The models with ``-Instruct`` behind their names have the same
shapes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.errors import UsageError, unknown
from bakeoff.training.memory.sizes import LIKE_LLAMA, ModelSizes, model_config, model_sizes


class Shape(NamedTuple):
    """A published model.

    Attributes:
        hub: its id.
        kind: its ``model_type``.
        layers, hidden, inner: how many, and the widths of the states and of the gated product.
        heads, kept, width: of queries, of keys, and numbers in each.
        vocabulary: tokens.
        tied: whether the output layer has the embeddings' weights.
        parameters: how many, as published.
    """

    hub: str
    kind: str
    layers: int
    hidden: int
    inner: int
    heads: int
    kept: int
    width: int
    vocabulary: int
    tied: bool
    parameters: int

    def config(self) -> dict[str, Any]:
        """Return what of its ``config.json`` its sizes follow from."""
        return {
            "model_type": self.kind,
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kept,
            "head_dim": self.width,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied,
        }


_QWEN, _LLAMA, _SMOL = "Qwen/Qwen", "meta-llama/Llama-", "HuggingFaceTB/SmolLM2-"

# fmt: off
SHAPES = (
    Shape(f"{_QWEN}2.5-0.5B", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, True, 494_032_768),
    Shape(f"{_QWEN}2.5-1.5B", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936, True, 1_543_714_304),
    Shape(f"{_QWEN}2.5-3B", "qwen2", 36, 2048, 11008, 16, 2, 128, 151936, True, 3_085_938_688),
    Shape(f"{_QWEN}2.5-7B", "qwen2", 28, 3584, 18944, 28, 4, 128, 152064, False, 7_615_616_512),
    Shape(f"{_QWEN}2.5-14B", "qwen2", 48, 5120, 13824, 40, 8, 128, 152064, False, 14_770_033_664),
    Shape(f"{_QWEN}2.5-32B", "qwen2", 64, 5120, 27648, 40, 8, 128, 152064, False, 32_763_876_352),
    Shape(f"{_QWEN}2.5-72B", "qwen2", 80, 8192, 29568, 64, 8, 128, 152064, False, 72_706_203_648),
    Shape(f"{_QWEN}3-0.6B", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, True, 596_049_920),
    Shape(f"{_QWEN}3-8B", "qwen3", 36, 4096, 12288, 32, 8, 128, 151936, False, 8_190_735_360),
    Shape(f"{_QWEN}3-32B", "qwen3", 64, 5120, 25600, 64, 8, 128, 151936, False, 32_762_123_264),
    Shape(f"{_LLAMA}3.2-1B", "llama", 16, 2048, 8192, 32, 8, 64, 128256, True, 1_235_814_400),
    Shape(f"{_LLAMA}3.2-3B", "llama", 28, 3072, 8192, 24, 8, 128, 128256, True, 3_212_749_824),
    Shape(f"{_LLAMA}3.1-8B", "llama", 32, 4096, 14336, 32, 8, 128, 128256, False, 8_030_261_248),
    Shape(f"{_LLAMA}3.1-70B", "llama", 80, 8192, 28672, 64, 8, 128, 128256, False, 70_553_706_496),
    Shape(f"{_SMOL}135M", "llama", 30, 576, 1536, 9, 3, 64, 49152, True, 134_515_008),
    Shape(f"{_SMOL}360M", "llama", 32, 960, 2560, 15, 5, 64, 49152, True, 361_821_120),
    Shape(f"{_SMOL}1.7B", "llama", 24, 2048, 8192, 32, 32, 64, 49152, True, 1_711_376_384),
)
# fmt: on

PUBLISHED = {shape.hub.partition("/")[2].lower(): shape for shape in SHAPES}
"""By the name that a plan knows them by."""


def planned_sizes(name: str) -> ModelSizes:
    """Return the sizes of a model of which nothing but its configuration need be here.

    Args:
        name: of a published shape, its hub id, a model or a folder that is on this machine, or a
            ``config.json``.

    Raises:
        UsageError: it is none of these, or not of Llama's shape.

    Example:
        >>> planned_sizes("llama-3.1-70b").layers, planned_sizes("Qwen/Qwen2.5-7B-Instruct").hidden
        (80, 3584)
    """
    config = _config(name)
    if config is None:
        raise unknown("model to plan for", name, ["tiny", "smollm2", *PUBLISHED])
    if (sizes := model_sizes(config)) is None:
        kinds = ", ".join(LIKE_LLAMA)
        raise UsageError(f"nothing is foretold of '{name}': it is not of the types {kinds}")
    return sizes


def _config(name: str) -> dict[str, Any] | None:
    plain = name.removesuffix("-Instruct")
    for shape in SHAPES:
        if plain == shape.hub or name.lower() == shape.hub.partition("/")[2].lower():
            return shape.config()
    if name == "smollm2":  # which may not have been fetched
        return PUBLISHED["smollm2-135m"].config()
    if not name.endswith(".json"):
        return model_config(name)
    try:
        read = json.loads(Path(name).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration {name} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise UsageError(f"the configuration {name} is no JSON object")
    return read
