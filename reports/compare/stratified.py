"""One number from the strata: what the difference is when every stratum counts for what it is, not for its mix.

In: concluded findings of strata. Out: `Stratified`. Never: a verdict; a stratum without a standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.compare.finding import Finding
from reports.compare.success import Z_95


@dataclass(frozen=True, slots=True)
class Stratified:
    """Ratio a / b (difference a - b where `scale` is difference) with a 95 % interval, uncorrected."""

    metric: str
    label: str
    unit: str
    a: str
    b: str
    scale: str  # ratio or difference
    estimate: float
    low: float
    high: float
    strata: int
    units: int
    method: str = "inverse-variance mean over the strata"


def stratified(findings: Sequence[Finding]) -> tuple[Stratified, ...]:
    """Per pair and measure with at least two strata: the mean of their estimates, the surer ones counting more."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.stratum and finding.interval is not None:
            groups.setdefault((finding.metric, finding.a, finding.b), []).append(finding)
    pooled = (_pooled(group) for group in groups.values() if len(group) > 1)
    return tuple(one for one in pooled if one is not None)


def _pooled(group: Sequence[Finding]) -> Stratified | None:
    ratio = group[0].ratio_low is not None
    weights, total, units = 0.0, 0.0, 0
    for finding in group:
        value = math.log(finding.ratio) if ratio and finding.ratio else finding.difference
        error = _error(finding)
        if value is None or not error or (finding.ratio_low is not None) != ratio:
            return None
        weights += error**-2
        total += value * error**-2
        units += min(finding.n_a, finding.n_b)
    centre, reach = total / weights, Z_95 / math.sqrt(weights)
    first = group[0]
    return Stratified(
        metric=first.metric,
        label=first.label,
        unit=first.unit,
        a=first.a,
        b=first.b,
        scale="ratio" if ratio else "difference",
        estimate=math.exp(centre) if ratio else centre,
        low=math.exp(centre - reach) if ratio else centre - reach,
        high=math.exp(centre + reach) if ratio else centre + reach,
        strata=len(group),
        units=units,
    )


def _error(finding: Finding) -> float | None:
    """Success has an interval and no standard error: half its width stands for 1.96 of them."""
    if finding.standard_error is not None:
        return finding.standard_error
    if finding.difference_low is None or finding.difference_high is None:
        return None
    return (finding.difference_high - finding.difference_low) / (2 * Z_95)
