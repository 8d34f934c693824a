"""When a large sample needs no draws, and its interval and p-value then.

In: a case. Out: `Closed`, or None where the case must be resampled. Never: a guess: the size of the correction that a
sample's own skewness and kurtosis ask for says how far its closed form can be trusted.

The closed form is what the resampling of ratio.py tends to as draws go on, with an error of the square of its own
correction (docs/adr/0020). So a small sample, few units that differ at all, or a heavy tail is drawn as ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reports.compare.cases import Case
from reports.compare.expansion import Tail, bootstrap_tail, permutation_tail, relative_differences
from reports.compare.success import Z_95

UNITS_RESAMPLED_MAX: Final = 500  # up to here draws cost little; beyond, docs/adr/0020 measured no difference
STRETCH_MAX: Final = 0.03  # of the interval; then what is left out is below the noise of 10,000 draws, 1 % of a width
Z_FAR: Final = 3.890591886413122  # two-sided p of 1 / 10,000: as far as as many draws would reach
STRETCH_FAR_MAX: Final = 0.10  # there; draws know a p-value of 1 / 1,000 up to a third, this one better


@dataclass(frozen=True, slots=True)
class Closed:
    """`reach`: half of the 95 % interval, on the scale of theta. `p_value` is two-sided."""

    reach: float
    p_value: float


def closed(case: Case) -> Closed | None:
    """None: too few units, too heavy a tail, or nothing that varies."""
    if case.flat or not case.usable or case.units_min <= UNITS_RESAMPLED_MAX:
        return None
    if _differing(case) <= UNITS_RESAMPLED_MAX:
        return None
    permuted = permutation_tail(case)
    if not (_trusted(permuted, Z_95, STRETCH_MAX) and _trusted(permuted, Z_FAR, STRETCH_FAR_MAX)):
        return None
    drawn = bootstrap_tail(case)
    if not _trusted(drawn, Z_95, STRETCH_MAX):
        return None
    return Closed(case.error * Z_95 * (1 + drawn.stretch(Z_95)), _p_value(case, permuted))


def _trusted(tail: Tail, z: float, stretch_max: float) -> bool:
    stretch = tail.stretch(z)
    return math.isfinite(stretch) and abs(stretch) <= stretch_max


def _differing(case: Case) -> int:
    """Units, those that show what most show counted as one. Where few differ the statistic steps: no curve fits it."""
    middles = ((u, np.partition(u, len(u) // 2)[len(u) // 2]) for u in relative_differences(case))
    return min(int(np.count_nonzero(u != middle)) + 1 for u, middle in middles)


def _p_value(case: Case, tail: Tail) -> float:
    """Beyond Z_FAR the tail of Student's t goes on, as it does beyond the last permutation drawn; without a step."""
    from scipy.special import ndtr, stdtr

    statistic, far = abs(case.theta / case.error), tail.stretch(Z_FAR)
    if statistic <= Z_FAR * (1 + far):
        return 2 * float(ndtr(-_normal(tail, statistic)))
    student = 2 * float(stdtr(case.units_min - 1, -statistic / (1 + max(far, 0.0))))
    return min(2 * float(ndtr(-Z_FAR)), max(student, case.p_value_min))


def _normal(tail: Tail, statistic: float) -> float:
    """z with z * (1 + stretch(z)) = statistic, 0..Z_FAR, by halving: the stretches allowed keep it one."""
    low, high = 0.0, Z_FAR
    for _ in range(60):  # to the last bit of a double
        middle = (low + high) / 2
        if middle * (1 + tail.stretch(middle)) < statistic:
            low = middle
        else:
            high = middle
    return (low + high) / 2
