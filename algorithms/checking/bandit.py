"""The smallest thing to learn: a table of logits, four questions, and two tokens each to get right.

An update takes a few operations on tensors of a few numbers, so that an algorithm shows in a
moment whether it learns. What it earns on average is known exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.checking.trials import Trial, credited, gold
from bakeoff.algorithms.stages import weighted
from bakeoff.types import Algorithm, Batch

ITEMS, TOKENS, VOCABULARY = 4, 2, 3
UPDATES, GROUP, RATE = 30, 8, 0.1
SEEDS = (0, 1, 2)
ENOUGH = 0.5  # what it must earn at the end; at the start it is 1/9


def earned_by(algorithm: Algorithm, seed: int) -> tuple[float, float]:
    """Train a table of logits and return what it earns on average, before and after.

    The updates are those of the training loop: credit once, then two minibatches an epoch. Groups
    that are dropped are not replaced. Both tables learn by Adam, so that the scale of a loss is of
    no account.

    Args:
        algorithm: what it is trained by.
        seed: of what is sampled.

    Example:
        >>> from bakeoff.algorithms.grpo import grpo
        >>> before, after = earned_by(grpo(), 0)
        >>> round(before, 3), after > 0.5
        (0.111, True)
    """
    generator = torch.Generator().manual_seed(seed)
    logits_ITV = torch.zeros(ITEMS, TOKENS, VOCABULARY, requires_grad=True)
    value_IS = torch.zeros(ITEMS, 1 + VOCABULARY, requires_grad=True)
    policy, critic = (torch.optim.Adam([table], lr=RATE) for table in (logits_ITV, value_IS))
    before = _earns(logits_ITV)
    warmup = algorithm.critic.warmup if algorithm.critic is not None else 0
    for update in range(warmup + UPDATES):
        with torch.no_grad():
            trial = credited(algorithm, _sampled(algorithm, logits_ITV, value_IS, generator))
        if trial.batch.adv_BT is None:
            continue
        for rows_B in _minibatches(algorithm, trial, generator):
            mini = weighted(algorithm, trial.batch.rows(rows_B))
            item_B = mini.prompt_BP[:, 0]
            if update >= warmup:
                loss, _ = algorithm.policy_loss(mini, _logp(logits_ITV[item_B], mini.token_BT))
                _step(policy, loss)
            if algorithm.critic is not None:
                _step(
                    critic, algorithm.critic.loss(mini, _values(value_IS, item_B, mini.token_BT))[0]
                )
    return before, _earns(logits_ITV)


def _targets() -> Tensor:
    """Return the right tokens, ``target_IT``: all combinations but for the order."""
    return (torch.arange(ITEMS)[:, None] + torch.tensor([1, 3])) % VOCABULARY


def _earns(logits_ITV: Tensor) -> float:
    """Return the probability of the right reply, averaged over the questions."""
    with torch.no_grad():
        return float(_logp(logits_ITV, _targets()).sum(1).exp().mean())


def _logp(logits_BTV: Tensor, token_BT: Tensor) -> Tensor:
    return logits_BTV.log_softmax(-1).gather(-1, token_BT[..., None])[..., 0]


def _values(value_IS: Tensor, item_B: Tensor, token_BT: Tensor) -> Tensor:
    """Return ``value_BT``: of a question, and of a question with its first token."""
    state_BT = torch.stack([torch.zeros_like(item_B), 1 + token_BT[:, 0]], 1)
    return value_IS[item_B[:, None], state_BT]


def _rewards(token_BT: Tensor, item_B: Tensor) -> Tensor:
    return (token_BT == _targets()[item_B]).all(1).float()


def _sampled(
    algorithm: Algorithm, logits_ITV: Tensor, value_IS: Tensor, generator: torch.Generator
) -> Trial:
    """Return replies to every question, or the right ones if gold is what it learns from."""
    group = 1 if algorithm.on_gold else max(GROUP, algorithm.min_group_size)
    item_B = torch.arange(ITEMS).repeat_interleave(group)
    logits_BTV = logits_ITV[item_B]
    token_BT = torch.multinomial(logits_BTV.softmax(-1).flatten(0, 1), 1, generator=generator).view(
        len(item_B), TOKENS
    )
    if algorithm.on_gold:
        token_BT = _targets()
    logp_BT, value_BT = _logp(logits_BTV, token_BT), _values(value_IS, item_B, token_BT)
    greedy_B = _rewards(logits_BTV.argmax(-1), item_B)
    start_BT = _logp(torch.zeros_like(logits_BTV), token_BT)
    batch = Batch(
        prompt_BP=item_B[:, None],
        prompt_mask_BP=torch.ones(len(item_B), 1),
        token_BT=token_BT,
        mask_BT=torch.ones(token_BT.shape),
        logp_old_BT=logp_BT,
        reward_B=_rewards(token_BT, item_B),
        group_B=item_B,
        truncated_B=torch.zeros(len(item_B)),
        limit_B=torch.full((len(item_B),), 4.0 * TOKENS),
        value_BT=value_BT if algorithm.critic else None,
        value_end_B=torch.zeros(len(item_B)) if algorithm.critic else None,
        logp_ref_BT=start_BT if algorithm.needs_reference else None,
        greedy_reward_B=greedy_B if algorithm.needs_greedy else None,
    )
    if algorithm.on_gold:
        batch = gold(batch)
    return Trial(batch, logp_BT, value_BT, logp_BT)


def _minibatches(algorithm: Algorithm, trial: Trial, generator: torch.Generator) -> list[Tensor]:
    n = len(trial.batch.reward_B)
    orders = [torch.randperm(n, generator=generator) for _ in range(algorithm.epochs)]
    return [rows_B for order_B in orders for rows_B in order_B.tensor_split(2) if len(rows_B)]


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    if loss.requires_grad:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
