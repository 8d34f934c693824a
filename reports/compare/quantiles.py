"""The difference of two sides' percentiles, with an interval.

In: two aligned sides, the bounds of either's percentile. Out: the interval of a's percentile minus b's, or None.
Never: draws; an end beyond the data: where no value can bound a percentile there is no interval.

Each side's percentile lies between two of its own values (see ranks). The two distances are joined as in Newcombe's
interval (the method of variance recovery), with the correlation that pairs have: of being at most at their percentiles
together.
"""

from __future__ import annotations

import math

import numpy as np

from reports.compare.align import Aligned
from reports.compare.ranks import Bounds


def quantile_difference(pair: Aligned, bounds_a: Bounds | None, bounds_b: Bounds | None) -> tuple[float, float] | None:
    """95 % interval of (a's percentile - b's); None where a side is too small to bound it on either end."""
    if bounds_a is None or bounds_b is None:
        return None
    (low_a, at_a, high_a), (low_b, at_b, high_b) = bounds_a, bounds_b
    together = _correlation(pair.a <= at_a, pair.b <= at_b) if pair.paired else 0.0
    difference = at_a - at_b
    down = _joined(at_a - low_a, high_b - at_b, together)
    up = _joined(high_a - at_a, at_b - low_b, together)
    return difference - down, difference + up


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    n = len(a)
    p_a, p_b, both = np.count_nonzero(a) / n, np.count_nonzero(b) / n, np.count_nonzero(a & b) / n
    spread = p_a * (1 - p_a) * p_b * (1 - p_b)
    return (both - p_a * p_b) / math.sqrt(spread) if spread > 0 else 0.0


def _joined(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))
