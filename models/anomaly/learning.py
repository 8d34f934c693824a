"""What a series learns from a window: level, steps, peaks, shares, and a new level once it lasts.

In: the state vector, a window, its judgement. Out: the vector, changed in place. Never: judges.

A window that was flagged teaches at a tenth of the weight and pulled towards the level; REBASELINE_WINDOWS
flagged windows in a row on one side are the new level.
"""

from __future__ import annotations

import math
from array import array

from models.anomaly.fields import (
    DOWN_N,
    DRIFT,
    DRIFT_DOWN_N,
    DRIFT_UP_N,
    EVENTS,
    HITS,
    LIN_MEAN,
    LIN_N,
    LIN_VAR,
    LOG_MEAN,
    LOG_N,
    LOG_VAR,
    MIXED,
    ONES,
    OTHERS,
    PEAKS_SEEN,
    PREVIOUS,
    PREVIOUS_AT_MS,
    REAL,
    RECENT_HITS,
    RECENT_TRIALS,
    ROW_CLASS,
    ROW_LOG_P,
    RUN_HITS,
    RUN_LIN_MEAN,
    RUN_LIN_VAR,
    RUN_LOG_MEAN,
    RUN_LOG_N,
    RUN_LOG_VAR,
    RUN_N,
    RUN_ONSET,
    RUN_SIDE,
    RUN_TRIALS,
    SEEN,
    SPACING_MS,
    STEP_MS,
    STEP_N,
    SURPLUS,
    TRIALS,
    UP_N,
    ZEROS,
)
from models.anomaly.level import Level
from models.anomaly.port import WindowPoint
from models.anomaly.span import forget_span, learn_span
from models.anomaly.statistics import fading_update
from models.anomaly.tuning import (
    CLIP_Z,
    COUNT_WINDOWS,
    DRIFT_SHARE,
    FLAG_P,
    FLAG_WEIGHT,
    LEVEL_WINDOWS,
    ODD_P,
    PEAK_BAR,
    PEAK_EXCESS_FIRST,
    PEAK_EXCESS_MAX,
    PEAKS_DOUBT,
    PEAKS_WINDOWS,
    RARE_SHARE,
    RATE_FADE,
    REBASELINE_WINDOWS,
    RECENT_EVENTS,
    RECENT_SHARE_MIN,
    RUN_P,
    STEPS_MIN,
    SURPLUS_MAX,
    WEIGHT_MIN,
)


def leave_logarithms(state: array[float]) -> None:
    """A negative value came: from here on the series is judged in plain values."""
    state[REAL] = 1.0
    zeros, others = state[ZEROS], state[LIN_N]
    total = zeros + others
    if total > 0.0:  # its zeros were kept apart until now
        mean = state[LIN_MEAN]
        state[LIN_VAR] = (state[LIN_VAR] * others + mean * mean * zeros * others / total) / total
        state[LIN_MEAN] = mean * others / total
        state[LIN_N] = min(total, LEVEL_WINDOWS)
    state[DRIFT] = 0.0
    state[STEP_N] = 0.0
    state[STEP_MS] = 0.0
    state[RUN_N] = 0.0
    state[RUN_ONSET] = 0.0
    forget_span(state)


def count_row(state: array[float], *, is_zero: bool) -> float:
    """Count a zero or a non-zero; half the probability of the present row of its kind (one side of two).

    The k-th of a row is as likely as its share so far (Laplace's rule); while the kind is rare the row's
    probabilities multiply, so a lasting change from constant zero grows rarer with every window.
    """
    kind, count_at = (0.0, ZEROS) if is_zero else (1.0, OTHERS)
    total = state[ZEROS] + state[OTHERS]
    share = (state[count_at] + 1.0) / (total + 2.0)
    if state[ROW_CLASS] != kind:
        state[ROW_CLASS] = kind
        state[ROW_LOG_P] = 0.0
    if state[ROW_LOG_P] < 0.0 or share < RARE_SHARE:
        state[ROW_LOG_P] = max(-100.0, state[ROW_LOG_P] + math.log(share))
        share = math.exp(state[ROW_LOG_P])
    if total >= COUNT_WINDOWS:
        state[ZEROS] *= 1.0 - 1.0 / COUNT_WINDOWS
        state[OTHERS] *= 1.0 - 1.0 / COUNT_WINDOWS
    state[count_at] += 1.0
    return 0.5 * share


def recent_share(state: array[float]) -> float:
    """Share of the recent windows of a zero-one series that is handed over at each window.

    A quarter as in the drift, less where windows hold few events: about RECENT_EVENTS must be there to compare.
    """
    share = state[EVENTS] * rate_scale(state) / RECENT_EVENTS
    return min(DRIFT_SHARE, max(RECENT_SHARE_MIN, share))


