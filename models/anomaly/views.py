"""The views of a grown series: the hour it is, level, spread, look-alikes, records; each with its own tail.

In: event time, value and a weight of trust, one a window. Out: `Sight`. Never: a look ahead, a file's length or range.

Each view turns the window into a deviation, its `Peaks` say how rare that is, and a norm joins them. The arithmetic of
fading means stands here in plain lines, because their weight follows the time between windows.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Self

from models.anomaly.calendar_profile import CalendarProfile
from models.anomaly.extremes import Extremes
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
from models.anomaly.peaks import Peaks
from models.anomaly.port import StateValue

VIEWS: Final = ("hour", "hours", "day", "level", "spread", "shape", "course")
WORDS: Final = {
    "hour": "for this hour of the day",
    "hours": "for these hours, with the windows just before it",
    "day": "for this time of day, with the last hours",
    "level": "in the level of the last windows against the longer one",
    "spread": "in the spread of the last windows",
    "shape": "in the shape of the last windows: nothing like it came before",
    "course": "in the course of the last hours: nothing like it came before",
    "record": "beyond everything seen so far",
}

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
        *(
            "_at_ms",
            "_coarse",
            "_coarse_held",
            "_coarse_sum",
            "_day",
            "_extremes",
            "_first_ms",
            "_hours",
            "_level",
            "_long",
        ),
        *("_origin", "_past", "_peaks", "_profile", "_recent", "_scale", "_seen", "_spacing_ms", "_variance"),
    )

    def __init__(self) -> None:
        self._seen = self._origin = self._first_ms = self._at_ms = self._spacing_ms = 0.0
        self._recent = self._long = self._variance = self._level = self._hours = self._day = 0.0
        self._scale = self._coarse_held = self._coarse_sum = 0.0
        self._profile = CalendarProfile()
        self._extremes = Extremes()
        self._past = NearestPast(lags=PAST_LAGS, memory=PAST_MEMORY, lag_min=PAST_LAG_MIN)
        self._coarse = NearestPast(lags=COARSE_LAGS, memory=COARSE_MEMORY, lag_min=COARSE_LAG_MIN)
        self._peaks = tuple(Peaks() for _ in VIEWS)

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
        value -= self._origin
        if trust < 1.0:
            value = self._recent + trust * (value - self._recent)
        gap = self._gap(at_ms)
        recent_rate = 1.0 - (1.0 - RECENT_RATE) ** gap if gap > 1.0 else RECENT_RATE
        longer_rate, level_rate = LONGER_RATE, LEVEL_RATE
        if seen < LEVEL_LONG_WINDOWS:  # a plain mean until the memory is full
            first = 1.0 / seen
            recent_rate, longer_rate, level_rate = max(recent_rate, first), max(longer_rate, first), first
        self._recent += recent_rate * (value - self._recent)
        self._long += level_rate * (value - self._long)
        self._level += level_rate * (abs(value + self._origin) - self._level)
        off = value - self._recent
        self._variance += recent_rate * (off * off - self._variance)
        residual = self._profile.residual(at_ms, value)
        self._hours += recent_rate * (residual - self._hours)
        self._day += longer_rate * (residual - self._day)
        shape, course = self._look_back(value)
        floor = MATERIAL_SHARE * self._level + TINY
        floor_scaled = floor / self._scale if self._scale > 0.0 else TINY
        hour, hours, day, level, spread, shapes, courses = self._peaks
        found = (
            hour.step(abs(residual), floor),
            hours.step(abs(self._hours), floor),
            day.step(abs(self._day), floor),
            level.step(abs(self._recent - self._long), floor),
            spread.step(math.sqrt(self._variance), floor),
            shapes.step(shape, floor_scaled) if shape > 0.0 else 0.0,
            courses.step(course, floor_scaled) if course > 0.0 else 0.0,
            self._extremes.step(value),
        )
        rarity, view = _together(found)
        return Sight(rarity, view, value - residual + self._origin, 1 if residual >= 0.0 else -1)

    def reach(self, rarity: float) -> float:
        """How far from what its hour lets expect a value of this rarity lies."""
        return self._peaks[0].deviation_at(rarity, MATERIAL_SHARE * self._level + TINY)

    def state(self) -> list[StateValue]:
        """Everything it knows, as plain values; buffers as bytes."""
        scalars = [getattr(self, name) for name in _SCALARS]
        lists: list[StateValue] = []
        for numbers in (self._extremes.numbers(), *(peaks.numbers() for peaks in self._peaks)):
            lists += [len(numbers), *numbers]
        return [self._profile.packed(), self._past.packed(), self._coarse.packed(), *scalars, *lists]

    @classmethod
    def of(cls, state: list[StateValue]) -> Self:
        """The views whose `state()` this is."""
        views = cls()
        profile, past, coarse, *rest = state
        if not (isinstance(profile, bytes) and isinstance(past, bytes) and isinstance(coarse, bytes)):
            raise ValueError("buffers of the views are not bytes: start a new scorer, its series learns again")
        views._profile = CalendarProfile.of(profile)
        views._past.unpack(past)
        views._coarse.unpack(coarse)
        numbers = [float(number) for number in rest if not isinstance(number, str | bytes)]
        for name, number in zip(_SCALARS, numbers, strict=False):
            setattr(views, name, number)
        lists, at = [], len(_SCALARS)
        while at < len(numbers):
            end = at + 1 + int(numbers[at])
            lists.append(numbers[at + 1 : end])
            at = end
        views._extremes = Extremes.of(lists[0])
        views._peaks = tuple(Peaks.of(held) for held in lists[1:])
        return views

    def _gap(self, at_ms: int) -> float:
        """Distance to the window before, in usual distances: 1 to GAP_WINDOWS_MAX."""
        away = at_ms - self._at_ms
        spacing = self._spacing_ms
        first = self._at_ms == 0.0
        self._at_ms = float(at_ms)
        if first or away <= 0.0:
            return 1.0
        if spacing <= 0.0:
            self._spacing_ms = away
            return 1.0
        self._spacing_ms = spacing + 0.05 * (min(away, 4.0 * spacing) - spacing)
        return min(GAP_WINDOWS_MAX, max(1.0, away / spacing))

    def _look_back(self, value: float) -> tuple[float, float]:
        """Distances of the recent past to its nearest look-alike: window by window, and in means of several."""
        if self._scale <= 0.0:
            if self._seen < JUDGED_FROM or self._variance <= 0.0:
                return 0.0, 0.0
            self._scale = math.sqrt(self._variance)
            if self._scale <= 0.0:
                return 0.0, 0.0
        value /= self._scale
        shape = self._past.step(value)
        self._coarse_sum += value
        self._coarse_held += 1.0
        if self._coarse_held < COARSE_WINDOWS:
            return shape, 0.0
        course = self._coarse.step(self._coarse_sum / COARSE_WINDOWS)
        self._coarse_sum = self._coarse_held = 0.0
        return shape, course


_SCALARS: Final = (
    *(
        "_seen",
        "_origin",
        "_first_ms",
        "_at_ms",
        "_spacing_ms",
        "_recent",
        "_long",
        "_variance",
        "_level",
        "_hours",
        "_day",
    ),
    *("_scale", "_coarse_held", "_coarse_sum"),
)


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
    return largest * total ** (1.0 / UNION_POWER), VIEWS[at] if at < len(VIEWS) else "record"
