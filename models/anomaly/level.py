"""Judges a magnitude against the learned level of its series.

In: the state vector, a window. Out: `Level`. Never: changes the state.

Young series: Student's predictive tail, the widest of three views (logarithms, plain values, the step from the
window before). Mature series: the tail learned from the series' own peaks.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, NamedTuple

from models.anomaly.fields import (
    DOWN_MEAN,
    DOWN_N,
    DOWN_VAR,
    DRIFT,
    DRIFT_DOWN_N,
    DRIFT_UP_N,
    EVENTS,
    LIN_MEAN,
    LIN_N,
    LIN_VAR,
    LOG_MEAN,
    LOG_N,
    LOG_VAR,
    OTHERS,
    PEAKS_SEEN,
    PREVIOUS,
    PREVIOUS_AT_MS,
    REAL,
    RUN_ONSET,
    SPACING_MS,
    STEP_MS,
    STEP_N,
    UP_MEAN,
    UP_N,
    UP_VAR,
    ZEROS,
)
from models.anomaly.port import WindowPoint
from models.anomaly.tails import peaks_quantile, peaks_tail, student_quantile, student_tail
from models.anomaly.tuning import (
    CLIP_Z,
    CORRELATION_MAX,
    DRIFT_SHARE,
    EVENTS_RATIO_MAX,
    GAP_RATIO_MAX,
    MATERIAL_RATIO,
    MATURE_WINDOWS,
    MEMORY_MAX,
    PEAK_BAR,
    PEAKS_DOUBT,
    PEAKS_MIN,
    PRIOR_LOG_SD,
    RANGE_P,
    RANGE_Z,
    SPARSE_GAIN,
    STEPS_MIN,
    WARM_UP_WINDOWS,
    Z_MAX,
)

_EXP_MAX: Final = 709.0  # math.exp overflows beyond
_TINY: Final = 1e-150  # its square still is a normal double


class Level(NamedTuple):
    """Where a magnitude lies, in the space it was judged in (logarithms or plain values)."""

    known: bool  # False: no magnitude was ever seen, the rest is empty
    probability: float  # one side, of so large a deviation, with the step taken into account
    level_probability: float  # the same by the level alone
    drift_probability: float  # one side, of so far a mean of the last few windows
    drift_side: int
    drift_z: float  # 0 where no drift is judged
    drift: float  # that mean, in standard deviations of one window
    side: int  # 1 above, -1 below
    ahead_side: int  # the same against what the window before lets expect
    ahead_z: float  # and how far, in standard deviations
    position: float  # the value in that space
    centre: float
    spread: float
    linear_spread: float
    low: float  # 99.9 % range in the metric's unit
    high: float


_UNKNOWN: Final = Level(False, 1.0, 1.0, 1.0, 1, 0.0, 0.0, 1, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def judge_level(state: array[float], point: WindowPoint, value: float, *, is_zero: bool) -> Level:
    """The verdict of the level on one window; for a zero of a series without negatives only the range counts."""
    real = bool(state[REAL])
    n = state[LIN_N] if real else state[LOG_N]
    if n <= 0.0:
        return _UNKNOWN
    thin = state[EVENTS] / point.events if point.events > 0 else 1.0
    thin = 1.0 if thin < 1.0 else (thin if thin < EVENTS_RATIO_MAX else EVENTS_RATIO_MAX)
    position, centre, spread, linear_spread = _place(state, value, n, thin, is_zero=is_zero, real=real)
    deviation = position - centre
    side = 1 if deviation > 0.0 else -1
    z = deviation * side / spread
    if z > Z_MAX:
        z = Z_MAX
    dof = (n if n > WARM_UP_WINDOWS else WARM_UP_WINDOWS) - 1.0
    by_level = student_tail(z, dof)
    floor = MATERIAL_RATIO * (abs(centre) if real else 1.0)
    rho, gap, variance = _memory(state, point, spread, thin)
    ahead = centre + rho * (state[PREVIOUS] - centre)
    ahead_spread = math.sqrt(variance * (1.0 - rho * rho) + floor * floor * thin)
    ahead_side = 1 if position > ahead else -1
    ahead_z = (position - ahead) * ahead_side / ahead_spread
    if ahead_z > Z_MAX:
        ahead_z = Z_MAX
    at = UP_N if ahead_side > 0 else DOWN_N
    mature = state[PEAKS_SEEN] >= MATURE_WINDOWS
    learned = 0.0
    if ahead_z > PEAK_BAR and (mature or state[at] >= PEAKS_DOUBT):
        learned = peaks_tail(ahead_z - PEAK_BAR, state[at], state[PEAKS_SEEN], state[at + 1], state[at + 2])
    if mature:
        side = ahead_side
        probability = learned
        if ahead_z <= PEAK_BAR or state[at] < PEAKS_MIN:
            probability = max(learned, student_tail(ahead_z, dof))
    else:
        if not real and n >= WARM_UP_WINDOWS:
            plain = (value - state[LIN_MEAN]) * side / linear_spread
            by_level = max(by_level, student_tail(plain if plain > 0.0 else 0.0, dof))
        probability = max(by_level, _step_tail(state, position, side, floor, thin, gap))
        if ahead_side == side and learned > probability:
            probability = learned
        ahead, ahead_spread = centre, spread
    onset = state[RUN_ONSET]
    if onset > 0.0 and probability > onset:  # an event is on: it stays as odd as it began while the level is off
        probability = min(probability, max(by_level, onset))
    low, high = _range(state, ahead, ahead_spread, linear_spread, dof, real=real)
    drift, drift_side, drift_z, drift_probability = 0.0, side, 0.0, 1.0
    if real or not is_zero:
        drift = state[DRIFT] + DRIFT_SHARE * ((z if z < CLIP_Z else CLIP_Z) * side - state[DRIFT])
        drift_side = 1 if drift > 0.0 else -1
        drift_z, drift_probability = _drift_tail(state, abs(drift), drift_side, n, spread, thin)
    # fmt: off
    return Level(
        True, probability, by_level, drift_probability, drift_side, drift_z, drift, side,
        ahead_side, ahead_z, position, centre, spread, linear_spread, low, high,
    )
    # fmt: on


def _place(
    state: array[float], value: float, n: float, thin: float, *, is_zero: bool, real: bool
) -> tuple[float, float, float, float]:
    """Position, centre and spread in the space the series is judged in, and the spread in plain values."""
    linear_spread = _spread(state[LIN_VAR], state[LIN_N], MATERIAL_RATIO * abs(state[LIN_MEAN]), thin, 0.0)
    if real:
        return value, state[LIN_MEAN], linear_spread, linear_spread
    centre = state[LOG_MEAN]
    zeros = state[ZEROS]
    prior = 0.0 if zeros == 0.0 else min(1.0, SPARSE_GAIN * zeros / (zeros + state[OTHERS])) * WARM_UP_WINDOWS
    if prior < WARM_UP_WINDOWS - n:
        prior = WARM_UP_WINDOWS - n
    spread = _spread(state[LOG_VAR], n, MATERIAL_RATIO, thin, prior)
    return (centre if is_zero else math.log(value)), centre, spread, linear_spread


def _drift_tail(
    state: array[float], drift: float, side: int, n: float, spread: float, thin: float
) -> tuple[float, float]:
    """How rare so far a mean of the last few windows is.

    Its spread follows from the correlation of neighbours, which the mean square of the steps tells; a young
    series' correlation is taken higher than measured, because few windows show too little of it.
    """
    if n < WARM_UP_WINDOWS:
        n = float(WARM_UP_WINDOWS)
    neighbours = 1.0 - 0.5 * state[STEP_MS] * thin / (spread * spread)
    rho = (neighbours if neighbours > 0.0 else 0.0) + 1.0 / math.sqrt(n)
    if rho > CORRELATION_MAX:
        rho = CORRELATION_MAX
    kept = (1.0 - DRIFT_SHARE) * rho
    variance = DRIFT_SHARE / (2.0 - DRIFT_SHARE) * (1.0 + kept) / (1.0 - kept)
    variance += (1.0 + rho) / (1.0 - rho) / n
    z = drift / math.sqrt(variance)
    at = DRIFT_UP_N if side > 0 else DRIFT_DOWN_N
    probability = student_tail(z, n - 1.0)
    mature = state[PEAKS_SEEN] >= MATURE_WINDOWS
    if z > PEAK_BAR and (mature or state[at] >= PEAKS_DOUBT):
        learned = peaks_tail(z - PEAK_BAR, state[at], state[PEAKS_SEEN], state[at + 1], state[at + 2])
        probability = learned if mature and state[at] >= PEAKS_MIN else max(probability, learned)
    return z, probability


def _spread(variance: float, n: float, floor: float, thin: float, prior: float) -> float:
    """Predictive standard deviation of one more window; `prior` counts as so many windows of PRIOR_LOG_SD."""
    total = n + prior
    variance = (variance * n + PRIOR_LOG_SD * PRIOR_LOG_SD * prior) / (total - 1.0 if total > 2.0 else 1.0)
    return math.sqrt((variance + floor * floor) * (1.0 + 1.0 / total) * thin) + _TINY


def _memory(state: array[float], point: WindowPoint, spread: float, thin: float) -> tuple[float, float, float]:
    """Share of the last window's deviation still expected, the gap since then in usual spacings, the variance."""
    spacing = state[SPACING_MS]
    gap = (point.window_start_ms - state[PREVIOUS_AT_MS]) / spacing if spacing > 0.0 else 1.0
    gap = 1.0 if gap < 1.0 else (gap if gap < GAP_RATIO_MAX else GAP_RATIO_MAX)
    half_step = 0.5 * state[STEP_MS] * thin
    variance = spread * spread
    if state[STEP_N] < STEPS_MIN:
        return 0.0, gap, variance
    if variance <= half_step:  # a level learned from a calm stretch: the steps know better
        return 0.0, gap, half_step
    rho = 1.0 - half_step / variance
    if rho > MEMORY_MAX:
        rho = MEMORY_MAX
    return (rho if gap == 1.0 else rho**gap), gap, variance


