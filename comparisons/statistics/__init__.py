"""The statistics of a comparison: pure functions of a few numbers, one number per training seed.

What too few numbers cannot give is None, never a number. docs/statistics.md says which method is
used where and why, and how often each interval holds what it should.
"""

from bakeoff.comparisons.statistics.aggregates import (
    FEWEST_ENVIRONMENTS,
    Rows,
    improvement_probability,
    interquartile_mean,
    performance_profile,
    pooled_iqm,
    stratified_estimates,
)
from bakeoff.comparisons.statistics.differences import (
    EXACT_PAIRS,
    correlation,
    exponential,
    geometric_mean,
    holm,
    min_possible_p,
    paired_differences,
    paired_log_ratios,
    paired_t_p,
    ratio_interval,
    share_better,
    share_interval,
    sign_flip_p,
)
from bakeoff.comparisons.statistics.intervals import (
    LEVEL,
    Estimate,
    Interval,
    bootstrap_interval,
    log_t_interval,
    mean_interval,
    standard_deviation,
    standard_error,
    t_interval,
)
from bakeoff.comparisons.statistics.items import PanelErrors, panel_errors
from bakeoff.comparisons.statistics.power import pairs_needed, power

__all__ = [
    "EXACT_PAIRS",
    "FEWEST_ENVIRONMENTS",
    "LEVEL",
    "Estimate",
    "Interval",
    "PanelErrors",
    "Rows",
    "bootstrap_interval",
    "correlation",
    "exponential",
    "geometric_mean",
    "holm",
    "improvement_probability",
    "interquartile_mean",
    "log_t_interval",
    "mean_interval",
    "min_possible_p",
    "paired_differences",
    "paired_log_ratios",
    "paired_t_p",
    "pairs_needed",
    "panel_errors",
    "performance_profile",
    "pooled_iqm",
    "power",
    "ratio_interval",
    "share_better",
    "share_interval",
    "sign_flip_p",
    "standard_deviation",
    "standard_error",
    "stratified_estimates",
    "t_interval",
]
