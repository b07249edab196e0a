"""The correction for a sampler that differs from the training model, on its way into the loss."""

from __future__ import annotations

import torch
from several_turns import SMALL
from small_world import Successor, small_model, small_training
from torch import Tensor

from bakeoff.algorithms import make
from bakeoff.algorithms.stages import credited
from bakeoff.training.batch import collate
from bakeoff.training.loop import Training
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.types import Credit, Item, Score


class Digits(Successor):
    """Pays a reply by its first character, so that every group has spread."""

    def score(self, item: Item, reply: str) -> Score:
        return Score(("0123456789?".index(reply[0]) + 1) / 16 if reply else 0.0)


def trained(weight: float | None) -> dict[str, Tensor]:
    """The weights after an update of GRPO whose correction is one number for all tokens."""

    def mismatch(log_ratio_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return torch.full_like(log_ratio_BT, weight or 0.0)

    training: Training = small_training("grpo", environment=Digits(), updates=1, minibatches=1)
    if weight is not None:
        training.learner.algorithm = make("grpo")._replace(mismatch=mismatch)
    list(training.run())
    return dict(training.learner.policy.state_dict())


def test_advantages_are_multiplied_by_the_correction_and_returns_are_not() -> None:
    completions = sampler_of(SMALL).sample([(4, 13)], 2, Decoding(max_new_tokens=2), 0)
    batch = collate(completions, [0.0, 1.0], [0, 0], limit=2, pad_id=0)
    correction_BT = torch.tensor([[2.0, 0.5], [0.0, 1.0]])
    credit = Credit(torch.full((2, 2), 3.0), torch.full((2, 2), 5.0))
    algorithm = make("grpo")._replace(advantages=lambda batch: credit)

    corrected = credited(algorithm, batch._replace(correction_BT=correction_BT))
    plain = credited(algorithm, batch)

    assert corrected.adv_BT is not None and plain.adv_BT is not None
    assert corrected.adv_BT.tolist() == [[6.0, 1.5], [0.0, 3.0]]
    assert plain.adv_BT.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert corrected.return_BT is credit.return_BT


def test_a_correction_of_nothing_to_all_tokens_leaves_the_policy_as_it_was() -> None:
    initial = small_model(0).model.state_dict()

    torch.testing.assert_close(trained(0.0), initial, rtol=0, atol=0)
    assert any(not torch.equal(trained(None)[key], initial[key]) for key in initial)


def test_a_correction_of_one_changes_nothing() -> None:
    # one model samples and learns: its log-probabilities are the sampler's but for rounding
    torch.testing.assert_close(trained(1.0), trained(None), rtol=0, atol=1e-4)
