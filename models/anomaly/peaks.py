"""How rare is a deviation at least this large, learned online from the deviations of one view of a series.

In: the views' vector, a view's place in it, deviations (0 or more), one a window, in any unit. Out: rarities,
-log10 P(a deviation at least this large). Never: a buffer that grows, a look ahead, a probability that a deviation it
learned from could not have.

Peaks over a bar: the bar follows the 95 % quantile, what peaks exceed it by has a generalised Pareto law fitted by
moments (River's variance). A deviation that was matched several times before is never rarer than its own share.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right

from models.anomaly.full_tuning import (
    BAR_RATE_FIRST,
    BAR_RATE_MIN,
    BAR_SHARE,
    BAR_STEP,
    BAR_WINDOWS,
    EXCESS_MAX,
    JUDGED_FROM,
    PEAKS_MEMORY,
    PEAKS_MIN,
    RARITY_FEW_PEAKS_MAX,
    REPEATS_MIN,
    SHAPE_MIN,
    SIMILAR,
)
from models.anomaly.statistics import fading_update
from models.anomaly.tails import SHAPE_MAX
from models.anomaly.view_fields import LARGEST, MEAN, PEAKS, TAIL_SIZE, VARIANCE

LOG_10 = math.log(10.0)
BAR_RARITY = -math.log10(BAR_SHARE)
RATE_MIN_FROM = BAR_RATE_FIRST / BAR_RATE_MIN  # windows from which the bar moves at its slowest rate
RAISE_MAX = 0.5  # of the bar's logarithm at once
FALL_FIRST = -BAR_RATE_FIRST * BAR_STEP * BAR_SHARE
FALL_MIN = math.exp(-BAR_RATE_MIN * BAR_STEP * BAR_SHARE)
NONE_KEPT = -1.0  # where no deviation is remembered yet: below every one


def begin(state: array[float], at: int) -> None:
    """Makes room for a tail that has seen nothing."""
    for place in range(at + LARGEST, at + TAIL_SIZE):
        state[place] = NONE_KEPT


def fall_of(seen: float) -> float:
    """What a bar is multiplied by when the `seen`-th deviation of its view stays below it."""
    return FALL_MIN if seen > RATE_MIN_FROM else math.exp(FALL_FIRST / seen)


def step(state: array[float], at: int, deviation: float, floor: float, seen: float, fall: float) -> float:
    """Rarity of the `seen`-th deviation (0: at or below the bar, or too young to say), then learn it.

    `floor` > 0, in the same unit, widens the law: so small a difference is no news. `fall` is `fall_of(seen)`.
    """
    bar = state[at]  # BAR
    rarity = 0.0
    if deviation <= bar and seen > BAR_WINDOWS:
        state[at] = bar * fall
    else:
        if deviation > bar:
            rarity = _above(state, at, deviation, floor, seen)
        _raise_bar(state, at, deviation, seen)
    if deviation > state[at + LARGEST]:
        _keep(state, at + LARGEST, at + TAIL_SIZE, deviation)
    return rarity


def deviation_at(state: array[float], at: int, rarity: float, floor: float) -> float:
    """The deviation whose rarity is `rarity`; the bar itself when it is rarer."""
    decades = (rarity - BAR_RARITY) * LOG_10
    if decades <= 0.0:
        return state[at]
    scale, shape = _law(state, at)
    reach = shape * decades
    return state[at] + (scale + floor) / shape * math.expm1(reach if reach < 300.0 else 300.0)


def _above(state: array[float], at: int, deviation: float, floor: float, seen: float) -> float:
    """Rarity of a deviation above the bar; its excess is learned."""
    bar = state[at]
    excess = deviation - bar
    rarity = 0.0
    if seen > JUDGED_FROM:
        if state[at + PEAKS] < PEAKS_MIN:
            rarity = BAR_RARITY + min(RARITY_FEW_PEAKS_MAX, excess / (bar + floor))
        else:
            scale, shape = _law(state, at)
            rarity = BAR_RARITY + math.log1p(shape * excess / (scale + floor)) / shape / LOG_10
        end = at + TAIL_SIZE
        matched = end - bisect_left(state, SIMILAR * deviation, at + LARGEST, end)
        if matched >= REPEATS_MIN:
            rarity = min(rarity, -math.log10((matched + 0.5) / seen))
    if seen > BAR_WINDOWS:
        peaks, mean = state[at + PEAKS], state[at + MEAN]
        if peaks >= PEAKS_MIN:
            excess = min(excess, EXCESS_MAX * mean)
        state[at + PEAKS], state[at + MEAN], state[at + VARIANCE] = fading_update(
            peaks, mean, state[at + VARIANCE], excess, 1.0, PEAKS_MEMORY
        )
    return rarity


def _law(state: array[float], at: int) -> tuple[float, float]:
    """Scale and shape by moments."""
    mean, variance = state[at + MEAN], state[at + VARIANCE]
    shape = 0.5 * (1.0 - mean * mean / variance) if variance > 0.0 else 0.0
    if shape < SHAPE_MIN:
        shape = SHAPE_MIN
    elif shape > SHAPE_MAX:
        shape = SHAPE_MAX
    return mean * (1.0 - shape), shape


def _raise_bar(state: array[float], at: int, deviation: float, seen: float) -> None:
    """To the largest of the first windows; then by a step, nineteen times that of a fall, towards the quantile."""
    bar = state[at]
    if seen <= BAR_WINDOWS or bar <= 0.0:
        state[at] = max(bar, deviation)
        return
    rate = (BAR_RATE_MIN if seen > RATE_MIN_FROM else BAR_RATE_FIRST / seen) * BAR_STEP
    state[at] = bar * math.exp(min(RAISE_MAX, rate * (1.0 - BAR_SHARE)))


def _keep(state: array[float], first: int, end: int, deviation: float) -> None:
    """Takes the deviation among the largest, ascending, in place of the smallest."""
    place = bisect_right(state, deviation, first + 1, end) - 1
    state[first:place] = state[first + 1 : place + 1]
    state[place] = deviation
