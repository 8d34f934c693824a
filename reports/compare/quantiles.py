"""The difference of two sides' percentiles, with an interval.

In: two aligned sides, a share such as 0.95. Out: the interval of a's percentile minus b's, or None.
Never: draws; an end beyond the data: where no value can bound a percentile there is no interval.

Each side's percentile lies between two of its own values with a chance that is exact for any distribution (the
binomial one of ranks). The two distances are joined as in Newcombe's interval (the method of variance recovery), with
the correlation that pairs have: of being at most at their percentiles together.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from reports.compare.align import Aligned
from reports.compare.resample import FloatArray

TAIL: Final = 0.025  # each end of a 95 % interval


def quantile_difference(pair: Aligned, share: float) -> tuple[float, float] | None:
    """95 % interval of (a's percentile - b's); None where a side is too small to bound it on either end."""
    bounds_a, bounds_b = (_bounds(values, share) for values in (pair.a, pair.b))
    if bounds_a is None or bounds_b is None:
        return None
    (low_a, at_a, high_a), (low_b, at_b, high_b) = bounds_a, bounds_b
    together = _correlation(pair.a <= at_a, pair.b <= at_b) if pair.paired else 0.0
    difference = at_a - at_b
    down = _joined(at_a - low_a, high_b - at_b, together)
    up = _joined(high_a - at_a, at_b - low_b, together)
    return difference - down, difference + up


@lru_cache(maxsize=4_096)
def bounding_ranks(n: int, share: float) -> tuple[int, int] | None:
    """1-based ranks of the values of n that hold the percentile between them with at least 95 % certainty."""
    from scipy.special import bdtr

    at_most = bdtr(np.arange(n + 1), n, share)  # chance that this many values or fewer lie below the percentile
    low = int(np.searchsorted(at_most, TAIL, "right"))  # at_most[low - 1] <= TAIL
    high = int(np.searchsorted(at_most, 1 - TAIL, "left")) + 1  # at_most[high - 1] >= 1 - TAIL
    return (low, high) if low >= 1 and high <= n else None


def _bounds(values: FloatArray, share: float) -> tuple[float, float, float] | None:
    ranks = bounding_ranks(len(values), share) if len(values) else None
    if ranks is None:
        return None
    ordered = np.sort(values)
    at = float(np.quantile(ordered, share))
    return min(at, float(ordered[ranks[0] - 1])), at, max(at, float(ordered[ranks[1] - 1]))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    p_a, p_b, both = float(a.mean()), float(b.mean()), float((a & b).mean())
    spread = p_a * (1 - p_a) * p_b * (1 - p_b)
    return (both - p_a * p_b) / math.sqrt(spread) if spread > 0 else 0.0


def _joined(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))
