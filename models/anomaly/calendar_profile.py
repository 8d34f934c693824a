"""What a series usually is at this hour of the day, on working days and on weekends.

In: event times in milliseconds (UTC), values. Out: what the hour lets expect. Never: a season's length found by search,
a local time zone: hours drift by an hour twice a year, and the profile follows.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, Self

from models.anomaly.full_tuning import PROFILE_RATE

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
THURSDAY: Final = 3  # of 1 January 1970, with Monday as 0
SATURDAY: Final = 5


class CalendarProfile:
    """One fading mean for each of 2 x 24 hours."""

    __slots__ = ("_means",)

    def __init__(self) -> None:
        self._means = array("d", [math.nan]) * (2 * HOURS)

    def residual(self, at_ms: int, value: float) -> float:
        """`value` less what its hour lets expect (0 when nothing is known), then learn it.

        An hour never seen borrows that of the other kind of day.
        """
        slot = self._slot(at_ms)
        means = self._means
        mean = means[slot]
        if mean == mean:
            residual = value - mean
            means[slot] = mean + PROFILE_RATE * residual
            return residual
        means[slot] = value
        other = means[(slot + HOURS) % (2 * HOURS)]
        return value - other if other == other else 0.0

    def packed(self) -> bytes:
        """Everything it knows."""
        return self._means.tobytes()

    @classmethod
    def of(cls, packed: bytes) -> Self:
        """The profile whose `packed()` this is."""
        profile = cls()
        profile._means = array("d", packed)
        return profile

    def _slot(self, at_ms: int) -> int:
        hour = at_ms // HOUR_MS
        weekend = (hour // HOURS + THURSDAY) % 7 >= SATURDAY
        return hour % HOURS + (HOURS if weekend else 0)
