"""A transformer's pass over packed tokens: all of them in one row, and a layout says who sees whom.

Everything in a transformer but its attention works on each token by itself, so tokens of many
sequences can stand in one row, without padding and with a shared prompt there once. What attends to
what is the layout's affair: it takes the place of the model's attention, by way of transformers'
registry of attention functions, for the length of a pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor

NAME = "bakeoff_packed"
"""What transformers knows the layouts' attention by."""


SPECIAL = ("sliding_window", "softcap", "s_aux")
"""What models ask of an attention function that no layout does."""


class Unsupported(Exception):
    """A model's attention has something to it that no layout knows of."""


class Layout(Protocol):
    """Tokens in one row, and what each of them sees."""

    @property
    def token_N(self) -> Tensor:
        """The tokens."""
        ...

    @property
    def position_N(self) -> Tensor:
        """The place of each in its sequence, from 0."""
        ...

    def attend(
        self, layer: int, query_HND: Tensor, key_KND: Tensor, value_KND: Tensor, scale: float
    ) -> Tensor:
        """Return ``out_HND``, values averaged by ``softmax(scale * query . key)`` over the seen.

        Args:
            layer: which of the model's layers asks, from 0.
            query_HND: of ``H`` heads.
            key_KND, value_KND: of ``K`` heads, each of which serves ``H / K`` neighbouring ones.
            scale: of the dot products.
        """
        ...


def last_states(backbone: Any, layout: Layout) -> Tensor:
    """Return ``hidden_NH``, the last hidden states of a transformer over a layout's tokens.

    Args:
        backbone: a transformers model without its head.
        layout: the tokens.

    Raises:
        Unsupported: the model's attention is of another kind.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
    with attending(backbone.config.get_text_config(), NAME):
        output = backbone(
            input_ids=layout.token_N[None],
            position_ids=layout.position_N[None],
            use_cache=False,
            layout=layout,
        )
    hidden_NH: Tensor = output.last_hidden_state[0]
    return hidden_NH


@contextmanager
def attending(config: Any, attention: str) -> Iterator[None]:
    """Have a transformer of this configuration attend by the function of a name meanwhile."""
    before = config._attn_implementation
    config._attn_implementation = attention
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: Any,
    query_1HND: Tensor,
    key_1KND: Tensor,
    value_1KND: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Be an attention function of transformers; return ``out_1NHD``."""
    told = [name for name in SPECIAL if options.get(name) is not None]
    if told or dropout or attention_mask is not None:
        raise Unsupported(f"attention with {', '.join(told) or 'dropout or a mask of its own'}")
    scale = query_1HND.shape[-1] ** -0.5 if scaling is None else scaling
    out_HND = layout.attend(module.layer_idx, query_1HND[0], key_1KND[0], value_1KND[0], scale)
    return out_HND.transpose(0, 1)[None], None
