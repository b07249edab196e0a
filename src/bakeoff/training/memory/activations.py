"""Bytes of activations: what layers keep for a backward pass, and what a pass holds for a moment.

Counted tensor by tensor for a layer of Llama's shape in packed rows, ``H`` hidden, ``I`` inner,
``A`` and ``K`` the widths of all queries and all keys:

    norm         its input, the input over its root mean square, and the product with the weights
    attention    queries, keys, values, the output, and the output again for the layer after it
    product      gate, silu(gate), up, and silu(gate) * up

    fp32         4 (6 H + 3 A + 2 K + 4 I)                     bytes a token
    bf16         2 (8 H + 3 A + 2 K + 4 I)                     norms are in fp32 inside
    autocast     4 * 4 H + 2 (5 H + 3 A + 2 K + 4 I)           each product casts its input

beside 4 bytes for each head and each norm. Frozen norms keep no quotient. An adapter of rank ``r``
beside each of the seven products keeps ``r`` numbers, and in 16 bits its input in fp32.
"""

from __future__ import annotations

from bakeoff.training.memory.sizes import ModelSizes

LOGITS = 2**24
"""How many logits are held at once, at most: as in ``bakeoff.training.packing.logps``."""


def kept_by_layer(sizes: ModelSizes, precision: str, rank: int = 0) -> int:
    """Return the bytes that one layer keeps of each token for its backward pass.

    Args:
        sizes: of the model.
        precision: of the run.
        rank: of an adapter that trains in the place of the weights; 0: the weights train.

    Example:
        >>> sizes = ModelSizes(layers=1, hidden=2, inner=4, query=2, key=2, heads=1, vocabulary=9)
        >>> kept_by_layer(sizes, "fp32")  # 4 * (12 + 6 + 4 + 16 + 1 + 2)
        164
    """
    hidden, inner, query, key = sizes.hidden, sizes.inner, sizes.query, sizes.key
    item = 4 if precision == "fp32" else 2
    found = item * (3 * query + 2 * key + 4 * inner) + 4 * (sizes.heads + 2)
    found += _norm(hidden, precision, readers=3, trains=not rank)
    found += _norm(hidden, precision, readers=2, trains=not rank)
    if sizes.head_norms:
        found += _norm(query + key, precision, readers=0, trains=not rank)
        found += 4 * (sizes.heads + sizes.heads * key // query)
    if rank:
        found += 4 * rank * len(sizes.matrices())
        inputs = sum(columns for _, columns in sizes.matrices())
        found += 4 * inputs if item == 2 else 0
    return found


def kept_at_the_end(sizes: ModelSizes, precision: str, rank: int = 0) -> int:
    """Return the bytes that the last norm keeps of each token, and the last states themselves."""
    return _norm(sizes.hidden, precision, readers=1, trains=not rank) + 4


def kept_by_layers(sizes: ModelSizes, precision: str, recompute: str, rank: int = 0) -> int:
    """Return the bytes that all layers keep of each token; run again, they keep their inputs."""
    if recompute == "none":
        return sizes.layers * kept_by_layer(sizes, precision, rank)
    return sizes.layers * state(sizes, precision) + kept_by_layer(sizes, precision, rank)


def passing(sizes: ModelSizes, precision: str) -> int:
    """Return the bytes of each token that a pass without gradient holds in its widest moment.

    That is where the gated product is made: the layer's input, the sum after its attention and its
    norm, silu(gate), up, and their product.

    Example:
        >>> sizes = ModelSizes(layers=1, hidden=2, inner=4, query=2, key=2, heads=1, vocabulary=9)
        >>> passing(sizes, "fp32")  # 4 * (6 + 12)
        72
    """
    item = 4 if precision == "fp32" else 2
    return 3 * state(sizes, precision) + 3 * item * sizes.inner


def turning(sizes: ModelSizes, precision: str) -> int:
    """Return the bytes of each token that a backward pass holds beside what is kept.

    In the last layer: the gradients of its output and of the gated product.
    """
    item = 4 if precision == "fp32" else 2
    return 2 * state(sizes, precision) + item * sizes.inner


def state(sizes: ModelSizes, precision: str) -> int:
    """Return the bytes of a token's hidden state between two layers."""
    return sizes.hidden * (2 if precision == "bf16" else 4)


def logits_forward(sizes: ModelSizes, counted: int, precision: str) -> int:
    """Return the bytes of logits while log-probabilities are made, some tokens at a time.

    Two tensors of a part: shifted logits and their exponentials; the next part's logits are made
    while both are there.
    """
    part, parts = _parts(sizes, counted)
    following = min(part, counted - part) if parts > 1 else 0
    cast = 1.5 if precision != "fp32" else 1.0
    one = max(1 + cast, 2) if parts == 1 else 2
    return int(4 * sizes.vocabulary * (one * part + cast * following))


def logits_backward(sizes: ModelSizes, counted: int, precision: str) -> int:
    """Return the bytes of logits while their gradient is made: a part, and the next one."""
    part, parts = _parts(sizes, counted)
    following = min(part, counted - part) if parts > 1 else 0
    cast = 1.5 if precision != "fp32" else 1.0
    left = cast if parts == 1 else (0.5 if precision != "fp32" else 1.0)
    return int(4 * sizes.vocabulary * (left * part + cast * following))


def _parts(sizes: ModelSizes, counted: int) -> tuple[int, int]:
    part = min(counted, max(1, LOGITS // sizes.vocabulary))
    return part, -(-counted // part)


def _norm(width: int, precision: str, *, readers: int, trains: bool) -> int:
    """Return the bytes that a norm and the products that read it keep of each token."""
    if precision == "fp32":
        return 4 * width * (1 + trains + (readers > 0))
    if precision == "bf16":
        return width * (4 + 2 * trains + 2 * (readers > 0))
    return width * (4 + 4 * trains + 2 * readers)