def rate_scale(state: array[float]) -> float:
    """Independent events an event of a zero-one series stands for.

    Until a window held zeros and ones side by side, all events of a window count as one: a gauge repeats itself.
    """
    return 1.0 if state[MIXED] > 0.0 or state[EVENTS] < 1.0 else 1.0 / state[EVENTS]


def learn(
    state: array[float],
    point: WindowPoint,
    value: float,
    level: Level | None,
    *,
    is_zero: bool,
    by_rate: bool = False,
    probability: float = 1.0,
) -> None:
    """Fold one window into the state. `level` is None during the warm-up."""
    has_magnitude = bool(state[REAL]) or not is_zero
    position = value if state[REAL] else (math.log(value) if has_magnitude else 0.0)
    by_level = probability
    if level is not None and level.known and has_magnitude:
        if not by_rate:
            by_level = min(level.level_probability, level.drift_probability)
        _learn_peaks(state, level)
    in_run = _extend_run(state, point, value, position, by_level, probability, level, has_magnitude=has_magnitude)
    if in_run and state[RUN_N] >= REBASELINE_WINDOWS:
        _adopt_run(state)
    elif has_magnitude:
        _learn_level(state, point, value, position, level, by_level)
    if has_magnitude:
        _learn_step(state, point, position)
        learn_span(state, value)
    if state[ONES]:
        _learn_rate(state, value * point.events, float(point.events), probability)
    seen = state[SEEN] = state[SEEN] + 1.0
    state[EVENTS] += (point.events - state[EVENTS]) / min(seen, LEVEL_WINDOWS)


def _learn_level(
    state: array[float],
    point: WindowPoint,
    value: float,
    position: float,
    level: Level | None,
    by_level: float,
) -> None:
    weight = 1.0 if point.events >= state[EVENTS] else max(WEIGHT_MIN, point.events / state[EVENTS])
    if level is not None and level.known and by_level < FLAG_P:
        weight *= FLAG_WEIGHT
        position = _clip(position, level.centre, CLIP_Z * level.spread)
        value = _clip(value, state[LIN_MEAN], CLIP_Z * level.linear_spread)
    state[LIN_N], state[LIN_MEAN], state[LIN_VAR] = fading_update(
        state[LIN_N], state[LIN_MEAN], state[LIN_VAR], value, weight, LEVEL_WINDOWS
    )
    if not state[REAL]:
        state[LOG_N], state[LOG_MEAN], state[LOG_VAR] = fading_update(
            state[LOG_N], state[LOG_MEAN], state[LOG_VAR], position, weight, LEVEL_WINDOWS
        )


def _learn_step(state: array[float], point: WindowPoint, position: float) -> None:
    """Mean square of the steps between neighbours; a step over a gap counts as so many smaller ones."""
    away = point.window_start_ms - state[PREVIOUS_AT_MS]
    if state[PREVIOUS_AT_MS] != 0.0 and away > 0.0:
        n = state[STEP_N]
        spacing = state[SPACING_MS]
        gap = max(1.0, away / spacing) if spacing > 0.0 else 1.0
        state[SPACING_MS] = spacing + (min(away, 4.0 * spacing) - spacing) * 0.05 if spacing > 0.0 else away
        square = (position - state[PREVIOUS]) ** 2 / gap
        if n >= STEPS_MIN and state[STEP_MS] > 0.0:
            square = min(square, CLIP_Z * CLIP_Z * state[STEP_MS])
        state[STEP_N] = n = min(n + 1.0, LEVEL_WINDOWS)
        state[STEP_MS] += (square - state[STEP_MS]) / n
    state[PREVIOUS] = position
    state[PREVIOUS_AT_MS] = point.window_start_ms


def _learn_rate(state: array[float], hits: float, events: float, probability: float) -> None:
    """The last few windows are handed over little by little: what they are compared with hardly holds them."""
    trials = state[TRIALS]
    if trials > 0.0 and probability > ODD_P:
        rate = (state[HITS] + 0.5) / (trials + 1.0)
        surplus = (hits - events * rate) ** 2 * rate_scale(state) / (events * rate * (1.0 - rate))
        surplus = min(SURPLUS_MAX, surplus)
        state[SURPLUS] += (surplus - state[SURPLUS]) / min(state[SEEN] + 1.0, LEVEL_WINDOWS)
    share = recent_share(state)
    state[HITS] = state[HITS] * RATE_FADE + share * state[RECENT_HITS]
    state[TRIALS] = state[TRIALS] * RATE_FADE + share * state[RECENT_TRIALS]
    state[RECENT_HITS] = (1.0 - share) * state[RECENT_HITS] + hits
    state[RECENT_TRIALS] = (1.0 - share) * state[RECENT_TRIALS] + events


