"""Compares two aligned sides in one measure: describes both, estimates, tests. No verdict yet.

In: a measure and two samples. Out: a `Finding` with its numbers, and the counts behind success.
Never: a test on fewer than UNITS_MIN units a side, on declared numbers, or on a cost that nobody reported.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from reports.compare import success
from reports.compare.align import Aligned, Sample, align
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.measures import Measure
from reports.compare.ratio import Estimate, Sides, compare_means
from reports.compare.resample import DRAWS, SEED, FloatArray

UNITS_MIN: Final = 10  # a side; below it the intervals miss their 95 % on skewed data (docs/adr/0006)
RATIO_WORTH_SEEING: Final = 1.15  # the regression ratio allowed by default: a smaller one changes no decision
SUCCESS_WORTH_SEEING: Final = 0.10  # ten tasks in a hundred
POWER_Z: Final = 1.959963984540054 + 0.8416212335729143  # two-sided 5 %, power 80 %

Pairing = Literal["auto", "always", "never"]


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
    notes: tuple[str, ...] = ()
    if measure.unit == "USD":
        (a, zeros_a), (b, zeros_b) = _reported(a), _reported(b)
        notes = tuple(_zero_note(side, zeros) for side, zeros in ((a, zeros_a), (b, zeros_b)) if zeros)
    pair = align(a, b, pairing=pairing)
    finding = replace(_described(measure, a, b, pair, query, sql), warnings=notes)
    refusal = _refusal(measure, a, b, pair)
    if refusal:
        return replace(_without_unreported(finding, a, b), verdict=refusal[0], why=refusal[1]), None
    if measure.name == "task_success" and _binary(pair):
        return _compare_success(finding, pair)
    if a.denominators and b.denominators:
        return _compare_rates(finding, a, b, pair, draws=draws, seed=seed), None
    return _compare_means(finding, pair, draws=draws, seed=seed), None


def _reported(sample: Sample) -> tuple[Sample, int]:
    """A cost of exactly 0 among real costs was not reported for that unit: it is missing, not free.

    Where every cost is 0 the sample stays as it is and the comparison is refused.
    """
    zeros = sum(value == 0 for value in sample.measured.values())
    if not zeros or zeros == len(sample.measured):
        return sample, 0
    values = {key: None if value == 0 else value for key, value in sample.values.items()}
    return replace(sample, values=values), zeros


def _zero_note(sample: Sample, zeros: int) -> str:
    return f"{sample.side}: costs of exactly 0, which count as not reported: {zeros:,}"


def _described(measure: Measure, a: Sample, b: Sample, pair: Aligned, query: str, sql: str) -> Finding:
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
    mean_a, p50_a, p95_a = _describe(pair.a)
    mean_b, p50_b, p95_b = _describe(pair.b)
    difference = mean_a - mean_b if mean_a is not None and mean_b is not None else None
    return replace(
        finding,
        mean_a=mean_a,
        mean_b=mean_b,
        difference=difference,
        ratio=mean_a / mean_b if mean_a is not None and mean_b and mean_b > 0 <= mean_a else None,
        median_pair_ratio=_median_pair_ratio(pair),
        p50_a=p50_a,
        p50_b=p50_b,
        p95_a=p95_a,
        p95_b=p95_b,
    )


def _describe(values: FloatArray) -> tuple[float | None, float | None, float | None]:
    if not len(values):
        return None, None, None
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return float(values.mean()), float(p50), float(p95)


def _median_pair_ratio(pair: Aligned) -> float | None:
    """The typical task's ratio; tasks whose b is 0 have none."""
    if not pair.paired:
        return None
    usable = pair.b > 0
    return float(np.median(pair.a[usable] / pair.b[usable])) if usable.any() else None


