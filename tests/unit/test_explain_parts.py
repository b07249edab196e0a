"""Why a token moves against its pull, and where a surrogate has no gradient: pure functions."""

import math

import pytest
import torch

from bakeoff.algorithms.surrogates import cispo, clipped, log_probability, sapo
from bakeoff.comparisons.explain.curves import curve, ratios, stops
from bakeoff.comparisons.explain.movement import ReplyMove, TokenMove
from bakeoff.comparisons.explain.reasons import (
    CANCEL,
    COUPLED,
    COUPLED_ONLY,
    OTHERS,
    SHARED_TOKEN,
    WEIGHTS,
    reason,
    softmax_change,
)
from bakeoff.comparisons.explain.sentences import summary

# -- why a token moved against its pull: places of three tokens, with probabilities 1/2, 1/4, 1/4

PLACE = (7,)
LOGP_V = torch.tensor([0.5, 0.25, 0.25]).log()


def moved(token_id: int, pull: float, change: float) -> TokenMove:
    return TokenMove(token_id, PLACE, math.copysign(1.0, pull), pull, -1.0, -1.0 + change)


def test_the_step_on_one_places_logits_is_that_of_autograd() -> None:
    # d log p = J J^T c, with J the Jacobian of log-softmax: the definition, by autograd
    pulls = {0: 0.7, 2: -1.3}
    logits_V = LOGP_V.double().requires_grad_()
    objective = sum(pull * logits_V.log_softmax(0)[token] for token, pull in pulls.items())
    (step_V,) = torch.autograd.grad(objective, logits_V)
    jacobian_VV = torch.autograd.functional.jacobian(lambda z_V: z_V.log_softmax(0), logits_V)

    found = [softmax_change(LOGP_V, pulls, token) for token in range(3)]

    assert found == pytest.approx((jacobian_VV @ step_V).tolist(), rel=1e-5)


def test_a_token_of_a_better_reply_may_fall_with_the_worse_ones_that_share_it() -> None:
    token = moved(0, pull=+0.1, change=-0.5)

    assert reason(token, {PLACE: {0: 0.1 - 0.4}}, LOGP_V) == OTHERS


def test_a_token_may_gain_what_harder_pushed_ones_lose() -> None:
    # pushed down by 0.1 itself while token 0 is pushed down by 1: at the place's own logits
    # d z = (-1 + 0.55, 0.275, -0.1 + 0.275) = (-0.45, 0.275, 0.175), mean -0.1125: token 2 gains
    token = moved(2, pull=-0.1, change=+0.2)

    assert reason(token, {PLACE: {0: -1.0, 2: -0.1}}, LOGP_V) == COUPLED


def test_a_token_that_nobody_pulls_gains_what_others_lose() -> None:
    token = moved(1, pull=0.0, change=+0.2)

    assert reason(token, {PLACE: {0: -1.0}}, LOGP_V) == COUPLED_ONLY


def test_a_left_out_reply_rises_with_its_beginning_that_another_shares() -> None:
    token = moved(0, pull=0.0, change=+0.2)

    assert reason(token, {PLACE: {0: 1.0}}, LOGP_V) == SHARED_TOKEN


def test_pulls_that_cancel_on_a_shared_token_explain_nothing_there() -> None:
    token = moved(0, pull=+0.5, change=-0.01)

    assert reason(token, {PLACE: {0: 0.5 - 0.5}}, LOGP_V) == CANCEL


def test_what_the_place_itself_does_not_explain_is_put_down_to_the_weights() -> None:
    # the only pull at the place is the token's own, upwards; it fell
    token = moved(0, pull=+0.5, change=-0.01)

    assert reason(token, {PLACE: {0: 0.5}}, LOGP_V) == WEIGHTS


def test_a_token_that_moved_the_other_way_is_named_with_its_reason() -> None:
    token = moved(2, pull=-0.1, change=+0.2)
    reply = ReplyMove("wrong", 1, 0.0, False, (token,))

    sentences = summary([reply], {token: COUPLED}, lambda token_id: f"<{token_id}>")

    assert f"moved against its own pull: {COUPLED}." in sentences[-1]
    assert "'<2>' (token 1 of 'wrong', 36.8 % to 44.9 %)" in sentences[-1]


def test_replies_too_unlikely_for_a_float_have_their_sentence() -> None:
    # exp(-1000) is 0 in float64, and has no logarithm
    token = TokenMove(0, PLACE, -1.0, -1.0, -1000.0, -1001.0)
    replies = [ReplyMove(text, 1, 0.0, False, (token,)) for text in "ab"]

    assert summary(replies, {}, str)[0].endswith("Together they had <0.1 % before, <0.1 % after.")


# -- surrogates


@pytest.mark.parametrize("low, high, dual", [(0.2, 0.2, None), (0.2, 0.28, None), (0.2, 0.2, 3.0)])
def test_a_clip_stops_the_gradient_exactly_where_it_says(
    low: float, high: float, dual: float | None
) -> None:
    # min(r A, clamp(r) A) is flat for A > 0 above 1 + high and for A < 0 below 1 - low, and with a
    # dual clip above c; elsewhere it is r A, whose derivative by log r is r A
    ratio_N = ratios()
    bound_N = torch.stack([(ratio_N - edge).abs() for edge in (1 - low, 1 + high, dual or 9.0)])
    inside_N = bound_N.amin(0) > 1e-9  # at an edge itself both are right
    for adv in (1.0, -1.0):
        flat_N = ratio_N > 1 + high if adv > 0 else ratio_N < 1 - low
        if dual is not None and adv < 0:
            flat_N = flat_N | (ratio_N > dual)
        expected_N = torch.where(flat_N, 0.0, ratio_N * adv)

        pull_N = curve(clipped(low, high, dual), adv, ratio_N).pull_N

        assert pull_N[inside_N].tolist() == pytest.approx(expected_N[inside_N].tolist(), abs=1e-12)


@pytest.mark.parametrize(
    "surrogate", [log_probability, clipped(0.2, 0.2, 3.0), cispo(2.0), sapo(1.0, 1.05)]
)
def test_at_a_ratio_of_1_every_surrogate_pulls_with_the_advantage(surrogate: object) -> None:
    ratio_N = torch.tensor([1.0], dtype=torch.float64)

    assert curve(surrogate, -0.7, ratio_N).pull_N.tolist() == pytest.approx([-0.7])


@pytest.mark.parametrize("surrogate", [log_probability, clipped(0.2, 0.28, 3.0), sapo(1.0, 1.05)])
@pytest.mark.parametrize("adv", [1.0, -1.0])
def test_the_drawn_objective_is_the_surrogate_itself_where_nothing_is_detached(
    surrogate: object, adv: float
) -> None:
    # the integral of the gradient is the function up to a constant, but for the trapezoids' error
    ratio_N = ratios()
    loss_N, _ = surrogate(ratio_N, ratio_N.log(), torch.full_like(ratio_N, adv))
    at_one = int((ratio_N - 1).abs().argmin())

    gain_N = curve(surrogate, adv, ratio_N).gain_N

    assert gain_N.tolist() == pytest.approx((loss_N[at_one] - loss_N).tolist(), abs=0.01)


def test_cispo_and_sapo_never_stop_the_gradient() -> None:
    for surrogate in (cispo(2.0), sapo(1.0, 1.05)):
        assert {stops(surrogate, adv) for adv in (1.0, -1.0)} == {"nowhere"}