def _step_tail(state: array[float], position: float, side: int, floor: float, thin: float, gap: float) -> float:
    """How rare so large a step from the window before is; a gap widens what is expected, as in a random walk."""
    n = state[STEP_N]
    if n < STEPS_MIN:
        return 0.0
    spread = math.sqrt((state[STEP_MS] + 2.0 * floor * floor) * thin * gap) + _TINY
    step = (position - state[PREVIOUS]) * side / spread
    return student_tail(step if step > 0.0 else 0.0, n)


def _range(
    state: array[float], centre: float, spread: float, linear_spread: float, dof: float, *, real: bool
) -> tuple[float, float]:
    """The 99.9 % range of quiet windows, in the metric's unit."""
    seen = state[PEAKS_SEEN]
    up_n, down_n = state[UP_N], state[DOWN_N]
    mature = seen >= MATURE_WINDOWS
    young = 0.0
    if not mature or up_n < PEAKS_MIN or down_n < PEAKS_MIN:
        young = student_quantile(RANGE_Z, dof)
    up = down = young
    if mature or up_n >= PEAKS_DOUBT:
        up = PEAK_BAR + peaks_quantile(RANGE_P, up_n, seen, state[UP_MEAN], state[UP_VAR])
        if up < young and not (mature and up_n >= PEAKS_MIN):
            up = young
    if mature or down_n >= PEAKS_DOUBT:
        down = PEAK_BAR + peaks_quantile(RANGE_P, down_n, seen, state[DOWN_MEAN], state[DOWN_VAR])
        if down < young and not (mature and down_n >= PEAKS_MIN):
            down = young
    low, high = centre - down * spread, centre + up * spread
    if real:
        return low, high
    low = math.exp(low) if low > -_EXP_MAX else 0.0
    high = math.exp(high if high < _EXP_MAX else _EXP_MAX)
    if not mature:
        low = max(0.0, min(low, state[LIN_MEAN] - young * linear_spread))
    return low, high