def _refusal(
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


def _without_unreported(finding: Finding, a: Sample, b: Sample) -> Finding:
    """A cost of 0 that nobody reported is no mean, no percentile and no part of a ratio."""
    if _unreported_cost(finding.unit, a):
        finding = replace(finding, mean_a=None, p50_a=None, p95_a=None, ratio=None, difference=None)
        finding = replace(finding, median_pair_ratio=None)
    if _unreported_cost(finding.unit, b):
        finding = replace(finding, mean_b=None, p50_b=None, p95_b=None, ratio=None, difference=None)
        finding = replace(finding, median_pair_ratio=None)
    return finding


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


def _compare_means(finding: Finding, pair: Aligned, *, draws: int, seed: int) -> Finding:
    sides = Sides(pair.a[:, None], pair.b[:, None], pair.paired)
    # A ratio needs a scale with a true zero; share-like success and signed metrics are compared by difference.
    ratio_scale = finding.unit != "ratio" and bool(finding.ratio) and min(pair.a.min(), pair.b.min()) >= 0
    estimate = compare_means(sides, scale="log" if ratio_scale else "linear", draws=draws, seed=seed)
    finding = _with_estimate(finding, estimate, ratio_scale=ratio_scale)
    effect, name = _effect(pair)
    return replace(finding, effect=effect, effect_name=name)


def _compare_rates(finding: Finding, a: Sample, b: Sample, pair: Aligned, *, draws: int, seed: int) -> Finding:
    """Sum of costs / number of successes: a ratio of sums on each side, over the same units."""
    (num_a, den_a), (num_b, den_b) = _rate_columns(a, b, pair)
    finding = replace(finding, n_a=len(num_a), n_b=len(num_b))
    for side, units, successes in ((a.side, num_a, den_a), (b.side, num_b, den_b)):
        if len(units) < UNITS_MIN:
            why = f"{len(units)} tasks of {side} have both cost and outcome; at least {UNITS_MIN} are needed"
            return replace(finding, verdict="not enough data", why=why)
        if successes.sum() == 0:
            return replace(finding, verdict="not enough data", why=f"{side} has no successful task")
    mean_a, mean_b = float(num_a.sum() / den_a.sum()), float(num_b.sum() / den_b.sum())
    finding = replace(finding, mean_a=mean_a, mean_b=mean_b, difference=mean_a - mean_b)
    sides = Sides(np.column_stack([num_a, den_a]), np.column_stack([num_b, den_b]), pair.paired, (1, -1))
    return _with_estimate(finding, compare_means(sides, scale="log", draws=draws, seed=seed), ratio_scale=True)


def _rate_columns(
    a: Sample, b: Sample, pair: Aligned
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    def known(sample: Sample, keys: tuple[str, ...]) -> list[str]:
        values = sample.measured
        return [k for k in keys if k in values and sample.denominators.get(k) is not None]

    def columns(sample: Sample, keys: list[str]) -> tuple[FloatArray, FloatArray]:
        values = sample.measured
        return (
            np.array([values[k] for k in keys], dtype=np.float64),
            np.array([sample.denominators[k] for k in keys], dtype=np.float64),
        )

    if pair.paired:
        both = known(b, tuple(known(a, pair.keys)))
        return columns(a, both), columns(b, both)
    return (
        columns(a, known(a, tuple(sorted(a.values)))),
        columns(b, known(b, tuple(sorted(b.values)))),
    )


def _with_estimate(finding: Finding, estimate: Estimate, *, ratio_scale: bool) -> Finding:
    n = min(finding.n_a, finding.n_b)
    test = "permutation within pairs, " if finding.paired else "permutation of the labels, "
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
        interval="symmetric bootstrap-t" if estimate.low is not None else None,
    )


def _needed(standard_error: float | None, n: int, worth: float) -> int | None:
    if not standard_error or worth <= 0:
        return None
    return max(UNITS_MIN, math.ceil(n * (POWER_Z * standard_error / worth) ** 2))


def _effect(pair: Aligned) -> tuple[float | None, str]:
    """Matched-pairs rank-biserial correlation, or Cliff's delta: -1 (a always below b) .. 1 (always above)."""
    from scipy.stats import rankdata

    if pair.paired:
        difference = pair.a - pair.b
        difference = difference[difference != 0]
        if not len(difference):
            return 0.0, "rank-biserial correlation"
        ranks = rankdata(np.abs(difference))
        return float((np.sign(difference) * ranks).sum() / ranks.sum()), "rank-biserial correlation"
    ranks = rankdata(np.concatenate([pair.a, pair.b]))
    n_a, n_b = len(pair.a), len(pair.b)
    above = ranks[:n_a].sum() - n_a * (n_a + 1) / 2
    return float(2 * above / (n_a * n_b) - 1), "Cliff's delta"
