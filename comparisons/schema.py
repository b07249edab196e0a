"""The columns of every table, in one place; docs/tables.md says what each of them holds.

This module imports nothing heavy: the process that trains a cell and the driver both need it.
"""

from __future__ import annotations

SCHEMA_VERSION = 2


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


STATUSES = ("ok", "oom", "timeout", "diverged", "error", "interrupted")
"""How a cell ended. Everything but ``ok`` is a failed cell, and keeps its row."""

PHASES = (
    "rollout",
    "rollout_wait",
    "reward",
    "old_logprob",
    "ref_logprob",
    "values",
    "advantage",
    "update_policy",
    "update_critic",
    "weight_sync",
    "checkpoint",
    "eval",
    "other",
)
"""What the wall time of an update is made of, in the order of the figures."""

COMPONENTS = (
    "process_baseline",
    "policy_weights",
    "policy_grads",
    "policy_optimizer",
    "critic_weights",
    "critic_grads",
    "critic_optimizer",
    "reference_weights",
    "merged_weights",
    "sampler_weights",
    "kv_cache",
    "activations",
    "logits",
    "rollout_buffer",
    "other_tensors",
    "unattributed",
)
"""What the peak memory of a run is made of, in the order of the figures."""

RUNS_COLUMNS = _names("""
    schema_version experiment run_id cell_id algorithm environment model seed pair_id repeat
    budget_kind budget_value config_sha256 config_json own_json own_reason tuning_trials
    content_sha256 code_sha256 semantics_json
    status exit_code error_type error_message started_utc ended_utc
    wall_s setup_s train_s eval_s cpu_s
    updates prompts completions prompt_tokens completion_tokens trained_tokens unscored_completions
    train_flops flops_method reward_initial reward_final reward_best eval_score eval_items
    peak_rss_bytes peak_rss_total_bytes peak_device_allocated_bytes peak_device_reserved_bytes
    peak_live_tensor_bytes predicted_peak_bytes params_policy params_critic params_reference
    params_trainable
    dtype device device_name n_devices threads omp_num_threads parallel
    host_id os python torch transformers
    package_version git_sha git_dirty load_avg_start attempt
""")

CURVES_COLUMNS = _names("""
    run_id algorithm environment seed split metric value n update completion_tokens total_tokens
    train_wall_s wall_s train_flops peak_rss_bytes
""")

PHASES_COLUMNS = _names("run_id update phase wall_s cpu_s tokens flops warmup peak_bytes")

MEMORY_COLUMNS = _names("run_id rank component bytes_at_peak bytes_max bytes_predicted method")

EVALS_COLUMNS = _names("run_id update item_id sample score tokens truncated")

SUMMARY_COLUMNS = _names("""
    algorithm environment model metric unit higher_is_better at_axis at_value n_seeds n_failed
    n_missed mean sd se ci_low ci_high ci_method ci_level boot_low boot_high median iqm min max
""")

PAIRWISE_COLUMNS = _names("""
    environment model metric at_axis at_value algorithm_a algorithm_b n_pairs mean_a mean_b
    difference diff_ci_low diff_ci_high ratio_b_over_a ratio_ci_low ratio_ci_high ci_method
    boot_low boot_high p_value p_value_holm p_value_table min_possible_p test
    prob_b_better prob_ci_low prob_ci_high seed_correlation aa_floor pairs_needed verdict note
""")

ITEMS_COLUMNS = _names("""
    environment model algorithm_a algorithm_b n_items n_seeds mean_a mean_b difference
    se_naive se_item se_seed se ci_low ci_high ci_method ci_level items_left_out note
""")

PROFILES_COLUMNS = _names("""
    model metric statistic threshold algorithm_a algorithm_b value ci_low ci_high ci_method ci_level
    n_environments n_runs
""")

TUNING_COLUMNS = _names("""
    trial algorithm tried_as knobs_json environment model seed run_id status score
    completion_tokens train_flops train_s wall_s error_message
""")

LEDGER_COLUMNS = _names("""
    environment model algorithm component bytes_at_peak bytes_max bytes_predicted relative_error
""")

FLOPS_COLUMNS = _names("""
    environment model algorithm phase flops_counted flops_analytic counted_over_analytic n_runs
    flops_per_s matmul_flops_per_s utilisation_frac
""")

FIT_COLUMNS = _names("""
    algorithm environment model vary value limit_bytes fits peak_phase component bytes_predicted
    bytes_measured
""")

PLAN_COLUMNS = _names("""
    algorithm model parameters critic precision devices sharding sampler_devices device_bytes
    usable_bytes fits reason start_bytes host_bytes micro_batch largest_micro_batch
    largest_sample_batch device peak_phase component bytes_predicted basis
""")

CONTAMINATION_COLUMNS = _names("""
    train_environment eval_environment train_items eval_items exact normalised ngram short
    eval_prompts eval_item train_item
""")

RAW_TABLES = {
    "curves.csv": CURVES_COLUMNS,
    "phases.csv": PHASES_COLUMNS,
    "memory.csv": MEMORY_COLUMNS,
    "evals.csv": EVALS_COLUMNS,
}
"""What a cell appends to while it lives; ``bakeoff report`` merges them over all cells."""
