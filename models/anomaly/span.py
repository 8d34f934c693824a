"""Judges a magnitude against everything its series was seen at: a slow climb far out of that range has no odd step.

In: the state vector, a value. Out: how rare so far a record is; the vector, changed in place. Never: a list that grows.

Of n alike windows the next is a record with probability 1/n. How far a record goes falls off from there: where tails
are exponential (magnitudes are judged in logarithms, which makes power laws so) the spread of n windows is about log
n of their scale, and beating it by e times its width has probability n^-(1 + e). n counts up to SPAN_WINDOWS_MAX
only, because neighbours are alike. The newest windows stay out of the range, so that a climb is not measured against
itself.
"""

from __future__ import annotations

import math
from array import array
from typing import NamedTuple

from models.anomaly.fields import (
    BEFORE_HIGH,
    BEFORE_LOW,
    BLOCK_HIGH,
    BLOCK_LOW,
    BLOCK_N,
    EVENTS,
    REAL,
    SPAN_HIGH,
    SPAN_LOW,
    SPAN_N,
)
from models.anomaly.tuning import (
    EVENTS_RATIO_MAX,
    SPAN_BLOCK_WINDOWS,
    SPAN_FADE,
    SPAN_WIDTH_MIN,
    SPAN_WINDOWS_MAX,
    SPAN_WINDOWS_MIN,
)


class Beyond(NamedTuple):
    """A value outside the range its series was seen in."""

    probability: float  # one side
    side: int  # 1 above, -1 below
    low: float  # the range, in the metric's unit
    high: float


def judge_span(state: array[float], value: float, events: int) -> Beyond | None:
    """None inside the range, and while too little was seen. `value` is above zero unless the series has negatives.

    A window of fewer events than usual scatters more: for it the range is wider by the root of the ratio.
    """
    n = state[SPAN_N]
    low, high = state[SPAN_LOW], state[SPAN_HIGH]
    if n < SPAN_WINDOWS_MIN or low <= value <= high:
        return None
    side = 1 if value > high else -1
    widened = math.sqrt(min(max(state[EVENTS] / max(events, 1), 1.0), EVENTS_RATIO_MAX))
    beyond = _widths(
        value - high if side > 0 else low - value,
        max(high - low, SPAN_WIDTH_MIN * max(abs(low), abs(high))),
        widened,
    )
    if not state[REAL]:  # the less alarming of both spaces: a load that falls from 2 % to 0.2 % has hardly fallen
        ratio = value / high if side > 0 else low / value
        beyond = min(beyond, _widths(math.log(ratio), max(math.log(high / low), SPAN_WIDTH_MIN), widened))
    if beyond <= 0.0:
        return None
    rarity = (1.0 + beyond) * math.log10(min(n, SPAN_WINDOWS_MAX))
    return Beyond(10.0 ** -min(rarity, 300.0), side, low, high)


def _widths(distance: float, width: float, widened: float) -> float:
    """How many of its widths a value lies outside a range, when the range is widened about its middle."""
    return (distance - 0.5 * (widened - 1.0) * width) / (widened * width)


def learn_span(state: array[float], value: float) -> None:
    """Takes the value into the newest block; a full one waits for a block's length and then widens the range."""
    if state[BLOCK_N] == 0.0:
        state[BLOCK_LOW] = state[BLOCK_HIGH] = value
    elif value < state[BLOCK_LOW]:
        state[BLOCK_LOW] = value
    elif value > state[BLOCK_HIGH]:
        state[BLOCK_HIGH] = value
    state[BLOCK_N] += 1.0
    if state[BLOCK_N] < SPAN_BLOCK_WINDOWS:
        return
    state[BLOCK_N] = 0.0
    low, high = state[BEFORE_LOW], state[BEFORE_HIGH]
    if state[SPAN_N] == 0.0:
        state[SPAN_LOW], state[SPAN_HIGH] = low, high
    else:
        state[SPAN_LOW] = min(low, state[SPAN_LOW] + SPAN_FADE * (low - state[SPAN_LOW]))
        state[SPAN_HIGH] = max(high, state[SPAN_HIGH] + SPAN_FADE * (high - state[SPAN_HIGH]))
    # The first block has none before it.
    state[SPAN_N] += SPAN_BLOCK_WINDOWS if high or low else 0.0
    state[BEFORE_LOW], state[BEFORE_HIGH] = state[BLOCK_LOW], state[BLOCK_HIGH]


def forget_span(state: array[float]) -> None:
    """The series has a new level, or is judged in another space: what it was seen at says nothing any more."""
    for at in (SPAN_N, SPAN_LOW, SPAN_HIGH, BEFORE_LOW, BEFORE_HIGH, BLOCK_N):
        state[at] = 0.0
