"""Tests and intervals for success, that is for yes and no.

In: outcomes 0 or 1. Out: counts, intervals, p-values. Never: an approximation where the exact test is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reports.compare.resample import FloatArray

FISHER_TIE: Final = 1 + 1e-7  # tables as likely as the seen one, up to rounding, count with it
Z_95: Final = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class ProportionTest:
    """`difference` is proportion a minus proportion b. only_a and only_b are None when the tasks are not paired."""

    k_a: int
    k_b: int
    n_a: int
    n_b: int
    only_a: int | None
    only_b: int | None
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    interval: str


def wilson(k: float, n: int) -> tuple[float, float] | None:
    """The 95 % Wilson interval of k successes in n; None when n is 0."""
    if n == 0:
        return None
    p, z2 = k / n, Z_95 * Z_95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (max(0.0, centre - half) if k else 0.0, min(1.0, centre + half) if k < n else 1.0)


def paired_test(a: FloatArray, b: FloatArray) -> ProportionTest:
    """Exact McNemar on the discordant pairs; Newcombe's interval (method 10) for the difference."""
    from scipy.special import bdtr

    n = len(a)
    only_a = int(((a == 1) & (b == 0)).sum())
    only_b = int(((a == 0) & (b == 1)).sum())
    k_a, k_b = int(a.sum()), int(b.sum())
    discordant = only_a + only_b
    # Of fair coins both tails are alike: twice the smaller one is the exact two-sided p-value.
    p_value = min(1.0, 2 * float(bdtr(min(only_a, only_b), discordant, 0.5))) if discordant else 1.0
    low, high = _newcombe_paired(k_a, k_b, n, only_a, only_b)
    return ProportionTest(
        k_a,
        k_b,
        n,
        n,
        only_a,
        only_b,
        (k_a - k_b) / n,
        low,
        high,
        p_value,
        "exact McNemar",
        "Newcombe, paired",
    )


def unpaired_test(a: FloatArray, b: FloatArray) -> ProportionTest:
    """Fisher's exact test; Newcombe's interval (method 10 for two samples) for the difference."""
    k_a, k_b, n_a, n_b = int(a.sum()), int(b.sum()), len(a), len(b)
    p_value = _fisher(k_a, n_a, k_b, n_b)
    low, high = _newcombe(k_a, n_a, k_b, n_b, correlation=0.0)
    return ProportionTest(
        k_a, k_b, n_a, n_b, None, None, k_a / n_a - k_b / n_b, low, high, p_value, "Fisher exact", "Newcombe"
    )


def _fisher(k_a: int, n_a: int, k_b: int, n_b: int) -> float:
    """Two-sided: every table with these margins that is no likelier than the one that was seen."""
    from scipy.special import gammaln

    wins = k_a + k_b
    of_a = np.arange(max(0, wins - n_b), min(wins, n_a) + 1)
    of_b = wins - of_a
    chance_log = -(gammaln(of_a + 1) + gammaln(n_a - of_a + 1) + gammaln(of_b + 1) + gammaln(n_b - of_b + 1))
    chance = np.exp(chance_log - chance_log.max())
    seen = chance[k_a - of_a[0]]
    return min(1.0, float(chance[chance <= seen * FISHER_TIE].sum() / chance.sum()))


def _newcombe_paired(k_a: int, k_b: int, n: int, only_a: int, only_b: int) -> tuple[float, float]:
    both = k_a - only_a
    neither = n - both - only_a - only_b
    margins = k_a * (n - k_a) * k_b * (n - k_b)
    if margins == 0:
        return _newcombe(k_a, n, k_b, n, correlation=0.0)
    excess = both * neither - only_a * only_b
    # Newcombe's continuity correction of phi: only a positive association is reduced, and not below zero.
    corrected = max(excess - n / 2, 0.0) if excess > 0 else float(excess)
    return _newcombe(k_a, n, k_b, n, correlation=corrected / math.sqrt(margins))


def _newcombe(k_a: int, n_a: int, k_b: int, n_b: int, *, correlation: float) -> tuple[float, float]:
    interval_a, interval_b = wilson(k_a, n_a), wilson(k_b, n_b)
    assert interval_a is not None
    assert interval_b is not None
    p_a, p_b = k_a / n_a, k_b / n_b
    down = _joined(p_a - interval_a[0], interval_b[1] - p_b, correlation)
    up = _joined(interval_a[1] - p_a, p_b - interval_b[0], correlation)
    return max(-1.0, p_a - p_b - down), min(1.0, p_a - p_b + up)


def _joined(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))
