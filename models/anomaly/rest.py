"""Turns scores of a grown series into alarms: after one it rests for a while, then asks for a rarer window for a while.

In: event times, rarities. Out: whether it fires. Never: a wall clock; a gap counts as the time it lasted.
"""

from __future__ import annotations

import math
from typing import Final

from models.anomaly.full_tuning import (
    REST_LIFT_DECADES,
    REST_LIFT_RESTS,
    REST_SHARE,
    REST_WINDOWS_MAX,
    REST_WINDOWS_MIN,
)

NEVER: Final = -1.0


def fires(rarity: float, bar: float, *, since_ms: float, spacing_ms: float, seen: int) -> bool:
    """Whether a window of this rarity raises an alarm, `since_ms` after the last one (NEVER: there was none).

    A series rests for a share of the windows it was seen for, so that a young one is soon heard again and an old one
    does not report one event many times.
    """
    if rarity < bar:
        return False
    if since_ms < 0.0 or spacing_ms <= 0.0:
        return True
    rests = since_ms / spacing_ms / min(REST_WINDOWS_MAX, max(REST_WINDOWS_MIN, REST_SHARE * seen))
    return rests >= 1.0 and rarity >= bar + REST_LIFT_DECADES * math.exp(-rests / REST_LIFT_RESTS)
