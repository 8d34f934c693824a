"""What is said of two aligned sides before any test: their numbers, and why there may be no test.

In: a measure, two samples, their alignment. Out: a `Finding` without estimate; a refusal or None.
Never: a percentile of values that are not there, a cost that nobody reported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

import numpy as np

from reports.compare.align import Aligned, Sample, describe
from reports.compare.finding import Finding
from reports.compare.measures import Measure
from reports.compare.quantiles import quantile_difference
from reports.compare.ranks import bounds

UNITS_MIN: Final = 10  # a side; below it the intervals miss their 95 % on skewed data (docs/adr/0006)


def described(measure: Measure, a: Sample, b: Sample, pair: Aligned, query: str, sql: str) -> Finding:
    """Counts, means and percentiles of both sides, in the measure's unit; no estimate, test or verdict yet."""
    finding = Finding(
        metric=measure.name,
        label=measure.label,
        unit=measure.unit,
        better=measure.better,
        unit_of_analysis=a.unit_of_analysis,
        a=a.side,
        b=b.side,
        n_a=len(pair.a),
        n_b=len(pair.b),
        paired=pair.paired,
        left_out_a=pair.left_out_a,
        left_out_b=pair.left_out_b,
        missing_a=pair.missing_a,
        missing_b=pair.missing_b,
        provenance=tuple(sorted(a.provenances | b.provenances)),
        derived=measure.derived,
        query=query,
        sql=sql,
    )
    if a.denominators or b.denominators:
        return finding
    mean_a, p50_a, p95_a = a.described if pair.a is a.array else describe(pair.a)
    mean_b, p50_b, p95_b = b.described if pair.b is b.array else describe(pair.b)
    difference = mean_a - mean_b if mean_a is not None and mean_b is not None else None
    p50, p95 = (None, None) if measure.name == "task_success" else _quantiles(a, b, pair)
    return replace(
        finding,
        mean_a=mean_a,
        mean_b=mean_b,
        p50_difference_low=p50 and p50[0],
        p50_difference_high=p50 and p50[1],
        p95_difference_low=p95 and p95[0],
        p95_difference_high=p95 and p95[1],
        difference=difference,
        ratio=mean_a / mean_b if mean_a is not None and mean_b and mean_b > 0 <= mean_a else None,
        median_pair_ratio=_median_pair_ratio(pair),
        p50_a=p50_a,
        p50_b=p50_b,
        p95_a=p95_a,
        p95_b=p95_b,
    )


def _quantiles(a: Sample, b: Sample, pair: Aligned) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The intervals of both percentiles' differences; a yes or no has no percentile worth one."""
    if min(len(pair.a), len(pair.b)) < UNITS_MIN:
        return None, None
    of_a, of_b = (
        side.percentile_bounds if values is side.array else (bounds(values, 0.5), bounds(values, 0.95))
        for side, values in ((a, pair.a), (b, pair.b))
    )
    return quantile_difference(pair, of_a[0], of_b[0]), quantile_difference(pair, of_a[1], of_b[1])


def _median_pair_ratio(pair: Aligned) -> float | None:
    """The typical task's ratio; tasks whose b is 0 have none."""
    if not pair.paired:
        return None
    usable = pair.b > 0
    return float(np.median(pair.a[usable] / pair.b[usable])) if usable.any() else None


def refusal(
    measure: Measure, a: Sample, b: Sample, pair: Aligned
) -> tuple[Literal["not enough data", "not ranked"], str] | None:
    """Why there must be no test, or None."""
    for sample, values in ((a, a.measured), (b, b.measured)):
        if not values:
            word = "not priced" if measure.unit == "USD" else "not measured"
            return "not enough data", f"{measure.label} is {word} in {sample.side}"
        if _unreported_cost(measure.unit, sample):
            return (
                "not enough data",
                f"all {len(values)} costs of {sample.side} are 0: that is a cost nobody reported, not a free run",
            )
    declared = [s.side for s in (a, b) if "declared" in s.provenances]
    if declared:
        return "not ranked", f"the numbers of {' and '.join(declared)} are declared, not measured"
    if min(len(pair.a), len(pair.b)) < UNITS_MIN:
        more = UNITS_MIN - min(len(pair.a), len(pair.b))
        if pair.paired:
            have, rule = f"{len(pair.a)} pairs of tasks", f"at least {UNITS_MIN} pairs are needed"
        else:
            have = f"{len(pair.a)} and {len(pair.b)} {a.unit_of_analysis}s"
            rule = f"at least {UNITS_MIN} a side are needed"
        return "not enough data", f"{have}: {rule}, about {more} more"
    return None


def _unreported_cost(unit: str, sample: Sample) -> bool:
    values = sample.measured
    return unit == "USD" and bool(values) and not any(values.values())


def without_unreported(finding: Finding, a: Sample, b: Sample) -> Finding:
    """A cost of 0 that nobody reported is no mean, no percentile and no part of a ratio."""
    if _unreported_cost(finding.unit, a) or _unreported_cost(finding.unit, b):
        finding = replace(finding, p50_difference_low=None, p50_difference_high=None)
        finding = replace(finding, p95_difference_low=None, p95_difference_high=None)
    if _unreported_cost(finding.unit, a):
        finding = replace(finding, mean_a=None, p50_a=None, p95_a=None, ratio=None, difference=None)
        finding = replace(finding, median_pair_ratio=None)
    if _unreported_cost(finding.unit, b):
        finding = replace(finding, mean_b=None, p50_b=None, p95_b=None, ratio=None, difference=None)
        finding = replace(finding, median_pair_ratio=None)
    return finding
