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
    LOG_VAR_MAX,
    NOTED,
    STEP_CLIP,
)
from models.anomaly.port import Direction, WindowPoint
from models.anomaly.tuning import MAGNITUDE_MAX, ZERO_MAX

# The level: windows, mean, variance; mean square of the steps; the last window's position and start; usual events of a
# window, from its first ones; and whether logarithms are out of the question: a zero was seen, or a negative value.
N, MEAN, VAR, STEP, PREVIOUS, PREVIOUS_MS, EVENTS, PLAIN = range(8)
HAD_ZERO: Final = 1.0
ANY_SIGN: Final = 2.0
# Upwards, then downwards: the sum, and the windows since it was noteworthy: number, total, start and first offset.
UP, DOWN = 8, 13
SUM, COUNT, TOTAL, ONSET_MS, ONSET_OFFSET = range(5)
SIZE: Final = 18
LOG_MAX: Final = 160.0  # beyond it squares of math.exp, times a clipped variance, overflow
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
    position, start_ms = point.mean, point.window_start_ms
    plain = state[PLAIN]
    if position > ZERO_MAX:
        if not plain:
            position = math.log(position)
    elif not plain or position < -ZERO_MAX:
        plain = _leave_logarithms(state, position)
    if position > MAGNITUDE_MAX or position < -MAGNITUDE_MAX:
        position = math.copysign(MAGNITUDE_MAX, position)
    n, mean, variance = state[N], state[MEAN], state[VAR]
    away = position - mean
    if n >= CHANGE_FROM_WINDOWS:
        floor = CHANGE_FLOOR_RATIO * (abs(mean) if plain else 1.0)
        total = variance * (1.0 + 1.0 / n) + floor * floor
        # The share of the last window's deviation that this one still shows: half of the mean square of the steps is
        # what the variance leaves over. Few windows show too little of it, hence the standard error on top.
        memory = 1.0 - 0.5 * state[STEP] / variance if variance > 0.0 else 0.0
        memory = (memory if memory > 0.0 else 0.0) + n**-0.5
        if memory > CHANGE_CORRELATION_MAX:
            memory = CHANGE_CORRELATION_MAX
        apart_ms = start_ms - state[PREVIOUS_MS]
        if apart_ms > point.window_ms:  # a gap of k windows leaves the k-th power
            memory **= apart_ms / point.window_ms
        error = (away - memory * (state[PREVIOUS] - mean)) / (math.sqrt(total * (1.0 - memory * memory)) + _TINY)
        error = CLIP if error > CLIP else (-CLIP if error < -CLIP else error)
        up, down = state[UP] + error - ALLOWANCE, state[DOWN] - error - ALLOWANCE
        if up > NOTED:
            _extend(state, UP, up, position, start_ms, first_offset)
        elif state[UP] or up > 0.0:
            state[UP] = up if up > 0.0 else 0.0
        if down > NOTED:
            _extend(state, DOWN, down, position, start_ms, first_offset)
        elif state[DOWN] or down > 0.0:
            state[DOWN] = down if down > 0.0 else 0.0
        if up >= HOLD or down >= HOLD:
            state[PREVIOUS], state[PREVIOUS_MS] = position, start_ms
            return _leave(state, UP if up > down else DOWN) if up >= DECISION or down >= DECISION else None
        reach = LEARN_CLIP * math.sqrt(total)
        away = reach if away > reach else (-reach if away < -reach else away)
    else:
        state[EVENTS] += (point.events - state[EVENTS]) / (n + 1.0)
    share = 1.0 / (n + 1.0 if n < CHANGE_MEMORY_WINDOWS else CHANGE_MEMORY_WINDOWS)
    state[MEAN] = mean + share * away
    state[VAR] = (1.0 - share) * (variance + share * away * away)
    if n:
        square, usual = (position - state[PREVIOUS]) ** 2, state[STEP]
        if square > STEP_CLIP * usual and n >= CHANGE_FROM_WINDOWS and usual:
            square = STEP_CLIP * usual
        state[STEP] = usual + (square - usual) / (n if n < CHANGE_MEMORY_WINDOWS else CHANGE_MEMORY_WINDOWS)
    state[N] = n + 1.0
    state[PREVIOUS], state[PREVIOUS_MS] = position, start_ms
    return None


def _leave_logarithms(state: array[float], value: float) -> float:
    """A value that is not above zero came: the series is judged as it is from here on.

    What was learned in logarithms goes on in plain values, as a lognormal law has them.
    """
    if not state[PLAIN] and state[N]:
        variance = min(LOG_VAR_MAX, state[VAR])
        state[MEAN], state[PREVIOUS] = _plain(state[MEAN] + 0.5 * variance), _plain(state[PREVIOUS])
        state[STEP] *= state[MEAN] * state[MEAN]
        state[VAR] = state[MEAN] * state[MEAN] * math.expm1(variance)
        state[UP] = state[DOWN] = 0.0
    state[PLAIN] = ANY_SIGN if value < -ZERO_MAX else HAD_ZERO
    return state[PLAIN]


def _plain(logarithm: float) -> float:
    return math.exp(min(LOG_MAX, max(-LOG_MAX, logarithm)))


def _extend(state: array[float], at: int, total: float, position: float, start_ms: int, first_offset: int) -> None:
    if state[at] <= NOTED:
        state[at + COUNT] = state[at + TOTAL] = 0.0
        state[at + ONSET_MS], state[at + ONSET_OFFSET] = start_ms, first_offset
    state[at] = total
    state[at + COUNT] += 1.0
    state[at + TOTAL] += position


def _leave(state: array[float], at: int) -> Change | None:
    """The windows since the onset are the level now; None when it hardly moved."""
    windows, before = state[at + COUNT], state[MEAN]
    after = state[at + TOTAL] / windows
    onset_ms, onset_offset = int(state[at + ONSET_MS]), int(state[at + ONSET_OFFSET])
    state[N], state[MEAN] = windows, after
    state[UP] = state[DOWN] = 0.0
    if not state[PLAIN]:
        before, after = _plain(before), _plain(after)
    if abs(after - before) < CHANGE_RATIO_MIN * abs(before):
        return None
    return Change("above" if at == UP else "below", before, after, int(windows), onset_ms, onset_offset)
