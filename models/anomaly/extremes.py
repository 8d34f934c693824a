"""A value beyond everything seen so far: how rare is so large a step over the old record.

In: values. Out: rarities, -log10 P. Never: the range of values that are still to come.

The n-th of equally likely windows is the highest so far once in n; by how much a record beats the former one, as a
share of the range, is learned from the records of the series.
"""

from __future__ import annotations

import math
from typing import Self

from models.anomaly.full_tuning import (
    JUDGED_FROM,
    RECORD_PRIOR,
    RECORD_PRIOR_SHARE,
    RECORD_RARITY_MAX,
    RECORD_SHARE_MAX,
    RECORD_SHARE_MIN,
)

LOG_10 = math.log(10.0)


class Extremes:
    """Lowest and highest value so far, and by how much records were beaten."""

    __slots__ = ("_high", "_low", "_records", "_seen", "_shares")

    def __init__(self) -> None:
        self._seen = self._low = self._high = self._records = self._shares = 0.0

    def step(self, value: float) -> float:
        """Rarity of the record that `value` sets; 0 where it sets none. Then learn it."""
        seen = self._seen = self._seen + 1.0
        low, high = self._low, self._high
        if seen == 1.0:
            self._low = self._high = value
            return 0.0
        if low <= value <= high:
            return 0.0
        beyond = value - high if value > high else low - value
        self._low, self._high = min(low, value), max(high, value)
        if high <= low or seen <= JUDGED_FROM:
            return 0.0
        share = beyond / (high - low)
        usual = (RECORD_PRIOR * RECORD_PRIOR_SHARE + self._shares) / (RECORD_PRIOR + self._records)
        self._records += 1.0
        self._shares += min(share, RECORD_SHARE_MAX)
        if share < RECORD_SHARE_MIN:
            return 0.0
        return min(RECORD_RARITY_MAX, math.log10(0.5 * seen) + share / usual / LOG_10)

    def numbers(self) -> list[float]:
        """Everything it knows."""
        return [self._seen, self._low, self._high, self._records, self._shares]

    @classmethod
    def of(cls, numbers: list[float]) -> Self:
        """The extremes whose `numbers()` these are."""
        found = cls()
        found._seen, found._low, found._high, found._records, found._shares = numbers
        return found
