"""What one update does to the probabilities of replies and tokens, and what is said of it."""

import copy
import math
from itertools import islice

import pytest
import torch
from explained import ENVIRONMENT, RATE, the_explanation, the_scene
from small_world import Successor, small_model

from bakeoff import algorithms
from bakeoff.comparisons.explain import repeated
from bakeoff.comparisons.explain.explanation import Explanation, explain, one_update
from bakeoff.comparisons.explain.movement import ReplyMove
from bakeoff.comparisons.explain.scene import MIXED, Scene, found
from bakeoff.comparisons.explain.sentences import summary
from bakeoff.comparisons.explain.side_by_side import NORM, side_by_side
from bakeoff.comparisons.explain.updates import (
    adamw_steps,
    fitted_values,
    gradient,
    lesson,
    moved_by,
)
from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.scoring import token_logps
from bakeoff.types import Algorithm, Batch, Credit


@pytest.fixture
def scene() -> Scene:
    return the_scene()


@pytest.fixture
def seen() -> Explanation:
    return the_explanation()


def updated(scene: Scene, algorithm: Algorithm) -> list[ReplyMove]:
    first = scene.groups[:1]
    learned = lesson(
        algorithm, scene.samples(first), scene.golds(first), scene.language_model.model
    )
    assert learned is not None
    return one_update(scene, algorithm, learned, RATE)[0]


def flipped(algorithm: Algorithm) -> Algorithm:
    """The same with the sign of its advantages wrong."""

    def advantages(batch: Batch) -> Credit:
        return Credit(-algorithm.advantages(batch).adv_BT)

    return algorithm._replace(advantages=advantages)


# -- what is explained


def test_the_first_group_has_both_better_and_worse_replies(scene: Scene) -> None:
    first = scene.groups[0]

    assert MIXED in first.kinds
    assert min(first.rewards) < max(first.rewards)


def test_the_same_seed_gives_the_same_samples(scene: Scene) -> None:
    again = found(scene.language_model, scene.environment, 0, reply_tokens=16)

    assert [group.completions for group in again.groups] == [
        group.completions for group in scene.groups
    ]


def test_an_environment_that_is_never_solved_is_an_error_of_one_line() -> None:
    # the small model writes one of 16 tokens at random, twice: "<digit><end>" is a matter of luck,
    # and the answer of this environment cannot be written in two tokens at all
    class Hopeless(Successor):
        def item(self, index, split):
            item = super().item(index, split)
            return type(item)(item.id, item.prompt, "000000", "000000")

    with pytest.raises(UsageError, match="no item with better and worse replies among 10 items"):
        found(small_model(), Hopeless(), 0, reply_tokens=2)


# -- one update


def test_right_replies_become_likelier_and_wrong_ones_less_likely_under_grpo(scene: Scene) -> None:
    replies = updated(scene, algorithms.make("grpo"))

    assert sum(reply.change for reply in replies if reply.better) > 0.1
    assert sum(reply.change for reply in replies if reply.better is False) < -0.1


def test_the_wrong_sign_moves_them_the_other_way_and_the_sentences_say_so(scene: Scene) -> None:
    right = summary(updated(scene, algorithms.make("grpo")), {}, str)
    wrong = summary(updated(scene, flipped(algorithms.make("grpo"))), {}, str)

    assert "'41', became likelier" in right[0]
    assert "'41', did NOT become likelier" in wrong[0]
    assert "'31', became less likely" in right[1]
    assert "'31', did NOT become less likely" in wrong[1]


def test_the_policy_that_sampled_stays_as_it_is(scene: Scene, seen: Explanation) -> None:
    fresh = load("tiny").model.state_dict()

    for name, weight in scene.language_model.model.state_dict().items():
        assert torch.equal(weight, fresh[name]), name


def test_rejection_sampling_has_the_gradient_of_the_right_replies_alone(scene: Scene) -> None:
    # nothing in rft's loss depends on a wrong reply: what wrong replies lose, they lose because the
    # probabilities at one place add up to 1, or because places share weights
    algorithm, policy = algorithms.make("rft"), scene.language_model.model
    samples = scene.samples(scene.groups[:1])
    right_only = samples.rows((samples.reward_B == 1).nonzero()[:, 0])

    whole = lesson(algorithm, samples, None, policy)
    alone = lesson(algorithm, right_only, None, policy)

    assert whole is not None and alone is not None
    assert torch.equal(
        gradient(algorithm, whole.batch, policy), gradient(algorithm, alone.batch, policy)
    )


def test_wrong_replies_fall_under_rejection_sampling_without_a_pull(scene: Scene) -> None:
    wrong = [reply for reply in updated(scene, algorithms.make("rft")) if not reply.better]

    assert all(token.pull == 0 and token.adv is None for one in wrong for token in one.tokens)
    assert all(reply.change < 0 for reply in wrong)


def test_supervised_learning_makes_the_gold_reply_likelier_without_any_sample(scene: Scene) -> None:
    replies = updated(scene, algorithms.make("sft"))

    gold = next(reply for reply in replies if reply.text == scene.groups[0].item.gold)
    assert gold.change > 0
    assert all(token.adv is None for reply in replies for token in reply.tokens)


def test_an_algorithm_that_keeps_nothing_is_an_error_of_one_line(scene: Scene) -> None:
    with pytest.raises(UsageError, match=r"rft:right=2 keeps none of the replies"):
        explain(scene, "rft:right=2", environment=ENVIRONMENT, seed=0, rate=RATE)


