"""How rare is a deviation at least this large, learned online from the deviations of one view of a series.

In: deviations (0 or more), one a window, in any unit. Out: rarities, -log10 P(a deviation at least this large).
Never: a buffer that grows, a look ahead, a probability that a deviation it learned from could not have.

Peaks over a bar: the bar follows the 95 % quantile, what peaks exceed it by has a generalised Pareto law fitted by
moments (River's variance). A deviation that was matched several times before is never rarer than its own share.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from typing import Self

from models.anomaly.full_tuning import (
    BAR_RATE_FIRST,
    BAR_RATE_MIN,
    BAR_SHARE,
    BAR_STEP,
    BAR_WINDOWS,
    EXCESS_MAX,
    JUDGED_FROM,
    LARGEST_KEPT,
    PEAKS_MEMORY,
    PEAKS_MIN,
    RARITY_FEW_PEAKS_MAX,
    REPEATS_MIN,
    SHAPE_MIN,
    SIMILAR,
)
from models.anomaly.statistics import fading_update
from models.anomaly.tails import SHAPE_MAX

LOG_10 = math.log(10.0)
BAR_RARITY = -math.log10(BAR_SHARE)
RATE_MIN_FROM = BAR_RATE_FIRST / BAR_RATE_MIN  # windows from which the bar moves at its slowest rate
RAISE_MAX = 0.5  # of the bar's logarithm at once
FALL_FIRST = -BAR_RATE_FIRST * BAR_STEP * BAR_SHARE
FALL_MIN = math.exp(-BAR_RATE_MIN * BAR_STEP * BAR_SHARE)
NUMBERS = 5  # of a state, before the largest deviations


class Peaks:
    """The tail of one view."""

    __slots__ = ("_bar", "_largest", "_mean", "_peaks", "_seen", "_variance")

    def __init__(self) -> None:
        self._seen = 0.0
        self._bar = 0.0
        self._peaks = self._mean = self._variance = 0.0
        self._largest = array("d")  # ascending, at most LARGEST_KEPT

    def step(self, deviation: float, floor: float) -> float:
        """Rarity of `deviation` (0: at or below the bar, or too young to say), then learn it.

        `floor` > 0, in the same unit, widens the law: so small a difference is no news.
        """
        seen = self._seen = self._seen + 1.0
        bar = self._bar
        excess = deviation - bar
        rarity = 0.0
        if excess > 0.0:
            if seen > JUDGED_FROM:
                rarity = self._rarity(excess, floor)
                matched = len(self._largest) - bisect_left(self._largest, SIMILAR * deviation)
                if matched >= REPEATS_MIN:
                    rarity = min(rarity, -math.log10((matched + 0.5) / seen))
            if seen > BAR_WINDOWS:
                self._learn_excess(excess)
        if excess <= 0.0 and seen > BAR_WINDOWS:  # the usual case, spelled out for its speed
            self._bar = bar * (FALL_MIN if seen > RATE_MIN_FROM else math.exp(FALL_FIRST / seen))
        else:
            self._raise_bar(deviation, seen)
        largest = self._largest
        if len(largest) < LARGEST_KEPT:
            insort(largest, deviation)
        elif deviation > largest[0]:
            del largest[0]
            insort(largest, deviation)
        return rarity

    def deviation_at(self, rarity: float, floor: float) -> float:
        """The deviation whose rarity is `rarity`; the bar itself when it is rarer."""
        decades = (rarity - BAR_RARITY) * LOG_10
        if decades <= 0.0:
            return self._bar
        scale, shape = self._law()
        return self._bar + (scale + floor) / shape * math.expm1(min(shape * decades, 300.0))

    def numbers(self) -> list[float]:
        """Everything it knows."""
        return [self._seen, self._bar, self._peaks, self._mean, self._variance, *self._largest]

    @classmethod
    def of(cls, numbers: list[float]) -> Self:
        """The peaks whose `numbers()` these are."""
        peaks = cls()
        peaks._seen, peaks._bar, peaks._peaks, peaks._mean, peaks._variance = numbers[:NUMBERS]
        peaks._largest = array("d", numbers[NUMBERS:])
        return peaks

    def _rarity(self, excess: float, floor: float) -> float:
        if self._peaks < PEAKS_MIN:
            return BAR_RARITY + min(RARITY_FEW_PEAKS_MAX, excess / (self._bar + floor))
        scale, shape = self._law()
        return BAR_RARITY + math.log1p(shape * excess / (scale + floor)) / shape / LOG_10

    def _law(self) -> tuple[float, float]:
        """Scale and shape by moments."""
        mean = self._mean
        shape = 0.5 * (1.0 - mean * mean / self._variance) if self._variance > 0.0 else 0.0
        shape = min(SHAPE_MAX, max(SHAPE_MIN, shape))
        return mean * (1.0 - shape), shape

    def _learn_excess(self, excess: float) -> None:
        if self._peaks >= PEAKS_MIN:
            excess = min(excess, EXCESS_MAX * self._mean)
        self._peaks, self._mean, self._variance = fading_update(
            self._peaks, self._mean, self._variance, excess, 1.0, PEAKS_MEMORY
        )

    def _raise_bar(self, deviation: float, seen: float) -> None:
        """To the largest of the first windows; then by a step, nineteen times that of a fall, towards the quantile."""
        bar = self._bar
        if seen <= BAR_WINDOWS or bar <= 0.0:
            self._bar = max(bar, deviation)
            return
        rate = (BAR_RATE_MIN if seen > RATE_MIN_FROM else BAR_RATE_FIRST / seen) * BAR_STEP
        self._bar = bar * math.exp(min(RAISE_MAX, rate * (1.0 - BAR_SHARE)))
