"""Which of vLLM's log-probabilities are those that a sampler has to return; no torch, no vLLM.

An engine reports one kind for its whole life. ``raw_logprobs`` are of all tokens at temperature 1,
whatever top-p and top-k leave to draw from. ``processed_logprobs`` are at the sampling temperature,
and of what top-p and top-k leave, renormalised: the gradient is of the full distribution, and the
difference would be a bias of ``-log(the probability kept)`` (vllm#42259, trl#6789). Greedy tokens
have those at temperature 1 either way.
"""

from __future__ import annotations

from bakeoff.errors import UsageError


def logprobs_mode(temperature: float, top_p: float, top_k: int) -> str:
    """Return the kind that is of the full distribution at the sampling temperature.

    Raises:
        UsageError: neither kind is.

    Example:
        >>> logprobs_mode(1.0, 0.9, 0), logprobs_mode(0.7, 1.0, 0)
        ('raw_logprobs', 'processed_logprobs')
    """
    if temperature in (0, 1):
        return "raw_logprobs"
    if top_p < 1 or top_k > 0:
        raise UsageError(
            f"vLLM has no log-probabilities of the full distribution at temperature "
            f"{temperature:g} with top_p or top_k: leave these two out, or set temperature to 1"
        )
    return "processed_logprobs"
