"""The slope of a series and whether it is one: Theil-Sen, with the Mann-Kendall test, both widened for autocorrelation.

In: positions and values of a series. Out: `Slope`. Never: neighbours counted as independent evidence; a slope from
fewer than POINTS_MIN points.

Neighbouring values of a series are alike, so n of them say less than n independent ones. How much less comes from the
residuals: the lag-1 correlation, corrected for its bias in short series, gives the factor (1 + phi) / (1 - phi) by
which the variance of Kendall's S grows (Hamed and Rao 1998; Yue and Wang 2004). Sen's interval (1968) uses the same
variance, so that interval and test agree; both take Student's t for the independent points that are left, since the
correlation is itself an estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.compare.success import Z_95

FloatArray = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

POINTS_MIN: Final = 12  # below it, the lag-1 correlation is not known well enough to correct for it
POINTS_MAX: Final = 1_500  # all pairs of them: 1.1 million slopes, 9 MB and 0.1 s
RESET_AROUND: Final = 5  # values before, all above as many after: chance does that once in 252 places
RESET_RATIO: Final = 0.25
RESET_STEPS: Final = 5.0  # times the usual step
DEGREES_MIN: Final = 4.0  # of Student's t: fewer independent points than six are not told apart by their number
ROUNDING: Final = 1e-9  # of the largest value: what is left of a perfect line is no correlation
PHI_MAX: Final = 0.98  # above it a series of our lengths cannot be told from a random walk


@dataclass(frozen=True, slots=True)
class Slope:
    """Per unit of position. low..high: 95 %. volatility: robust standard deviation around the line."""

    n: int
    slope: float
    low: float
    high: float
    level: float  # of the line at position 0
    p_value: float
    phi: float  # lag-1 correlation of the residuals, bias-corrected, 0..PHI_MAX
    independent: float  # points that n correlated ones are worth
    volatility: float

    @property
    def shown(self) -> bool:
        """Whether test and interval both exclude no trend."""
        return self.p_value <= 0.05 and (self.low > 0 or self.high < 0)

    @property
    def standard_error(self) -> float:
        """Of the slope, as a normal distribution with this interval would have."""
        return (self.high - self.low) / (2 * Z_95)


def slope_of(x: FloatArray, y: FloatArray, part: Ints | None = None, *, phi: float | None = None) -> Slope:
    """`x` ascending whole positions (gaps allowed), at least POINTS_MIN and at most POINTS_MAX of them.

    `part`: the number of the part that each point is in; only points of one part are held against each other, and
    `level` is that of the last one. `phi`: where it is known better, from a shape that fits.
    """
    from scipy.special import stdtr, stdtrit

    n = len(x)
    if not POINTS_MIN <= n <= POINTS_MAX:
        raise ValueError(f"{n} points: a slope needs {POINTS_MIN} to {POINTS_MAX}")
    own = np.zeros(n, dtype=np.int64) if part is None else part
    slopes = pair_slopes(x, y, own)
    slope = float(np.median(slopes))
    levels = {number: float(np.median((y - slope * x)[own == number])) for number in np.unique(own)}
    left = y - slope * x - np.array([levels[number] for number in own])
    left[np.abs(left) <= ROUNDING * np.abs(y).max()] = 0.0
    if phi is None:
        phi = lag_correlation(x, left, fitted=1 + len(levels), part=own)
    factor = (1 + phi) / (1 - phi)
    variance = sum(_variance_of_s(y[own == number]) for number in levels) * factor
    s = float(np.sign(slopes).sum())
    z = (abs(s) - 1) / math.sqrt(variance) if s and variance else 0.0
    freedom = max(DEGREES_MIN, n / factor - 2)
    wide = float(stdtrit(freedom, 0.975))
    # Sen's interval: the slopes whose rank is as far from the middle as chance takes S.
    reach = wide * math.sqrt(variance)
    ordered = np.sort(slopes)
    low = math.floor((len(ordered) - reach) / 2) - 1
    high = math.ceil((len(ordered) + reach) / 2)
    return Slope(
        n=n,
        slope=slope,
        low=float(ordered[low]) if low >= 0 else -math.inf,
        high=float(ordered[high]) if high < len(ordered) else math.inf,
        level=levels[own[-1]],
        p_value=2 * float(stdtr(freedom, -max(0.0, z))),
        phi=phi,
        independent=n / factor,
        volatility=robust_deviation(left),
    )


def pair_slopes(x: FloatArray, y: FloatArray, part: Ints) -> FloatArray:
    """The slope between every two points of one part."""
    first, second = np.triu_indices(len(x), 1)
    same = part[first] == part[second]
    first, second = first[same], second[same]
    return np.asarray((y[second] - y[first]) / (x[second] - x[first]), dtype=np.float64)


def parts_of(y: FloatArray) -> Ints:
    """The number of the part each value is in: a new one begins where a level falls at once and stays down.

    That is how a restart shows in memory: by RESET_RATIO of the level, and by far more than it moves otherwise.
    """
    usual = robust_deviation(np.diff(y)) if len(y) > 2 * RESET_AROUND else math.inf
    found = np.zeros(len(y), dtype=np.int64)
    for place in range(RESET_AROUND, len(y) - RESET_AROUND + 1):
        before, after = y[place - RESET_AROUND : place], y[place : place + RESET_AROUND]
        fall = y[place - 1] - y[place]
        if before.min() > after.max() and fall > max(RESET_RATIO * abs(y[place - 1]), RESET_STEPS * usual):
            found[place] = 1
    return np.asarray(np.cumsum(found), dtype=np.int64)


def lag_correlation(x: FloatArray, left: FloatArray, *, fitted: int, part: Ints | None = None) -> float:
    """Correlation of neighbours (positions 1 apart), corrected for the bias of short series and of what was fitted.

    A fitted mean and line each take about (1 + 3 phi) / n off the estimate (Kendall 1954; Marriott and Pope 1954).
    """
    pairs = np.flatnonzero((np.diff(x) == 1) & (True if part is None else np.diff(part) == 0))
    spread = float(np.mean(left * left))
    if len(pairs) < POINTS_MIN // 2 or spread <= 0:
        return 0.0
    raw = float(np.mean(left[pairs] * left[pairs + 1])) / spread
    n = len(x)
    corrected = (n * raw + fitted) / (n - 2 * fitted) if n > 2 * fitted else raw
    return min(max(0.0, corrected), PHI_MAX)


def robust_deviation(left: FloatArray) -> float:
    """1.4826 times the median absolute deviation: the standard deviation, if the values were normal."""
    return 1.4826 * float(np.median(np.abs(left - np.median(left))))


def _variance_of_s(y: FloatArray) -> float:
    """Of Kendall's S of n values in random order, with ties."""
    n = len(y)
    _, ties = np.unique(y, return_counts=True)
    return float(n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