def _learn_peaks(state: array[float], level: Level) -> None:
    state[DRIFT] = level.drift
    if state[RUN_ONSET] > 0.0:  # inside an event, after its first window: these are not what quiet looks like
        return
    if state[PEAKS_SEEN] >= PEAKS_WINDOWS:
        for at in (PEAKS_SEEN, UP_N, DOWN_N, DRIFT_UP_N, DRIFT_DOWN_N):
            state[at] *= 1.0 - 1.0 / PEAKS_WINDOWS
    state[PEAKS_SEEN] += 1.0
    if level.ahead_z > PEAK_BAR:
        _learn_peak(state, UP_N if level.ahead_side > 0 else DOWN_N, level.ahead_z - PEAK_BAR)
    if level.drift_z > PEAK_BAR:
        _learn_peak(state, DRIFT_UP_N if level.drift_side > 0 else DRIFT_DOWN_N, level.drift_z - PEAK_BAR)


def _learn_peak(state: array[float], at: int, excess: float) -> None:
    known = state[at] >= PEAKS_DOUBT
    excess = min(excess, PEAK_EXCESS_MAX * state[at + 1] if known else PEAK_EXCESS_FIRST)
    state[at], state[at + 1], state[at + 2] = fading_update(
        state[at], state[at + 1], state[at + 2], excess, 1.0, PEAKS_WINDOWS
    )


def _extend_run(
    state: array[float],
    point: WindowPoint,
    value: float,
    position: float,
    by_level: float,
    probability: float,
    level: Level | None,
    *,
    has_magnitude: bool,
) -> bool:
    """Keep the statistics of the present row of off-level windows; True when this window belongs to it."""
    if by_level >= RUN_P or level is None:
        if state[RUN_N] > 0.0:
            state[RUN_N] = max(0.0, state[RUN_N] - 2.0)
            if state[RUN_N] == 0.0:
                state[RUN_ONSET] = 0.0
        return False
    side = 1.0 if has_magnitude else -1.0
    if level.known and has_magnitude:
        by_drift = level.drift_probability < level.level_probability
        side = float(level.drift_side if by_drift else level.side)
    if state[RUN_N] == 0.0 or state[RUN_SIDE] != side:
        for at in range(RUN_N, RUN_TRIALS + 1):
            state[at] = 0.0
        state[RUN_SIDE] = side
    state[RUN_N] += 1.0
    if probability < RUN_P and (state[RUN_ONSET] == 0.0 or probability < state[RUN_ONSET]):
        state[RUN_ONSET] = probability
    state[RUN_HITS] += value * point.events
    state[RUN_TRIALS] += point.events
    if has_magnitude:
        n = state[RUN_LOG_N]
        _, state[RUN_LIN_MEAN], state[RUN_LIN_VAR] = fading_update(
            n, state[RUN_LIN_MEAN], state[RUN_LIN_VAR], value, 1.0, LEVEL_WINDOWS
        )
        state[RUN_LOG_N], state[RUN_LOG_MEAN], state[RUN_LOG_VAR] = fading_update(
            n, state[RUN_LOG_MEAN], state[RUN_LOG_VAR], position, 1.0, LEVEL_WINDOWS
        )
    return True


def _adopt_run(state: array[float]) -> None:
    """The row has lasted: its windows become the level, the former level is forgotten, the tails stay."""
    n = state[RUN_LOG_N]
    state[LIN_N], state[LIN_MEAN], state[LIN_VAR] = n, state[RUN_LIN_MEAN], state[RUN_LIN_VAR]
    state[LOG_N], state[LOG_MEAN], state[LOG_VAR] = n, state[RUN_LOG_MEAN], state[RUN_LOG_VAR]
    state[ZEROS], state[OTHERS] = max(0.0, state[RUN_N] - n), n
    state[HITS], state[TRIALS] = state[RUN_HITS], state[RUN_TRIALS]
    state[RECENT_HITS] = state[RECENT_TRIALS] = 0.0
    state[DRIFT] = 0.0
    state[ROW_LOG_P] = 0.0
    state[RUN_N] = state[RUN_ONSET] = 0.0
    forget_span(state)


def _clip(value: float, centre: float, reach: float) -> float:
    return min(centre + reach, max(centre - reach, value))
