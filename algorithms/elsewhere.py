"""What a name means in other libraries, where that is not what it means here.

Facts come from the libraries' sources at the versions named, and most of them were confirmed by
running the libraries' own functions. A library that is not listed under a name has it as it is
here, or not at all, or was not read for it.
"""

from __future__ import annotations

TRL, VERL, OPENRLHF = "TRL 1.16.0", "verl 0.9.1", "OpenRLHF 0.11.2"
SKYRL, NEMO, OPEN_INSTRUCT = "SkyRL a956457", "NeMo-RL 7ea279a", "open-instruct e6c3044"

_ADVANTAGE_ONLY = "only the advantage: the loss is PPO's clip per token, a mean over tokens"
_VERL_DEFAULT = "the loss is PPO's clip with a dual clip at 3, a mean over tokens, unless it is set"

ELSEWHERE: dict[str, dict[str, str]] = {
    "reinforce": {
        OPENRLHF: "its 'reinforce' is REINFORCE++: returns whitened over tokens, PPO's clip",
    },
    "reinforce++": {
        TRL: "not there; RLOO with normalize_advantages whitens completions and not tokens",
        VERL: f"whitened as here; {_VERL_DEFAULT}",
        OPENRLHF: "called 'reinforce'; whitened with ddof 0; k1 of 0.01 in the reward by default",
        NEMO: "whitened with ddof 0",
    },
    "reinforce++-baseline": {
        TRL: "not there",
        VERL: f"the same advantage; {_VERL_DEFAULT}",
        OPENRLHF: "called 'reinforce_baseline'",
    },
    "rloo": {
        TRL: "clips the ratio of the whole completion at 1 +- 0.2; k1 of 0.05 in the reward",
        VERL: f"{_ADVANTAGE_ONLY}; a group of one keeps its raw reward, or gets 0 if vectorized",
        OPENRLHF: _ADVANTAGE_ONLY,
        SKYRL: _ADVANTAGE_ONLY,
    },
    "remax": {
        TRL: "not there",
        VERL: f"the same advantage; {_VERL_DEFAULT}",
        OPENRLHF: "not there",
    },
    "grpo": {
        TRL: "a mean over tokens (loss_type 'dapo') by default; std + 1e-4; KL, if on, is ratio * "
        "k3; completions beyond a ratio of 3 to vLLM's are masked",
        VERL: "a mean over tokens and a dual clip at 3 by default; a group of one keeps its raw "
        "reward",
        OPENRLHF: "called 'group_norm'; a mean over tokens; std + 1e-9; k1 of 0.01 in the reward, "
        "and rewards cut at +-10, by default",
        SKYRL: "k3 of 0.001 in the loss by default",
        NEMO: "mean and std leave the completion itself out; a group of two is not divided",
        OPEN_INSTRUCT: "no std by default, else ddof 0 and 1e-8; clip 0.2 and 0.272; k3 of 0.05 "
        "in the loss",
    },
    "dr_grpo": {
        TRL: "loss_type='dr_grpo' keeps the division by the std, unless scale_rewards is False",
        VERL: "two settings: norm_adv_by_std_in_grpo=False and seq-mean-token-sum-norm; the "
        "constant is the padded width unless loss_scale_factor is set",
        OPENRLHF: "'dr_grpo' is only the advantage: the loss stays a mean over tokens",
    },
    "dapo": {
        TRL: "loss_type='dapo' is only the mean over tokens; there is no dynamic sampling, the "
        "clip is 0.2 on both sides unless epsilon_high is set, the penalty is a reward function",
        VERL: "clip_ratio_high, filter_groups and overlong_buffer are set one by one; the penalty "
        "has no floor of -1; a dual clip at 3 is always on",
        OPENRLHF: "clip, filter and overlong buffer are set one by one",
        NEMO: "the penalty has no floor of -1",
    },
    "gspo": {
        TRL: "importance_sampling_level='sequence' with loss_type='grpo'; the clip is 0.2 unless "
        "it is set, and never acts then",
        VERL: "loss_mode='gspo'; the clip is 0.2, and the aggregation a mean over tokens, unless "
        "they are set",
        OPENRLHF: "the clip is 0.2 unless it is set",
    },
    "cispo": {
        TRL: "the cap is epsilon_high, absolute as here, and 0.2 by default: the gradient of the "
        "first step is 0.2 times REINFORCE's then",
        VERL: "the cap is 1 + 0.2 by default, with a floor at 1 - 0.2",
        OPENRLHF: "not there",
        NEMO: "the cap is 1 + eps, with a floor at 1 - eps",
        OPEN_INSTRUCT: "the cap is 1 + eps",
    },
    "sapo": {
        OPENRLHF: "not there",
    },
    "opo": {
        TRL: "not there",
        VERL: f"the same advantage; {_VERL_DEFAULT}",
        OPENRLHF: "not there",
    },
    "gpg": {
        TRL: "not there",
        VERL: "alpha counts the rewards that are not 0, not the completions in groups with spread",
        OPENRLHF: "not there",
    },
    "maxrl": {
        TRL: "not there",
        VERL: "not there",
        OPENRLHF: "not there",
    },
    "ppo": {
        TRL: "removed (#7020)",
        VERL: "a dual clip at 3 is always on; values clipped at 0.5",
        OPENRLHF: "values clipped at 0.5; k1 of 0.01 in the reward by default; GAE does not step "
        "over observations, which shows where gamma or lambda is below 1",
        SKYRL: "the value loss is a mean of the completions' means",
        NEMO: "lambda 0.95; clip 0.2 and 0.28, a dual clip at 10; four passes",
    },
    "vapo": {
        TRL: "not there",
        VERL: "not there; a critic can be warmed up (critic_warmup)",
        OPENRLHF: "not there; the policy can be frozen at first (freezing_steps)",
        NEMO: "its parts are settings of PPO, with the same alpha and imitation",
    },
}
"""For each name, what other libraries make of it, by library and version."""


def elsewhere(name: str) -> dict[str, str]:
    """Return what other libraries mean by a name, by library; empty if nothing is known.

    Example:
        >>> elsewhere("opo")["OpenRLHF 0.11.2"]
        'not there'
    """
    return ELSEWHERE.get(name, {})
