"""Episodes of several turns in the losses: what the environment said is context, and no more."""

from __future__ import annotations

import pytest
import torch
from several_turns import DECODING, SMALL, HigherLower, Relay, Script, played
from small_world import small_training

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.stages import credited, weighted
from bakeoff.training.batch import collate, micro_batches, model_inputs
from bakeoff.training.rollout import rollout
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.scoring import token_logps
from bakeoff.training.statistics import sample_metrics
from bakeoff.types import Batch


def episodes_batch() -> Batch:
    """Sampled episodes of both lengths, with rewards that differ within a group."""
    env = HigherLower()
    items = [env.item(index) for index in range(3)]
    script = Script(SMALL, ["1", "2", "3"] * 2, ["3", "1"] * 2)
    completions = played(env, SMALL, script, [items[1], items[1]], n=3)
    assert sorted(len(c.replies) for c in completions) == [1, 1, 2, 2, 2, 2]
    rewards = [0.0, 1.0, 0.5, 1.0, 0.0, 0.25]
    return collate(completions, rewards, [0, 0, 0, 1, 1, 1], limit=8, pad_id=0)


def loss_gradient(name: str, batch: Batch) -> tuple[torch.Tensor, Batch]:
    """The gradient of an algorithm's loss with respect to the logits that predict each token."""
    algorithm = make(name)
    if algorithm.critic is not None:
        batch = batch._replace(value_BT=torch.rand(batch.mask_BT.shape) * batch.mask_BT)
    if algorithm.needs_greedy:
        batch = batch._replace(greedy_reward_B=torch.full((6,), 0.5))
    batch = weighted(algorithm, credited(algorithm, batch))
    logits_BTV = SMALL.model(**model_inputs(batch)).logits
    logits_BTV = logits_BTV[:, batch.prompt_BP.shape[1] - 1 : -1].detach().requires_grad_()
    logp_BTV = logits_BTV.log_softmax(-1)
    logp_BT = logp_BTV.gather(-1, batch.token_BT[..., None])[..., 0]
    loss, _ = algorithm.policy_loss(batch, logp_BT.masked_fill(batch.mask_BT == 0, 0.0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits_BTV.grad is not None
    return logits_BTV.grad, batch


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_gradient_comes_from_the_tokens_of_an_observation(name: str) -> None:
    torch.manual_seed(0)
    batch = episodes_batch()

    gradient_BTV, batch = loss_gradient(name, batch)

    observed_BT = batch.mask_BT == 0  # and the padding after short episodes
    assert (batch.token_BT[:, 2] != 0).sum() == 4  # what was said in the four longer episodes
    assert (gradient_BTV[observed_BT] == 0).all()
    assert (gradient_BTV[~observed_BT] != 0).any()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_an_observation_says_changes_no_credit_and_no_weight(name: str) -> None:
    batch = episodes_batch()
    observed_BT = (batch.mask_BT == 0) & (batch.token_BT != 0)
    said_otherwise = batch._replace(token_BT=batch.token_BT.masked_fill(observed_BT, 7))
    assert not torch.equal(said_otherwise.token_BT, batch.token_BT)

    torch.manual_seed(0)
    gradient_BTV, one = loss_gradient(name, batch)
    torch.manual_seed(0)
    other_BTV, other = loss_gradient(name, said_otherwise)

    torch.testing.assert_close(one.adv_BT, other.adv_BT, rtol=0, atol=0)
    torch.testing.assert_close(one.weight_BT, other.weight_BT, rtol=0, atol=0)
    assert (other_BTV[observed_BT] == 0).all()
    if name != "gspo":  # whose ratio is of the whole episode, what came after it included
        # the first reply comes before what is said: its terms are the same, to the bit
        torch.testing.assert_close(gradient_BTV[:, :2], other_BTV[:, :2], rtol=0, atol=0)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_observations_are_counted_in_no_mean(name: str) -> None:
    batch = episodes_batch()

    weight_BT = make(name).aggregate(batch.mask_BT, batch.limit_B)
    logp_BT, entropy_BT = token_logps(SMALL.model, batch)

    without_BT = make(name).aggregate(cut(batch), batch.limit_B)
    assert weight_BT.sum().item() == pytest.approx(without_BT.sum().item())
    for values_BT in (weight_BT, logp_BT, entropy_BT):
        assert (values_BT[batch.mask_BT == 0] == 0).all()


def cut(batch: Batch) -> torch.Tensor:
    """The mask of the same episodes with their observations cut out: two or four tokens each."""
    length_B = batch.mask_BT.sum(1, keepdim=True)
    return (torch.arange(4) < length_B).float()


def test_gae_steps_over_observations_from_the_last_reply_to_the_first() -> None:
    batch = episodes_batch()
    ppo = make("ppo:gamma=0.9:lam=0.8")
    torch.manual_seed(0)
    value_BT = torch.rand(batch.mask_BT.shape) * batch.mask_BT
    kept = [0, 1, 3, 4]  # the columns of replies: column 2 is what was said, or padding

    whole = ppo.advantages(batch._replace(value_BT=value_BT))
    short = ppo.advantages(
        batch._replace(value_BT=value_BT[:, kept], mask_BT=batch.mask_BT[:, kept])
    )

    torch.testing.assert_close(whole.adv_BT[:, kept], short.adv_BT, rtol=1e-5, atol=1e-6)
    assert whole.return_BT is not None and short.return_BT is not None
    torch.testing.assert_close(whole.return_BT[:, kept], short.return_BT, rtol=1e-5, atol=1e-6)
    assert (whole.adv_BT[:, 2] == 0).all()


def test_the_sampler_and_the_learner_agree_on_every_reply_of_an_episode() -> None:
    items = [HigherLower().item(index) for index in range(3)]
    episodes, _ = rollout(HigherLower(), SMALL, sampler_of(SMALL), items, 32, DECODING, 0)
    completions = [completion for _, completion in episodes]
    assert any(len(completion.replies) == 2 for completion in completions)
    batch = collate(completions, [0.0] * 96, [0] * 96, limit=8, pad_id=0)

    for micro in micro_batches(batch, 16):
        logp_BT, _ = token_logps(SMALL.model, micro)

        torch.testing.assert_close(logp_BT.detach(), micro.logp_old_BT, rtol=0, atol=1e-5)


def test_lengths_and_counters_are_of_what_the_policy_wrote() -> None:
    training = small_training(environment=Relay(), updates=1, samples_per_update=16)

    *_, report = training.run()

    completions = [sample.completion for sample in report.samples]
    observed = sum(completion.mask.count(0) for completion in completions)
    assert observed > 0
    sampled = [completion.sampled for completion in completions]
    assert sum(sampled) == sum(len(c.token_ids) for c in completions) - observed
    assert report.counters.completion_tokens == sum(sampled)
    metrics = sample_metrics(report.samples, score="reward")
    assert metrics["completions/mean_length"] == pytest.approx(sum(sampled) / 16)


def test_the_limit_of_an_episode_is_that_of_all_its_turns() -> None:
    batch = small_training(environment=HigherLower()).gatherer.gather(0).batch

    # two replies of at most two tokens each
    assert batch is not None
    assert batch.limit_B.tolist() == [4.0] * 16


@pytest.mark.slow  # that an algorithm learns: test_learning.py; what it learns from: above
def test_guessing_higher_and_lower_is_learned() -> None:
    training = small_training(
        environment=HigherLower(),
        updates=100,
        prompts_per_update=6,
        group_size=16,
        learning_rate=2e-3,
    )

    reports = list(training.run())

    # two guesses that do not heed the answer find two secrets of three
    start, end = (report.eval_metrics["score/mean"] for report in (reports[0], reports[-1]))
    assert (start, end) == (0.0, 1.0)
