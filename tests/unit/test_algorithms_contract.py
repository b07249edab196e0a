"""The contract of every algorithm, and that each of its checks finds what it is there for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.advantages import group_mean, per_token
from bakeoff.algorithms.checking import check
from bakeoff.algorithms.checking.bandit import SEEDS, earned_by
from bakeoff.algorithms.checking.checkup import LEARNS, MANIFEST
from bakeoff.algorithms.checking.claims import CLAIMS, manifest_is_whole
from bakeoff.algorithms.manifest import silent_without_advantage
from bakeoff.checkup import HINT
from bakeoff.types import Algorithm, Batch, Credit, Metrics

VARIANTS = [
    "grpo:scale_by_std=false:kl_coef=0.1:kl=k3_weighted",
    "grpo:aggregate=sequence_sum:epochs=3",
    "grpo:mismatch=token_truncated",
    "grpo:mismatch=sequence_masked:mismatch_cap=1.5",
    "reinforce:baseline=no_baseline",
    "reinforce:baseline=leave_one_out:drop_truncated=true",
    "reinforce++:gamma=0.9:kl_coef=0.05",
    "rloo:kl_coef=0.05:mismatch=sequence_truncated",
    "cispo:cap=2:floor=0.5:mismatch=token_masked",
    "ppo:lam=0.9:gamma=0.95:bootstrap=true",
    "ppo:critic=shared:critic_warmup=3:kl_coef=0.05",
    "vapo:imitation_coef=0:critic=lora",
]


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("spec", [*ALGORITHMS, *VARIANTS])
def test_every_algorithm_keeps_the_contract(spec: str, claim: str) -> None:
    assert CLAIMS[claim](make(spec)) == ""


@pytest.mark.parametrize("spec", [*ALGORITHMS, *VARIANTS])
def test_every_algorithm_says_what_it_computes(spec: str) -> None:
    assert manifest_is_whole(make(spec)) == ""


@pytest.mark.parametrize(
    ("spec", "seed"),
    [*itertools.product(ALGORITHMS, SEEDS), *((spec, SEEDS[0]) for spec in VARIANTS)],
)
def test_every_algorithm_learns_the_bandit(spec: str, seed: int) -> None:
    before, after = earned_by(make(spec), seed)

    # two tokens of three, chosen evenly: 1/3 * 1/3
    assert before == pytest.approx(1 / 9)
    assert after > 0.8


SOUND = make("reinforce:baseline=group_mean")


def surrogate(batch: Batch, logp_BT: Tensor) -> Tensor:
    assert batch.weight_BT is not None and batch.adv_BT is not None
    return -batch.weight_BT * batch.adv_BT * logp_BT


def losing(
    loss: Callable[[Batch, Tensor], Tensor], sums: Callable[[Batch], Metrics] | None = None
) -> Algorithm:
    """A sound algorithm, but for its loss or its metrics."""

    def policy_loss(batch: Batch, logp_BT: Tensor) -> tuple[Tensor, Metrics]:
        return loss(batch, logp_BT), {} if sums is None else sums(batch)

    return SOUND._replace(policy_loss=policy_loss)


def crediting(adv_of: Callable[[Batch], Tensor]) -> Algorithm:
    """A sound algorithm, but for its advantages."""
    return SOUND._replace(advantages=lambda batch: Credit(adv_of(batch)))


def centred_B(batch: Batch) -> Tensor:
    return (batch.reward_B - group_mean(batch.reward_B, batch.group_B)).float()


def wrong_sign(batch: Batch, logp_BT: Tensor) -> Tensor:
    return -surrogate(batch, logp_BT).sum()


def missing_detach(batch: Batch, logp_BT: Tensor) -> Tensor:
    # the gradient of r A log pi is A (1 + log pi) at r = 1: of the wrong sign below log pi = -1
    ratio_BT = ((logp_BT - batch.logp_old_BT) * batch.mask_BT).clamp(-20, 20).exp()
    return (ratio_BT * surrogate(batch, logp_BT)).sum()


def mean_of_the_piece(batch: Batch, logp_BT: Tensor) -> Tensor:
    return surrogate(batch, logp_BT).sum() / len(batch.reward_B)


def without_weights(batch: Batch, logp_BT: Tensor) -> Tensor:
    assert batch.adv_BT is not None
    return -(batch.adv_BT * logp_BT).sum() / 100


def sum_over_observations(batch: Batch, logp_BT: Tensor) -> Tensor:
    total_B1 = (logp_BT - batch.logp_old_BT).clamp(-20, 20).sum(1, keepdim=True)
    return (total_B1.clamp(-20, 20).exp().detach() * surrogate(batch, logp_BT)).sum()


def a_pull_on_all(batch: Batch, logp_BT: Tensor) -> Tensor:
    # too weak to raise what has a negative advantage, and there where the advantage is 0
    assert batch.weight_BT is not None
    return surrogate(batch, logp_BT).sum() - 0.01 * (batch.weight_BT * logp_BT).sum()


def unbounded_ratio(batch: Batch, logp_BT: Tensor) -> Tensor:
    ratio_BT = ((logp_BT - batch.logp_old_BT) * batch.mask_BT).exp()
    return (ratio_BT.detach() * surrogate(batch, logp_BT)).sum()


def writes_to_the_log_probabilities(batch: Batch, logp_BT: Tensor) -> Tensor:
    loss = surrogate(batch, logp_BT).sum()
    logp_BT.data.mul_(1.0 + 1e-3)
    return loss


def changes_the_rewards(batch: Batch) -> Tensor:
    adv_BT = per_token(centred_B(batch), batch.mask_BT)
    batch.reward_B.sub_(0.5)
    return adv_BT


def over_the_width(batch: Batch) -> Tensor:
    return per_token(centred_B(batch), batch.mask_BT) / batch.mask_BT.shape[1]


def by_the_place(batch: Batch) -> Tensor:
    place_B = torch.arange(len(batch.reward_B))
    return per_token(centred_B(batch) * (1 + place_B), batch.mask_BT)


def of_learned_baseline(batch: Batch) -> Tensor:
    scale = torch.nn.Parameter(torch.ones(()))
    return per_token(centred_B(batch) * scale, batch.mask_BT)


def without_eps(batch: Batch) -> Tensor:
    # the deviation of a group without spread is 0, and so is the numerator: 0 / 0
    deviation_B = centred_B(batch)
    return per_token(deviation_B / group_mean(deviation_B**2, batch.group_B).sqrt(), batch.mask_BT)


@dataclass
class Growing:
    """Credit that is larger each time it is asked."""

    calls: int = 0

    def __call__(self, batch: Batch) -> Credit:
        self.calls += 1
        return Credit(per_token(centred_B(batch) * self.calls, batch.mask_BT))


def no_spread_is_not_dropped(batch: Batch) -> Tensor:
    return torch.zeros(len(batch.reward_B))


def largest_reward(batch: Batch) -> Metrics:
    return {"reward/max": float(batch.reward_B.max())}


REFERENCE = make("grpo:kl_coef=0.1")
CRITIC = make("ppo")
FAULTY: dict[str, tuple[Algorithm, str]] = {
    "the wrong sign": (losing(wrong_sign), "better replies gain, worse ones do not"),
    "a missing detach": (losing(missing_detach), "better replies gain, worse ones do not"),
    "a mean over the micro-batch": (losing(mean_of_the_piece), "micro-batches change nothing"),
    "no weights": (losing(without_weights), "the loss is a weighted sum"),
    "a sum over observations": (losing(sum_over_observations), "what is masked is not read"),
    "an unbounded ratio": (losing(unbounded_ratio), "extreme log-ratios stay finite"),
    "log-probabilities written to": (
        losing(writes_to_the_log_probabilities),
        "nothing is changed in place",
    ),
    "rewards written to": (crediting(changes_the_rewards), "nothing is changed in place"),
    "credit over the padded width": (crediting(over_the_width), "padding changes nothing"),
    "credit by the row's place": (crediting(by_the_place), "the order of rows changes nothing"),
    "a gradient in the advantage": (
        crediting(of_learned_baseline),
        "credit carries no gradient",
    ),
    "a division by no spread": (
        crediting(without_eps),
        "batches of little or nothing stay finite",
    ),
    "credit of padding": (
        crediting(lambda batch: centred_B(batch)[:, None].expand(batch.mask_BT.shape)),
        "credit is finite, and 0 where nothing counts",
    ),
    "credit by completion": (
        crediting(centred_B),
        "credit is finite, and 0 where nothing counts",
    ),
    "credit that remembers": (
        SOUND._replace(advantages=Growing()),
        "the same batch gives the same result",
    ),
    "a metric that is no sum": (
        losing(lambda batch, logp_BT: surrogate(batch, logp_BT).sum(), largest_reward),
        "metrics are sums over tokens",
    ),
    "a mark on a loss that is not silent": (
        SOUND._replace(policy_loss=silent_without_advantage(losing(a_pull_on_all).policy_loss)),
        "no advantage, no gradient, where it says so",
    ),
    "a filter that is no mask": (
        SOUND._replace(keep=no_spread_is_not_dropped),
        "an update runs on the fields it asks for",
    ),
    "a reference it does not ask for": (
        REFERENCE._replace(needs_reference=False),
        "an update runs on the fields it asks for",
    ),
    "a critic without a target": (
        CRITIC._replace(
            advantages=lambda batch: Credit(per_token(centred_B(batch), batch.mask_BT))
        ),
        "credit is finite, and 0 where nothing counts",
    ),
}


def test_the_algorithm_that_the_faulty_ones_are_made_of_is_sound() -> None:
    assert check(losing(lambda batch, logp_BT: surrogate(batch, logp_BT).sum())).passed


@pytest.mark.parametrize("fault", FAULTY)
def test_each_fault_fails_the_check_that_is_meant_for_it_and_no_other(fault: str) -> None:
    algorithm, claim = FAULTY[fault]

    assert [failed.name for failed in check(algorithm).failures] == [claim]


def test_every_claim_has_a_fault_that_fails_it() -> None:
    assert {claim for _, claim in FAULTY.values()} == set(CLAIMS)


def test_a_fault_is_a_sentence_with_what_to_do() -> None:
    algorithm, _ = FAULTY["an unbounded ratio"]

    (failed,) = check(algorithm).failures

    assert failed.detail.startswith("at log-ratios of +-120 ")
    assert failed.detail.endswith("bound the log-ratio before exp")


def test_what_does_not_learn_is_found() -> None:
    # a loss that is flat on every token but the first: the direction is right, and not enough
    def half(batch: Batch, logp_BT: Tensor) -> Tensor:
        keep_T = (torch.arange(logp_BT.shape[1]) == 0).float()
        return (surrogate(batch, logp_BT) * keep_T).sum()

    (failed,) = check(losing(half)).failures

    # the second token stays at 1/3, the first reaches 1
    assert failed.name == LEARNS
    assert "from 0.11 to 0.3" in failed.detail


def test_a_manifest_of_ones_own_is_a_hint_and_of_a_preset_a_must() -> None:
    claims = {claim.name: claim for claim in check(SOUND._replace(semantics={})).claims}

    assert claims[MANIFEST].state == HINT
    assert "does not say: data, advantage" in claims[MANIFEST].detail


def test_a_manifest_that_is_no_json_is_a_fault() -> None:
    (failed,) = check(SOUND._replace(semantics={"advantage": torch.ones(1)})).failures

    assert failed.name == MANIFEST


def test_an_error_of_ones_own_code_is_a_fault_and_not_a_traceback() -> None:
    def wrong(batch: Batch) -> Tensor:
        raise KeyError("reward")

    checkup = check(crediting(wrong))

    assert [(claim.name, claim.detail) for claim in checkup.failures] == [
        ("credit is finite, and 0 where nothing counts", "KeyError: 'reward'")
    ]
    assert checkup.claims[1].state == "not tried"
