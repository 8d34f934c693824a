"""Turns scores into alarms: one event is one alarm.

In: the state vector of a series, the tail probability of a window. Out: whether it fires.
Never: looks at values.

It fires when the score reaches the threshold, rests until REARM_WINDOWS windows in a row stayed below it, and
then asks for a rarer window for a while (the lift), so that an unsettled series does not fire again and again.
"""

from __future__ import annotations

import math
from array import array

from models.anomaly.fields import EVENT_ON, QUIET, SINCE
from models.anomaly.tuning import LIFT_DECADES, LIFT_WINDOWS, REARM_WINDOWS


def step(state: array[float], probability: float, score: float, *, score_min: float) -> bool:
    """Advance the alarm by one window; True when it fires."""
    if state[SINCE] >= 0.0:
        state[SINCE] += 1.0
    if score < score_min:
        if state[EVENT_ON]:
            state[QUIET] += 1.0
            if state[QUIET] >= REARM_WINDOWS:
                state[EVENT_ON] = 0.0
        return False
    state[QUIET] = 0.0
    if state[EVENT_ON]:
        return False
    if state[SINCE] >= 0.0:
        lift = LIFT_DECADES * math.exp(-state[SINCE] / LIFT_WINDOWS)
        if probability > (1.0 - score_min) * 10.0**-lift:
            return False
    state[EVENT_ON] = 1.0
    state[SINCE] = 0.0
    return True
