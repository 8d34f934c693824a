"""Compares two aligned sides in one measure: describes both, estimates, tests. No verdict yet.

In: a measure and two samples, or many such. Out: a `Finding` with its numbers, and the counts behind success.
Never: a test on fewer than UNITS_MIN units a side, on declared numbers, or on a cost that nobody reported.

What needs no draws is prepared for each pair; everything that does is then estimated at once (see ratio).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from reports.compare import success
from reports.compare.align import Aligned, Sample, align, resampled
from reports.compare.describe import UNITS_MIN, described, refusal, without_unreported
from reports.compare.effect import effect
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.measures import Measure
from reports.compare.moments import Scale
from reports.compare.ratio import Estimate, Sides, estimate_all
from reports.compare.resample import DRAWS, SEED

RATIO_WORTH_SEEING: Final = 1.15  # the regression ratio allowed by default: a smaller one changes no decision
SUCCESS_WORTH_SEEING: Final = 0.10  # ten tasks in a hundred
POWER_Z: Final = 1.959963984540054 + 0.8416212335729143  # two-sided 5 %, power 80 %
BOOTSTRAP_T: Final = "symmetric bootstrap-t"
CLOSED: Final = "in closed form"  # of a large sample, see closed.py

Pairing = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One measure of two sides, as far as it is known without draws."""

    finding: Finding
    counts: SuccessFinding | None = None
    problem: tuple[Sides, Scale] | None = None  # None: nothing is left to estimate


def compare(
    measure: Measure,
    a: Sample,
    b: Sample,
    *,
    pairing: Pairing = "auto",
    query: str = "",
    sql: str = "",
    draws: int = DRAWS,
    seed: int = SEED,
) -> tuple[Finding, SuccessFinding | None]:
    """The finding of one measure, still without correction and verdict (see verdict.conclude)."""
    prepared = prepare(measure, a, b, pairing=pairing, query=query, sql=sql)
    (finding,) = estimated([prepared], draws=draws, seed=seed)
    return finding, prepared.counts


def prepare(
    measure: Measure, a: Sample, b: Sample, *, pairing: Pairing = "auto", query: str = "", sql: str = ""
) -> Prepared:
    """Aligns and describes two sides, refuses a test or says what it is of."""
    notes: tuple[str, ...] = ()
    if measure.unit == "USD":
        # A cost of exactly 0 among real costs was not reported for that unit: it is missing, not free.
        (a, zeros_a), (b, zeros_b) = a.reported, b.reported
        notes = tuple(_zero_note(side, zeros) for side, zeros in ((a, zeros_a), (b, zeros_b)) if zeros)
    pair = align(a, b, pairing=pairing)
    finding = replace(described(measure, a, b, pair, query, sql), warnings=notes)
    refused = refusal(measure, a, b, pair)
    if refused:
        return Prepared(replace(without_unreported(finding, a, b), verdict=refused[0], why=refused[1]))
    if measure.name == "task_success" and _binary(pair):
        return Prepared(*_compare_success(finding, pair))
    if a.denominators and b.denominators:
        return _prepare_rates(finding, a, b, pair)
    # A ratio needs a scale with a true zero; share-like success and signed metrics are compared by difference.
    ratio_scale = finding.unit != "ratio" and bool(finding.ratio) and min(pair.a.min(), pair.b.min()) >= 0
    size, name = effect(pair)
    return Prepared(
        replace(finding, effect=size, effect_name=name),
        problem=(
            Sides(*resampled(a, b, pair), pair.paired, (1,), (a.side, b.side)),
            "log" if ratio_scale else "linear",
        ),
    )


def estimated(prepared: Sequence[Prepared], *, draws: int = DRAWS, seed: int = SEED) -> list[Finding]:
    """The findings with their estimates, in order; what the sides of several have in common is drawn once."""
    estimates = iter(estimate_all([p.problem for p in prepared if p.problem is not None], draws=draws, seed=seed))
    return [
        p.finding
        if p.problem is None
        else _with_estimate(p.finding, next(estimates), ratio_scale=p.problem[1] == "log")
        for p in prepared
    ]


def _zero_note(sample: Sample, zeros: int) -> str:
    return f"{sample.side}: costs of exactly 0, which count as not reported: {zeros:,}"


def _binary(pair: Aligned) -> bool:
    return bool(np.isin(pair.a, (0.0, 1.0)).all() and np.isin(pair.b, (0.0, 1.0)).all())


