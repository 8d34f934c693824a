"""What a comparison of two sides in one measure says: the numbers, the test, the verdict and why.

In: values. Out: `Finding`, `SuccessFinding`; field names are the JSON's and stay stable.
Never: a verdict without the words for it; a number that was not measured.

Every ratio and difference is a relative to b, and the verdict is a's: "a is <verdict> than b".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.compare.measures import Better

Verdict = Literal["better", "worse", "higher", "lower", "no difference shown", "not enough data", "not ranked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure, two sides. None is "not estimable from these data"."""

    metric: str
    label: str
    unit: str
    better: Better
    unit_of_analysis: str  # what n counts: task or agent
    a: str
    b: str
    n_a: int
    n_b: int
    paired: bool
    left_out_a: int  # measured, but without a partner on the other side
    left_out_b: int
    missing_a: int  # there, but not measured
    missing_b: int
    mean_a: float | None = None
    mean_b: float | None = None
    ratio: float | None = None  # mean_a / mean_b
    ratio_low: float | None = None
    ratio_high: float | None = None
    difference: float | None = None  # mean_a - mean_b, with bounds where the difference is what was tested
    difference_low: float | None = None
    difference_high: float | None = None
    median_pair_ratio: float | None = None
    p50_a: float | None = None
    p50_b: float | None = None
    p95_a: float | None = None
    p95_b: float | None = None
    test: str | None = None
    interval: str | None = None  # how the interval was made; always 95 %
    p_value: float | None = None
    p_adjusted: float | None = None  # Holm, over every test of the report
    tests_corrected: int | None = None  # how many those were
    effect: float | None = None
    effect_name: str | None = None
    standard_error: float | None = None  # of log ratio, or of the difference where no ratio is tested
    units_needed: int | None = None  # on each side, to see the smallest difference worth seeing
    verdict: Verdict = "not enough data"
    why: str = ""
    warnings: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    derived: str = ""  # how a unit's value comes from the rows of the query
    query: str = ""  # name of the query whose rows these are
    sql: str = ""
    p50_difference_low: float | None = None  # 95 % interval of p50_a - p50_b, uncorrected; None: cannot be bounded
    p50_difference_high: float | None = None
    p95_difference_low: float | None = None
    p95_difference_high: float | None = None
    stratum: str = ""  # key=value of the part that was compared; empty: everything


@dataclass(frozen=True, slots=True)
class SuccessFinding:
    """Counts behind a comparison of success. only_a: tasks that only a solved; None when not paired."""

    a: str
    b: str
    paired: bool
    k_a: int
    k_b: int
    n: int | None  # tasks of each side when they are the same number
    n_a: int
    n_b: int
    only_a: int | None
    only_b: int | None
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    p_adjusted: float | None = None
    test: str = ""
    sql: str = ""
    stratum: str = ""