def test_a_fitted_critic_tells_the_token_at_which_it_was_decided(scene: Scene) -> None:
    # of the replies to the first item 1 in 8 is right, so the value before the first token is
    # near 1/8; after it all is decided: near 1 after the right one, near 0 after the wrong one
    samples = scene.samples(scene.groups[:1])
    assert float(samples.reward_B.sum()) == 1
    plan = algorithms.make("ppo").critic
    assert plan is not None

    batch = fitted_values(samples, scene.language_model.model, plan)

    assert batch.value_BT is not None
    right = samples.reward_B == 1
    assert batch.value_BT[:, 0].tolist() == pytest.approx([1 / 8] * 8, abs=0.05)
    assert batch.value_BT[right, 1].tolist() == pytest.approx([1.0], abs=0.1)
    assert batch.value_BT[~right, 1].tolist() == pytest.approx([0.0] * 7, abs=0.1)


# -- several steps on one batch


def test_tokens_lose_their_gradient_exactly_when_their_ratio_passes_the_clip(
    seen: Explanation,
) -> None:
    stopped = 0
    for one in seen.repeated.watched:
        for ratio, stop in zip(one.ratio_N, one.stopped_N, strict=True):
            assert stop == (ratio > 1.2 if one.adv > 0 else ratio < 0.8)
            stopped += stop

    assert stopped > 0


def test_without_a_ratio_no_token_loses_its_gradient(scene: Scene) -> None:
    algorithm = algorithms.make("reinforce")
    first = scene.samples(scene.groups[:1])
    learned = lesson(algorithm, first, None, scene.language_model.model)
    assert learned is not None

    steps = repeated.repeat(scene, algorithm, learned, 1e-5, str)

    assert set(steps.stopped_N) == {0.0}
    assert "no token lost its gradient" in next(repeated.sentences(steps))


def test_the_steps_are_those_of_training(scene: Scene) -> None:
    # AdamW's first step moves each weight by the rate, whatever the length of its gradient, but for
    # those whose gradient is nearly 0
    algorithm = algorithms.make("grpo")
    policy = copy.deepcopy(scene.language_model.model)
    learned = lesson(algorithm, scene.samples(scene.groups[:1]), None, policy)
    assert learned is not None
    list(islice(adamw_steps(algorithm, learned.batch, policy, RATE), 2))

    before = torch.nn.utils.parameters_to_vector(scene.language_model.model.parameters())
    after = torch.nn.utils.parameters_to_vector(policy.parameters())
    moved_by_rate = ((after - before).abs() / RATE).detach()

    assert float(moved_by_rate.max()) == pytest.approx(1.0, rel=1e-3)


# -- side by side


def test_a_step_has_the_length_that_was_asked_for(scene: Scene) -> None:
    policy = scene.language_model.model
    direction = torch.ones(sum(p.numel() for p in policy.parameters()))

    moved_policy = moved_by(policy, direction, NORM)

    before = torch.nn.utils.parameters_to_vector(policy.parameters())
    after = torch.nn.utils.parameters_to_vector(moved_policy.parameters())
    step = (after - before).detach()
    assert float(step.norm()) == pytest.approx(NORM, rel=1e-3)
    assert float(step.max()) < 0  # against the gradient


def test_only_losses_with_a_term_for_wrong_replies_are_said_to_have_one(seen: Explanation) -> None:
    assert dict(zip(seen.sides.names, seen.sides.wrong_A, strict=True)) == {
        "sft": False,
        "rft": False,
        "reinforce": True,
        "grpo": True,
        "ppo": True,
    }


def test_groups_of_equal_scores_give_grpo_nothing(seen: Explanation) -> None:
    # the group's mean is each reply's own score: all advantages are 0
    grpo = seen.sides.names.index("grpo")
    equal = [g for g, kind in enumerate(seen.sides.kinds) if kind]

    assert len(equal) == 2
    assert [seen.sides.share_GA[g][grpo] for g in equal] == [0.0, 0.0]


def test_supervised_learning_helps_most_where_no_sample_was_right(seen: Explanation) -> None:
    # no sample of that item tells what is right: only the gold reply does
    unsampled = next(r for r, row in enumerate(seen.sides.rows) if not row.copies)
    change_A = seen.sides.change_RA[unsampled]

    assert max(change_A) == change_A[seen.sides.names.index("sft")]


def test_an_algorithm_that_learns_nothing_moves_nothing(scene: Scene) -> None:
    silent = algorithms.make("rft:right=2")

    sides = side_by_side(scene, {"silent": silent}, lambda text: None)

    assert sides.norm_A == (0.0,)
    assert {change for row in sides.change_RA for change in row} == {0.0}
    assert math.isnan(sides.cosine_AA[0][0])


def test_log_probabilities_shown_are_those_of_the_samples(scene: Scene, seen: Explanation) -> None:
    # the sampler wrote down what it drew with; the table's "before" must be the same numbers
    sampled = {one.text: math.fsum(one.logprobs) for one in scene.groups[0].completions}

    assert {reply.text: reply.before for reply in seen.replies} == pytest.approx(sampled, abs=1e-4)
    first = scene.samples(scene.groups[:1])
    with torch.no_grad():
        logp_B = token_logps(scene.language_model.model, first)[0].sum(1)
    assert sorted({round(x, 4) for x in logp_B.tolist()}) == pytest.approx(
        sorted(sampled.values()), abs=1e-3
    )