def _compare_success(finding: Finding, pair: Aligned) -> tuple[Finding, SuccessFinding]:
    result = (success.paired_test if pair.paired else success.unpaired_test)(pair.a, pair.b)
    counts = SuccessFinding(
        a=finding.a,
        b=finding.b,
        paired=pair.paired,
        k_a=result.k_a,
        k_b=result.k_b,
        n=result.n_a if result.n_a == result.n_b else None,
        n_a=result.n_a,
        n_b=result.n_b,
        only_a=result.only_a,
        only_b=result.only_b,
        difference=result.difference,
        difference_low=result.low,
        difference_high=result.high,
        p_value=result.p_value,
        test=result.test,
        sql=finding.sql,
    )
    finding = replace(
        finding,
        difference=result.difference,
        difference_low=result.low,
        difference_high=result.high,
        test=result.test,
        interval=result.interval,
        p_value=result.p_value,
        effect=result.difference,
        effect_name="difference of success ratios",
        units_needed=_success_needed(result),
    )
    return finding, counts


def _success_needed(result: success.ProportionTest) -> int:
    """Tasks a side to see SUCCESS_WORTH_SEEING, from the variance that was seen (one discordant task at least)."""
    if result.only_a is not None and result.only_b is not None:
        variance = max(result.only_a + result.only_b, 1) / result.n_a
    else:
        p_a, p_b = (result.k_a + 1) / (result.n_a + 2), (result.k_b + 1) / (result.n_b + 2)
        variance = p_a * (1 - p_a) + p_b * (1 - p_b)
    return max(UNITS_MIN, math.ceil(variance * (POWER_Z / SUCCESS_WORTH_SEEING) ** 2))


def _prepare_rates(finding: Finding, a: Sample, b: Sample, pair: Aligned) -> Prepared:
    """Sum of costs / number of successes: a ratio of sums on each side, over the same units."""
    left, right = resampled(a, b, pair)
    finding = replace(finding, n_a=len(left), n_b=len(right))
    for side, columns in ((a.side, left), (b.side, right)):
        if len(columns) < UNITS_MIN:
            why = f"{len(columns)} tasks of {side} have both cost and outcome; at least {UNITS_MIN} are needed"
            return Prepared(replace(finding, verdict="not enough data", why=why))
        if columns[:, 1].sum() == 0:
            return Prepared(replace(finding, verdict="not enough data", why=f"{side} has no successful task"))
    mean_a, mean_b = (float(columns[:, 0].sum() / columns[:, 1].sum()) for columns in (left, right))
    finding = replace(finding, mean_a=mean_a, mean_b=mean_b, difference=mean_a - mean_b)
    return Prepared(finding, problem=(Sides(left, right, pair.paired, (1, -1), (a.side, b.side)), "log"))


def _with_estimate(finding: Finding, estimate: Estimate, *, ratio_scale: bool) -> Finding:
    n = min(finding.n_a, finding.n_b)
    test = "permutation within pairs" if finding.paired else "permutation of the labels"
    test += ", " if estimate.drawn else f" {CLOSED}, "
    if ratio_scale:
        finding = replace(
            finding,
            ratio=estimate.value,
            ratio_low=estimate.low,
            ratio_high=estimate.high,
            test=test + "ratio of means",
            units_needed=_needed(estimate.standard_error, n, math.log(RATIO_WORTH_SEEING)),
        )
    else:
        worth = SUCCESS_WORTH_SEEING if finding.unit == "ratio" else (RATIO_WORTH_SEEING - 1) * abs(finding.mean_b or 0)
        finding = replace(
            finding,
            difference=estimate.value,
            difference_low=estimate.low,
            difference_high=estimate.high,
            test=test + "difference of means",
            units_needed=_needed(estimate.standard_error, n, worth),
        )
    return replace(
        finding,
        p_value=estimate.p_value,
        standard_error=estimate.standard_error,
        interval=None if estimate.low is None else BOOTSTRAP_T if estimate.drawn else f"{BOOTSTRAP_T}, {CLOSED}",
    )


def _needed(standard_error: float | None, n: int, worth: float) -> int | None:
    if not standard_error or worth <= 0:
        return None
    return max(UNITS_MIN, math.ceil(n * (POWER_Z * standard_error / worth) ** 2))
