"""A value beyond everything seen so far: how rare is so large a step over the old record.

In: the views' vector, values. Out: rarities, -log10 P. Never: the range of values that are still to come.

The n-th of equally likely windows is the highest so far once in n; by how much a record beats the former one, as a
share of the range, is learned from the records of the series.
"""

from __future__ import annotations

import math
from array import array

from models.anomaly.full_tuning import (
    JUDGED_FROM,
    RECORD_PRIOR,
    RECORD_PRIOR_SHARE,
    RECORD_RARITY_MAX,
    RECORD_SHARE_MAX,
    RECORD_SHARE_MIN,
)
from models.anomaly.view_fields import EXTREMES

LOG_10 = math.log(10.0)
SEEN, LOW, HIGH, RECORDS, SHARES = range(EXTREMES, EXTREMES + 5)


def step(state: array[float], value: float) -> float:
    """Rarity of the record that `value` sets; 0 where it sets none. Then learn it."""
    seen = state[SEEN] = state[SEEN] + 1.0
    low, high = state[LOW], state[HIGH]
    if seen == 1.0:
        state[LOW] = state[HIGH] = value
        return 0.0
    if low <= value <= high:
        return 0.0
    beyond = value - high if value > high else low - value
    state[LOW], state[HIGH] = min(low, value), max(high, value)
    if high <= low or seen <= JUDGED_FROM:
        return 0.0
    share = beyond / (high - low)
    usual = (RECORD_PRIOR * RECORD_PRIOR_SHARE + state[SHARES]) / (RECORD_PRIOR + state[RECORDS])
    state[RECORDS] += 1.0
    state[SHARES] += min(share, RECORD_SHARE_MAX)
    if share < RECORD_SHARE_MIN:
        return 0.0
    return min(RECORD_RARITY_MAX, math.log10(0.5 * seen) + share / usual / LOG_10)
