"""One comparison of two sides, ready to be resampled: what was observed, and how exactly it must be computed.

In: arrays of values; those that are the same object are one side. Out: `Case`.
Never: randomness; a sum over draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reports.compare.moments import SPREAD_MIN, Difference, Moments, Scale, Side
from reports.compare.resample import FloatArray, Precision

DOUBLE_UNITS_MAX: Final = 256  # up to here sums are doubles: they cost nothing, and ties are frequent
CANCELLED_MIN: Final = 1e-3  # a paired variance below this share of the sides' own needs digits that floats have not
_ROUNDING: Final = {np.float64: 1e-13, np.float32: 1e-6}  # of a variance, relative to what cancelled in it
# A permutation that gives the observed statistic again, up to rounding, counts as reaching it.
_TIE: Final = {np.float64: 1 - 1e-9, np.float32: 1 - 1e-4}


@dataclass(frozen=True, slots=True)
class Problem:
    """Two sides as they were given: (units, columns) each."""

    a: FloatArray
    b: FloatArray
    paired: bool
    signs: tuple[int, ...]
    names: tuple[str, str]
    scale: Scale


@dataclass(frozen=True, slots=True)
class Case:
    """A problem with its sides shared and its own numbers taken."""

    number: int  # its place among the problems
    a: Side
    b: Side
    paired: bool
    signs: tuple[int, ...]
    scale: Scale
    theta: float
    error: float  # standard error of theta
    usable: bool
    flat: bool  # every unit shows the same difference
    noise: float  # a standard error or a distance below this is rounding
    precision: Precision

    @property
    def units_min(self) -> int:
        """Units of the smaller side."""
        return min(len(self.a.z), len(self.b.z))

    @property
    def p_value_min(self) -> float:
        """The two most extreme of all permutations there are: no smaller p-value exists, whatever a tail says."""
        n_a, n_b = len(self.a.z), len(self.b.z)
        choices_log = n_a * math.log(2)
        if not self.paired:
            choices_log = math.lgamma(n_a + n_b + 1) - math.lgamma(n_a + 1) - math.lgamma(n_b + 1)
        return max(2 * math.exp(-choices_log), float(np.finfo(np.float64).tiny))

    @property
    def rounding(self) -> float:
        """A variance below this share of what cancelled in it is rounding."""
        return _ROUNDING[self.precision]

    @property
    def tie(self) -> float:
        """A statistic from this share of the observed one on counts as reaching it."""
        return _TIE[self.precision]

    def cross(self) -> FloatArray:
        """Products of a's and b's columns over the pairs, (units, columns * columns)."""
        k = len(self.signs)
        return np.column_stack([self.a.z[:, i] * self.b.z[:, j] for i in range(k) for j in range(k)])

    def common_scale(self) -> tuple[FloatArray, FloatArray]:
        """Offset and size of both sides together, the same whichever comes first."""
        n_a, n_b = len(self.a.z), len(self.b.z)
        offset = (n_a * self.a.offset + n_b * self.b.offset) / (n_a + n_b)
        around_a, around_b = (_around(side, offset) for side in (self.a, self.b))
        size = np.sqrt((n_a * around_a + n_b * around_b) / (n_a + n_b))
        return offset, np.where(size > 0, size, 1.0)


def cases_of(problems: Sequence[Problem]) -> list[Case]:
    """Raises ValueError where two unpaired sides have one name: they would draw the same resamples."""
    sides: dict[tuple[int, str], Side] = {}
    cases = []
    for number, problem in enumerate(problems):
        if not problem.paired and problem.names[0] == problem.names[1]:
            raise ValueError(f"both sides are called {problem.names[0]!r}; unpaired sides need names of their own")
        pair = []
        for values, name in ((problem.a, problem.names[0]), (problem.b, problem.names[1])):
            key = (id(values), name)
            if key not in sides:
                sides[key] = Side.of(name, values)
            pair.append(sides[key])
        cases.append(_case(number, pair[0], pair[1], problem))
    return cases


def _case(number: int, a: Side, b: Side, problem: Problem) -> Case:
    scale, signs, k = problem.scale, problem.signs, len(problem.signs)
    moments = [Moments.of(side.total, offset=side.offset, size=side.size, signs=signs, scale=scale) for side in (a, b)]
    if problem.paired:
        sums = a.z.T @ b.z
        cross = {(i, j): float(sums[i, j]) for i in range(k) for j in range(k)}
        observed = Difference.paired(moments[0], moments[1], cross)
    else:
        observed = Difference.unpaired(moments[0], moments[1])
    size = 1.0
    if scale == "linear":
        size = float(max(np.abs(a.offset).max(), np.abs(b.offset).max()) + max(a.size.max(), b.size.max()))
    noise = SPREAD_MIN * size
    variance, apart = float(observed.variance), float(observed.apart)
    flat = math.sqrt(variance) <= noise or variance <= _ROUNDING[np.float64] * apart
    theta = float(observed.theta)
    small = min(len(a.z), len(b.z)) <= DOUBLE_UNITS_MAX
    return Case(
        number=number,
        a=a,
        b=b,
        paired=problem.paired,
        signs=signs,
        scale=scale,
        theta=0.0 if flat and abs(theta) <= noise else theta,
        error=math.sqrt(variance),
        usable=bool(observed.usable),
        flat=flat,
        noise=noise,
        precision=np.float64 if small or variance < CANCELLED_MIN * apart else np.float32,
    )


def _around(side: Side, offset: FloatArray) -> FloatArray:
    """Mean squared distance of a side's values from a point."""
    own: FloatArray = side.size**2 * side.square
    return own + (side.offset - offset) ** 2
