"""A percentile of one side, and two of its own values that hold it between them.

In: values, a share such as 0.95. Out: bounds, or None. Never: draws; an end beyond the data.

How many of n values lie below a percentile is binomial for any distribution, so the chance of a rank is exact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from reports.compare.resample import FloatArray

TAIL: Final = 0.025  # each end of a 95 % interval
Bounds = tuple[float, float, float]  # low, the percentile itself, high


def bounds(values: FloatArray, share: float) -> Bounds | None:
    """None where there are too few values to bound the percentile on either end."""
    ranks = bounding_ranks(len(values), share) if len(values) else None
    if ranks is None:
        return None
    ordered = np.sort(values)
    at = float(np.quantile(ordered, share))
    return min(at, float(ordered[ranks[0] - 1])), at, max(at, float(ordered[ranks[1] - 1]))


@lru_cache(maxsize=4_096)
def bounding_ranks(n: int, share: float) -> tuple[int, int] | None:
    """1-based ranks of the values of n that hold the percentile between them with at least 95 % certainty."""
    from scipy.special import bdtr

    at_most = bdtr(np.arange(n + 1), n, share)  # chance that this many values or fewer lie below the percentile
    low = int(np.searchsorted(at_most, TAIL, "right"))  # at_most[low - 1] <= TAIL
    high = int(np.searchsorted(at_most, 1 - TAIL, "left")) + 1  # at_most[high - 1] >= 1 - TAIL
    return (low, high) if low >= 1 and high <= n else None
