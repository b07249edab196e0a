"""The sizes of a model that its memory follows from, read off its configuration.

Nothing is loaded: a ``config.json`` is enough. The models are transformers of Llama's shape, which
are read in packed rows (docs/passes.md); of any other nothing is foretold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.models import adapter_base, local_folder
from bakeoff.models.smollm2 import CACHE_NAME, cache_folder

LIKE_LLAMA = ("llama", "mistral", "qwen2", "qwen3")
"""Types of models whose layers are Llama's: two norms, attention, and a gated product of three."""


class Weight(NamedTuple):
    """One tensor of weights.

    Attributes:
        numbers: how many it has.
        itemsize: the bytes of each.
        rows: how many there are along its first dimension; 0: it is a vector.
    """

    numbers: int
    itemsize: int = 4
    rows: int = 0

    def share(self, ranks: int) -> Weight:
        """Return the largest part, in fp32, if its rows are dealt to so many ranks."""
        rows = self.rows or self.numbers
        most = math.ceil(rows / ranks)
        return Weight(most * (self.numbers // rows), 4, most)


@dataclass(frozen=True)
class ModelSizes:
    """What a transformer of Llama's shape is made of.

    Attributes:
        layers: how many.
        hidden: width of the hidden states.
        inner: width of the gated product.
        query, key: widths of all heads of queries, and of all heads of keys.
        heads: of queries.
        vocabulary: tokens.
        tied: whether the output layer has the embeddings' weights.
        biases: numbers of biases in a layer.
        head_norms: whether each head of queries and keys is normalised.
        context: tokens that it can read; ``None``: not said.

    Example:
        >>> tiny = model_sizes(model_config("tiny"))
        >>> sum(weight.numbers for weight in tiny.weights())
        1062656
    """

    layers: int
    hidden: int
    inner: int
    query: int
    key: int
    heads: int
    vocabulary: int
    tied: bool = True
    biases: int = 0
    head_norms: bool = False
    context: int | None = None

    @property
    def embedding(self) -> int:
        """The numbers of the embeddings, and of the output layer."""
        return self.vocabulary * self.hidden

    def matrices(self) -> list[tuple[int, int]]:
        """Return the linear layers of one layer: outputs and inputs of each."""
        hidden, inner, query, key = self.hidden, self.inner, self.query, self.key
        attention = [(query, hidden), (key, hidden), (key, hidden), (hidden, query)]
        return [*attention, (inner, hidden), (inner, hidden), (hidden, inner)]

    def layer(self) -> list[Weight]:
        """Return the weights of one layer."""
        small = [self.hidden, self.hidden, self.biases]
        small += [2 * self.query // self.heads] if self.head_norms else []
        matrices = [Weight(rows * columns, rows=rows) for rows, columns in self.matrices()]
        return [*matrices, *(Weight(count) for count in small if count)]

    def backbone(self) -> list[Weight]:
        """Return the weights of the transformer without its output layer."""
        return [self._table(), *self.layer() * self.layers, Weight(self.hidden)]

    def weights(self) -> list[Weight]:
        """Return the weights of the whole model, those that are used twice once."""
        return self.backbone() + ([] if self.tied else [self._table()])

    def value_head(self) -> list[Weight]:
        """Return the weights of a critic's head."""
        return [Weight(self.hidden, rows=1), Weight(1)]

    def _table(self) -> Weight:
        return Weight(self.embedding, rows=self.vocabulary)

    def adapter(self, rank: int) -> list[Weight]:
        """Return the fp32 weights of an adapter beside every linear layer of the transformer."""
        sides = [rank * side for matrix in self.matrices() for side in matrix]
        return [Weight(count) for count in sides] * self.layers

    def linear(self, smallest: int = 0, *, head: bool = False) -> int:
        """Return the numbers in linear layers of at least ``smallest`` numbers each."""
        counts = [rows * columns for rows, columns in self.matrices()] * self.layers
        counts += [self.embedding] if head else []
        return sum(count for count in counts if count >= smallest)


def model_sizes(config: Mapping[str, Any]) -> ModelSizes | None:
    """Return the sizes in a transformers configuration; ``None`` if they are not those of a Llama.

    Args:
        config: as in ``config.json``.
    """
    kind = config.get("model_type")
    kinds = set(config.get("layer_types") or ["full_attention"])
    slides = config.get("sliding_window") and config.get("use_sliding_window", kind == "mistral")
    if kind not in LIKE_LLAMA or kinds != {"full_attention"} or slides:
        return None
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    width = int(config.get("head_dim") or hidden // heads)
    kept = int(config.get("num_key_value_heads") or heads)
    query, key, inner = heads * width, kept * width, int(config["intermediate_size"])
    biases = query + 2 * key if kind == "qwen2" or config.get("attention_bias") else 0
    biases += hidden if kind != "qwen2" and config.get("attention_bias") else 0
    biases += 2 * inner + hidden if config.get("mlp_bias") else 0
    return ModelSizes(
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        inner=inner,
        query=query,
        key=key,
        heads=heads,
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        biases=biases,
        head_norms=kind == "qwen3",
        context=config.get("max_position_embeddings"),
    )


def model_config(name: str) -> dict[str, Any] | None:
    """Return the configuration of a model that is on this machine; ``None``: it is elsewhere.

    Args:
        name: see ``bakeoff.models.check``; of a folder with an adapter it is the base's.
    """
    if name == "tiny":
        text = files("bakeoff.models").joinpath("tiny/config.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found
    if name == "smollm2":
        return _read(cache_folder() / CACHE_NAME)
    if (base := adapter_base(name)) is not None:
        return model_config(base)
    folder = local_folder(name)
    return None if folder is None else _read(folder)


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
