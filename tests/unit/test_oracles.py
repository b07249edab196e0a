"""The recording of other libraries is used in full; what is left out has a reason."""

from __future__ import annotations

import fnmatch

from oracle_records import RECORDS
from test_oracles_advantages import ADVANTAGES, BANDITS
from test_oracles_kl import ESTIMATORS, GRADIENTS
from test_oracles_losses import CASES

LEFT_OUT = {
    "loss/verl_only/gmpo": "each token's log-ratio is clipped by the sign of its advantage before "
    "the geometric mean is taken: a ratio level does not see advantages",
    "loss/verl_only/dppo_tv": "a mask by the difference of probabilities: no preset has it",
    "loss/trl_only/vespo": "a gamma-shaped weight of the sequence's ratio: no preset has it",
    "loss/prime_only/default(dppo+kl)": "DPPO's mask and a squared log-ratio: no preset has it",
    "logprob_maxerr/*": "errors of log-probabilities of logits that were not recorded",
    "entropy_maxerr/*": "errors of entropies of logits that were not recorded",
    "real_import/verl": "not a number: whether the library could be imported",
    "input/index": "names of the groups: the first and the last four rows",
}


def test_every_record_is_here_or_left_out_for_a_reason() -> None:
    left_out = {name for pattern in LEFT_OUT for name in fnmatch.filter(RECORDS["names"], pattern)}

    assert set(RECORDS["names"]) - set(RECORDS) == left_out


def test_no_reason_is_given_for_what_was_never_recorded() -> None:
    unused = [pattern for pattern in LEFT_OUT if not fnmatch.filter(RECORDS["names"], pattern)]

    assert unused == []


def test_every_record_that_is_here_is_compared() -> None:
    """Of the kinds whose tests choose by name; the others' tests run over what there is."""
    compared = {
        "adv": set(ADVANTAGES),
        "bandit_G8_weight_var": set(BANDITS),
        "kl_grad_err": set(GRADIENTS),
        "loss": {name.removeprefix("loss/") for _, name in CASES},
    }
    for kind, known in compared.items():
        recorded = {name.split("/", 1)[1] for name in RECORDS if name.startswith(f"{kind}/")}
        assert known == recorded
    assert {name.split("/")[2] for name in RECORDS if name.startswith("kl_mean/")} == set(
        ESTIMATORS
    )
