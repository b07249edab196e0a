"""Bytes on CUDA that there are none of on a CPU: masks of attention, the context, NCCL's buffers.

Counted from the code, and **not compared with a GPU**. Where the CPU has a kernel of its own,
torch's ``scaled_dot_product_attention`` gets a mask, and keys that are repeated for each head of
queries (``bakeoff.training.packing.segments.dense``). Assumed is its memory-efficient kernel, which
holds no scores, but the mask as numbers that are added to them.
"""

from __future__ import annotations

import math

from bakeoff.training.memory.sizes import ModelSizes
from bakeoff.training.memory.workload import Lengths, Piece

CONTEXT = 1343 * 10**6
"""Bytes that a process takes of a device before its first tensor.

https://huggingface.co/docs/transformers/model_memory_anatomy, "GPU memory occupied: 1343 MB".
"""

COMMUNICATION = 1060 * 10**6
"""Bytes of NCCL's buffers where there are several ranks.

The largest of the figures reported for a communicator's first collectives: 544 and 688 MB on 4 A100
(https://github.com/NVIDIA/nccl/issues/964), 1.06 GB on 8 H100 before any all-to-all
(https://github.com/NVIDIA/nccl/issues/1685).
"""


def outside_tensors(ranks: int) -> dict[str, int]:
    """Return what a rank takes of its device beside torch's tensors.

    Example:
        >>> outside_tensors(1)
        {'process_baseline': 1343000000, 'unattributed': 0}
    """
    return {"process_baseline": CONTEXT, "unattributed": COMMUNICATION if ranks > 1 else 0}


def kept_by_attention(sizes: ModelSizes, piece: Piece, lengths: Lengths, item: int) -> int:
    """Return what a layer's attention keeps of a piece for its backward pass, beside a CPU's.

    A mask for each prompt with its completions, and keys and values for each head of queries in the
    place of those that several heads share.

    Args:
        sizes: of the model.
        piece: what passes at a time.
        lengths: of prompts and completions.
        item: the bytes of a number.
    """
    repeated = 2 * (sizes.query - sizes.key) * piece.tokens
    return item * (repeated + piece.prompts * _longest(piece, lengths) ** 2)


def made_by_attention(sizes: ModelSizes, piece: Piece, lengths: Lengths, item: int) -> int:
    """Return what a layer's attention holds for a moment: two masks of bytes, one of numbers."""
    repeated = 2 * sizes.query * piece.tokens * item
    return repeated + (2 + item) * _longest(piece, lengths) ** 2


def step_scores(sizes: ModelSizes, running: int, lengths: Lengths) -> int:
    """Return the bytes of the scores of one token of each completion, their softmax and a copy."""
    return 3 * 4 * running * sizes.heads * (lengths.longest_prompt + lengths.completion)


def _longest(piece: Piece, lengths: Lengths) -> int:
    """Return how many tokens of one prompt and its completions stand in a piece."""
    rows = math.ceil(piece.counted / lengths.completion / piece.prompts)
    return lengths.longest_prompt + rows * lengths.completion
