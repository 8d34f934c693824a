"""The two textbook methods, for who wants to know exactly when it alarms: z-score, and fences around the quartiles.

In: closed windows of one series. Out: verdicts (models/anomaly/port.py). Never: a clock, a buffer that grows, a pickle.

A window's mean is compared with those of the last WINDOWS windows. `zscore`: more than `sensitivity` standard
deviations from their mean. `iqr`: more than `sensitivity` interquartile ranges beyond the quartiles (Tukey, Exploratory
Data Analysis, 1977). The score is that of a normal law, whatever the data are: these methods are not calibrated.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, NamedTuple, Self

from models.anomaly.port import Direction, StateValue, Verdict, WindowPoint, severity_of
from models.anomaly.tuning import MAGNITUDE_MAX, MATERIAL_RATIO, REARM_WINDOWS, WARM_UP_WINDOWS

Method = Literal["zscore", "iqr"]

SENSITIVITY: Final[dict[Method, float]] = {"zscore": 2.0, "iqr": 1.5}  # the defaults
NORMAL_QUARTILE: Final = 0.6744897501960817  # of the standard normal law
WINDOWS: Final = 100  # remembered: half an hour of 10-second windows
NEW_LEVEL_WINDOWS: Final = 20  # in a row beyond one fence: that is the level now
SPREAD_MIN: Final = 1e-12  # of a series at zero: rounding is no news
HEAD: Final = 7  # values of a state before the remembered ones


class Fences(NamedTuple):
    """What the remembered windows let expect."""

    centre: float
    sigma: float  # standard deviation, or what it would be of normal data with these quartiles
    low: float
    high: float


class FenceScorer:
    """One series' scorer. `name` is the method's."""

    version: ClassVar[int] = 1
    warm_up: ClassVar[int] = WARM_UP_WINDOWS

    __slots__ = ("_beyond", "_event_on", "_past", "_quiet", "_seen", "name", "sensitivity")

    def __init__(self, method: Method, *, sensitivity: float) -> None:
        self.name: Method = method
        self.sensitivity = sensitivity
        self._past = array("d")  # oldest first
        self._beyond = array("d")  # the latest row of windows beyond one fence, as they were
        self._seen = 0
        self._event_on = False
        self._quiet = 0

    def step(self, point: WindowPoint) -> Verdict:
        """Score the window against what was learned before it, then learn from it."""
        value = min(MAGNITUDE_MAX, max(-MAGNITUDE_MAX, point.mean))
        self._seen += 1
        if len(self._past) < WARM_UP_WINDOWS:
            self._past.append(value)
            return Verdict(None, WARM_UP_WINDOWS - len(self._past), "", 0.0, 0.0, False, "", "")
        fences = self._fences()
        side = 1 if value > fences.high else -1 if value < fences.low else 0
        self._learn(value, side, fences)
        distance = abs(value - fences.centre) / fences.sigma
        score = min(1.0 - 1e-16, math.erf(distance / math.sqrt(2.0)))
        direction: Direction = "above" if value >= fences.centre else "below"
        if not self._fires(side):
            return Verdict(score, 0, direction, fences.low, fences.high, False, "", "")
        reason = (
            f"window mean {point.mean:.6g} ({point.events} events) is {direction} {fences.low:.6g} to "
            f"{fences.high:.6g}, the {self.name} fences of sensitivity {self.sensitivity:g} around "
            f"{len(self._past)} windows"
        )
        return Verdict(score, 0, direction, fences.low, fences.high, True, severity_of(score), reason)

    def state(self) -> list[StateValue]:
        """Name, version, size, what it counts, then the remembered windows."""
        counted = [self.sensitivity, self._seen, int(self._event_on), self._quiet]
        values = [len(self._past), *self._past, *self._beyond]
        return [self.name, self.version, HEAD + len(values), *counted, *values]

    @classmethod
    def restore(cls, state: list[StateValue]) -> Self:
        """The scorer whose `state()` this is. Raises ValueError for the state of another scorer or version."""
        if len(state) <= HEAD or state[0] not in SENSITIVITY or state[1:3] != [cls.version, len(state)]:
            raise ValueError(
                f"scorer state {state[:2]} of {len(state)} values is not one of {' or '.join(SENSITIVITY)} version "
                f"{cls.version}: start a new scorer, its series learns again"
            )
        sensitivity, seen, event_on, quiet, held, *values = (float(number) for number in state[3:])
        scorer = cls("zscore" if state[0] == "zscore" else "iqr", sensitivity=sensitivity)
        scorer._seen, scorer._event_on, scorer._quiet = int(seen), bool(event_on), int(quiet)
        scorer._past, scorer._beyond = array("d", values[: int(held)]), array("d", values[int(held) :])
        return scorer

    def _fences(self) -> Fences:
        past = self._past
        if self.name == "zscore":
            centre = math.fsum(past) / len(past)
            sigma = math.sqrt(math.fsum((value - centre) ** 2 for value in past) / len(past))
            sigma = max(sigma, MATERIAL_RATIO * abs(centre), SPREAD_MIN)
            return Fences(centre, sigma, centre - self.sensitivity * sigma, centre + self.sensitivity * sigma)
        ordered = sorted(past)
        first, centre, third = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
        least = 2.0 * NORMAL_QUARTILE * max(MATERIAL_RATIO * abs(centre), SPREAD_MIN)
        if third - first < least:
            first, third = centre - least / 2.0, centre + least / 2.0
        reach = self.sensitivity * (third - first)
        return Fences(centre, (third - first) / (2.0 * NORMAL_QUARTILE), first - reach, third + reach)

    def _learn(self, value: float, side: int, fences: Fences) -> None:
        """What lies beyond a fence teaches only the fence, until so many in a row say that the level is another."""
        if side == 0:
            del self._beyond[:]
        else:
            if self._beyond and (self._beyond[-1] > fences.centre) != (side > 0):
                del self._beyond[:]
            self._beyond.append(value)
            if len(self._beyond) == NEW_LEVEL_WINDOWS:
                self._past, self._beyond = self._beyond, array("d")
                return
        self._past.append(min(fences.high, max(fences.low, value)))
        if len(self._past) > WINDOWS:
            del self._past[0]

    def _fires(self, side: int) -> bool:
        """Once an event, which ends with REARM_WINDOWS windows in a row between the fences."""
        if side == 0:
            self._quiet += 1
            if self._quiet >= REARM_WINDOWS:
                self._event_on = False
            return False
        self._quiet = 0
        fires = not self._event_on
        self._event_on = True
        return fires


def _quantile(ordered: Sequence[float], share: float) -> float:
    """With linear interpolation between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
