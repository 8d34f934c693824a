"""The views of a grown series: the hour it is, level, spread, look-alikes, records, standstill; each with its own tail.

In: event time, value and a weight of trust, one a window. Out: `Sight`. Never: a look ahead, a file's length or range.

Each view turns the window into a deviation, its peaks say how rare that is, and a norm joins them. The arithmetic of
fading means stands here in plain lines, because their weight follows the time between windows.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, NamedTuple, Self

from models.anomaly import calendar_profile, extremes, peaks, stillness
from models.anomaly.full_tuning import (
    COARSE_LAG_MIN,
    COARSE_LAGS,
    COARSE_MEMORY,
    COARSE_WINDOWS,
    GAP_WINDOWS_MAX,
    JOIN_MS,
    JOIN_WINDOWS,
    JUDGED_FROM,
    LEVEL_LONG_WINDOWS,
    LONGER_WINDOWS,
    MATERIAL_SHARE,
    PAST_LAG_MIN,
    PAST_LAGS,
    PAST_MEMORY,
    RECENT_WINDOWS,
    TINY,
    UNION_POWER,
)
from models.anomaly.nearest_past import NearestPast
from models.anomaly.port import StateValue
from models.anomaly.view_fields import COURSE, DAY, HOUR, HOURS, LEVEL, SHAPE, SIZE, SPREAD, TAIL_SIZE, TAILS

VIEWS: Final = ("hour", "hours", "day", "level", "spread", "shape", "course", "record", "still")
WORDS: Final = {
    "hour": "for this hour of the day",
    "hours": "for these hours, with the windows just before it",
    "day": "for this time of day, with the last hours",
    "level": "in the level of the last windows against the longer one",
    "spread": "in the spread of the last windows",
    "shape": "in the shape of the last windows: nothing like it came before",
    "course": "in the course of the last hours: nothing like it came before",
    "record": "beyond everything seen so far",
    "still": "because it stays exactly the same: never before for so long",
}

peaks_step, fall_of = peaks.step, peaks.fall_of  # looked up seven times a window
RECENT_RATE: Final = 1.0 / RECENT_WINDOWS
LONGER_RATE: Final = 1.0 / LONGER_WINDOWS
LEVEL_RATE: Final = 1.0 / LEVEL_LONG_WINDOWS


class Sight(NamedTuple):
    """What the views say about one window."""

    rarity: float  # all views together, -log10 P before the number of looks is counted
    view: str  # the view that finds it rarest
    expected: float  # of this hour
    side: int  # 1 above, -1 below what is expected


class Views:
    """All views of one series."""

    __slots__ = (
        *("_at_ms", "_coarse", "_coarse_held", "_coarse_sum", "_courses_seen", "_day", "_first_ms", "_hours", "_level"),
        *("_long", "_origin", "_past", "_recent", "_scale", "_seen", "_shapes_seen", "_spacing_ms", "_state"),
        "_variance",
    )

    def __init__(self) -> None:
        self._seen = self._origin = self._first_ms = self._at_ms = self._spacing_ms = 0.0
        self._recent = self._long = self._variance = self._level = self._hours = self._day = 0.0
        self._scale = self._coarse_held = self._coarse_sum = self._shapes_seen = self._courses_seen = 0.0
        self._past = NearestPast(lags=PAST_LAGS, memory=PAST_MEMORY, lag_min=PAST_LAG_MIN)
        self._coarse = NearestPast(lags=COARSE_LAGS, memory=COARSE_MEMORY, lag_min=COARSE_LAG_MIN)
        state = self._state = array("d", bytes(8 * SIZE))
        calendar_profile.begin(state)
        stillness.begin(state)
        for tail in range(TAILS):
            peaks.begin(state, tail * TAIL_SIZE)

    @property
    def spacing_ms(self) -> float:
        """Usual distance of two windows; 0 before the second."""
        return self._spacing_ms

    @property
    def grown(self) -> bool:
        """Whether they have learned enough to judge: windows and event time."""
        return self._seen > JOIN_WINDOWS and self._at_ms - self._first_ms >= JOIN_MS

    def step(self, at_ms: int, value: float, trust: float) -> Sight:
        """Judge the window by what was seen before it, then learn from it.

        `trust` in (0, 1]: a window of few events is pulled towards the recent level by this share of its distance.
        """
        seen = self._seen = self._seen + 1.0
        if seen == 1.0:
            self._origin = value
            self._first_ms = float(at_ms)
        origin = self._origin
        value -= origin
        if trust < 1.0:
            value = self._recent + trust * (value - self._recent)
        gap = self._gap(at_ms)
        recent_rate = 1.0 - (1.0 - RECENT_RATE) ** gap if gap > 1.0 else RECENT_RATE
        longer_rate, level_rate = LONGER_RATE, LEVEL_RATE
        if seen < LEVEL_LONG_WINDOWS:  # a plain mean until the memory is full
            first = 1.0 / seen
            recent_rate, longer_rate, level_rate = max(recent_rate, first), max(longer_rate, first), first
        recent, long, level = self._recent, self._long, self._level
        recent += recent_rate * (value - recent)
        long += level_rate * (value - long)
        level += level_rate * (abs(value + origin) - level)
        off = value - recent
        self._variance = variance = self._variance + recent_rate * (off * off - self._variance)
        self._recent, self._long, self._level = recent, long, level
        state = self._state
        residual = calendar_profile.residual(state, at_ms, value)
        hours, day = self._hours, self._day
        hours += recent_rate * (residual - hours)
        day += longer_rate * (residual - day)
        self._hours, self._day = hours, day
        floor = MATERIAL_SHARE * level + TINY
        fall = fall_of(seen)
        found = (
            peaks_step(state, HOUR, abs(residual), floor, seen, fall),
            peaks_step(state, HOURS, abs(hours), floor, seen, fall),
            peaks_step(state, DAY, abs(day), floor, seen, fall),
            peaks_step(state, LEVEL, abs(recent - long), floor, seen, fall),
            peaks_step(state, SPREAD, math.sqrt(variance), floor, seen, fall),
            *self._look_back(value, floor),
            extremes.step(state, value),
            stillness.step(state, value),
        )
        rarity, view = _together(found)
        return Sight(rarity, view, value - residual + origin, 1 if residual >= 0.0 else -1)

    def reach(self, rarity: float) -> float:
        """How far from what its hour lets expect a value of this rarity lies."""
        return peaks.deviation_at(self._state, HOUR, rarity, MATERIAL_SHARE * self._level + TINY)

    def state(self) -> list[StateValue]:
        """Everything it knows: vector and buffers as bytes, then plain numbers."""
        scalars = [getattr(self, name) for name in _SCALARS]
        return [self._state.tobytes(), self._past.packed(), self._coarse.packed(), *scalars]

    @classmethod
    def of(cls, state: list[StateValue]) -> Self:
        """The views whose `state()` this is."""
        views = cls()
        vector, past, coarse, *rest = state
        if not (isinstance(vector, bytes) and isinstance(past, bytes) and isinstance(coarse, bytes)):
            raise ValueError("buffers of the views are not bytes: start a new scorer, its series learns again")
        views._state = array("d", vector)
        views._past.unpack(past)
        views._coarse.unpack(coarse)
        for name, number in zip(_SCALARS, rest, strict=True):
            setattr(views, name, float(number))
        return views

    def _gap(self, at_ms: int) -> float:
        """Distance to the window before, in usual distances: 1 to GAP_WINDOWS_MAX."""
        before = self._at_ms
        away = at_ms - before
        spacing = self._spacing_ms
        self._at_ms = float(at_ms)
        if before == 0.0 or away <= 0.0:
            return 1.0
        if spacing <= 0.0:
            self._spacing_ms = away
            return 1.0
        self._spacing_ms = spacing + 0.05 * ((away if away < 4.0 * spacing else 4.0 * spacing) - spacing)
        gap = away / spacing
        return 1.0 if gap < 1.0 else (gap if gap < GAP_WINDOWS_MAX else GAP_WINDOWS_MAX)

    def _look_back(self, value: float, floor: float) -> tuple[float, float]:
        """Rarity of the distance to the nearest look-alike: window by window, and in means of several."""
        scale = self._scale
        if scale <= 0.0:
            if self._seen < JUDGED_FROM or self._variance <= 0.0:
                return 0.0, 0.0
            scale = self._scale = math.sqrt(self._variance)
            if scale <= 0.0:
                return 0.0, 0.0
        value /= scale
        floor /= scale
        shape = self._past.step(value)
        if shape > 0.0:
            seen = self._shapes_seen = self._shapes_seen + 1.0
            shape = peaks_step(self._state, SHAPE, shape, floor, seen, fall_of(seen))
        self._coarse_sum += value
        self._coarse_held += 1.0
        if self._coarse_held < COARSE_WINDOWS:
            return shape, 0.0
        course = self._coarse.step(self._coarse_sum / COARSE_WINDOWS)
        self._coarse_sum = self._coarse_held = 0.0
        if course > 0.0:
            seen = self._courses_seen = self._courses_seen + 1.0
            course = peaks_step(self._state, COURSE, course, floor, seen, fall_of(seen))
        return shape, course


_SCALARS: Final = tuple(name for name in Views.__slots__ if name not in ("_coarse", "_past", "_state"))


def _together(found: tuple[float, ...]) -> tuple[float, str]:
    """The norm of all rarities, and the name of the largest."""
    largest = max(found)
    if largest <= 0.0:
        return 0.0, VIEWS[0]
    total = 0.0
    for rarity in found:
        if rarity > 0.0:
            total += (rarity / largest) ** UNION_POWER
    at = found.index(largest)
    return largest * total ** (1.0 / UNION_POWER), VIEWS[at]
