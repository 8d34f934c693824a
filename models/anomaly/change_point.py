"""Finds lasting changes of a series' level: a two-sided cumulative sum of what the last window does not explain.

In: a vector of SIZE doubles, closed windows of one series in order. Out: the vector changed in place, `Change` when a
level was left. Never: an alarm, a clock, a list that grows.

Page's test (Continuous Inspection Schemes, Biometrika 41, 1954) on standardised one-step errors: all-positive series in
logarithms, others as they are; the correlation of neighbouring windows is taken out first, because sums of correlated
deviations wander by themselves.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, NamedTuple

from models.anomaly.change_tuning import (
    ALLOWANCE,
    CHANGE_CORRELATION_MAX,
    CHANGE_FLOOR_RATIO,
    CHANGE_FROM_WINDOWS,
    CHANGE_MEMORY_WINDOWS,
    CHANGE_RATIO_MIN,
    CLIP,
    DECISION,
    HOLD,
    LEARN_CLIP,
    STEP_CLIP,
)
from models.anomaly.port import Direction, WindowPoint
from models.anomaly.tuning import MAGNITUDE_MAX, ZERO_MAX

# The level: windows, mean, variance; mean square of the steps; the last window's position and start; 1 once a value was
# not above zero (no logarithms from then on).
N, MEAN, VAR, STEP, PREVIOUS, PREVIOUS_MS, PLAIN = range(7)
# Upwards, then downwards: the sum, and the windows since it left zero: number, total, start and first offset.
UP, DOWN = 7, 12
SUM, COUNT, TOTAL, ONSET_MS, ONSET_OFFSET = range(5)
SIZE: Final = 17
_TINY: Final = 1e-150  # its square still is a normal double


class Change(NamedTuple):
    """A level that was left, as soon as that is certain enough."""

    direction: Direction
    before: float  # levels in the metric's unit: of an all-positive series geometric means
    after: float
    windows: int  # closed since the change began
    onset_ms: int  # start of the window it began in, epoch UTC
    onset_offset: int  # of the first event of that window


def fresh() -> array[float]:
    """The vector of a new series."""
    return array("d", bytes(8 * SIZE))


def step(state: array[float], point: WindowPoint, first_offset: int) -> Change | None:
    """Fold one window in; the change of level that it makes certain, if any."""
    position = point.mean
    if not state[PLAIN]:
        if position > ZERO_MAX:
            position = math.log(position)
        else:
            state[:] = fresh()
            state[PLAIN] = 1.0
    if position > MAGNITUDE_MAX or position < -MAGNITUDE_MAX:
        position = math.copysign(MAGNITUDE_MAX, position)
    n, mean = state[N], state[MEAN]
    away = position - mean
    if n >= CHANGE_FROM_WINDOWS:
        floor = CHANGE_FLOOR_RATIO * (abs(mean) if state[PLAIN] else 1.0)
        variance = state[VAR]
        spread = math.sqrt(variance * (1.0 + 1.0 / n) + floor * floor) + _TINY
        error = away
        if variance > 0.0:
            memory = _memory(state, point, n, variance)
            error = (away - memory * (state[PREVIOUS] - mean)) / math.sqrt(1.0 - memory * memory)
        error /= spread
        error = CLIP if error > CLIP else (-CLIP if error < -CLIP else error)
        held = False
        for at, excess in ((UP, error - ALLOWANCE), (DOWN, -error - ALLOWANCE)):
            total = state[at] + excess
            if total > 0.0:
                _extend(state, at, total, position, point, first_offset)
                if total >= DECISION:
                    return _leave(state, at, position, point)
                held = held or total >= HOLD
            else:
                state[at] = state[at + COUNT] = 0.0
        if held:
            state[PREVIOUS], state[PREVIOUS_MS] = position, point.window_start_ms
            return None
        reach = LEARN_CLIP * spread
        away = reach if away > reach else (-reach if away < -reach else away)
    share = 1.0 / (n + 1.0 if n < CHANGE_MEMORY_WINDOWS else CHANGE_MEMORY_WINDOWS)
    state[MEAN] = mean + share * away
    state[VAR] = (1.0 - share) * (state[VAR] + share * away * away)
    if n >= 1.0:
        square = (position - state[PREVIOUS]) ** 2
        if n >= CHANGE_FROM_WINDOWS and state[STEP] > 0.0 and square > STEP_CLIP * state[STEP]:
            square = STEP_CLIP * state[STEP]
        state[STEP] += (square - state[STEP]) / (n if n < CHANGE_MEMORY_WINDOWS else CHANGE_MEMORY_WINDOWS)
    state[N] = n + 1.0
    state[PREVIOUS], state[PREVIOUS_MS] = position, point.window_start_ms
    return None


def _memory(state: array[float], point: WindowPoint, n: float, variance: float) -> float:
    """The share of the last window's deviation that this one still shows.

    Half of the mean square of the steps is what the variance leaves over; few windows show too little of it, hence the
    standard error on top. A gap of k windows leaves the k-th power.
    """
    memory = 1.0 - 0.5 * state[STEP] / variance
    memory = (memory if memory > 0.0 else 0.0) + 1.0 / math.sqrt(n)
    if memory > CHANGE_CORRELATION_MAX:
        memory = CHANGE_CORRELATION_MAX
    apart = (point.window_start_ms - state[PREVIOUS_MS]) / point.window_ms
    return float(memory**apart) if apart > 1.0 else memory


def _extend(state: array[float], at: int, total: float, position: float, point: WindowPoint, first_offset: int) -> None:
    if state[at + COUNT] == 0.0:
        state[at + TOTAL] = 0.0
        state[at + ONSET_MS], state[at + ONSET_OFFSET] = point.window_start_ms, first_offset
    state[at] = total
    state[at + COUNT] += 1.0
    state[at + TOTAL] += position


def _leave(state: array[float], at: int, position: float, point: WindowPoint) -> Change | None:
    """The windows since the onset are the level now; None when it hardly moved."""
    windows, before = state[at + COUNT], state[MEAN]
    after = state[at + TOTAL] / windows
    onset_ms, onset_offset = int(state[at + ONSET_MS]), int(state[at + ONSET_OFFSET])
    state[N], state[MEAN] = windows, after
    state[PREVIOUS], state[PREVIOUS_MS] = position, point.window_start_ms
    for side in (UP, DOWN):
        state[side] = state[side + COUNT] = 0.0
    if not state[PLAIN]:
        before, after = math.exp(before), math.exp(after)
    if abs(after - before) < CHANGE_RATIO_MIN * abs(before):
        return None
    return Change("above" if at == UP else "below", before, after, int(windows), onset_ms, onset_offset)
