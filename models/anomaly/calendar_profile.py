"""What a series usually is at this hour of the day, on working days and on weekends.

In: the views' vector, event times in milliseconds (UTC), values. Out: what the hour lets expect. Never: a season's
length found by search, a local time zone: hours drift by an hour twice a year, and the profile follows.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from models.anomaly.full_tuning import PROFILE_RATE
from models.anomaly.view_fields import HOURS_KEPT, PROFILE

HOUR_MS: Final = 3_600_000
HOURS: Final = 24
THURSDAY: Final = 3  # of 1 January 1970, with Monday as 0
SATURDAY: Final = 5


def begin(state: array[float]) -> None:
    """No hour is known."""
    for place in range(PROFILE, PROFILE + HOURS_KEPT):
        state[place] = math.nan


def residual(state: array[float], at_ms: int, value: float) -> float:
    """`value` less what its hour lets expect (0 when nothing is known), then learn it.

    An hour never seen borrows that of the other kind of day.
    """
    hour = at_ms // HOUR_MS
    slot = hour % HOURS
    weekend = (hour // HOURS + THURSDAY) % 7 >= SATURDAY
    place = PROFILE + HOURS + slot if weekend else PROFILE + slot
    mean = state[place]
    if mean == mean:
        found = value - mean
        state[place] = mean + PROFILE_RATE * found
        return found
    state[place] = value
    other = state[PROFILE + slot if weekend else PROFILE + HOURS + slot]
    return value - other if other == other else 0.0
