"""Several series of one host or swarm, judged together: how odd are the strongest few of this moment.

In: the rarities of all series that spoke at one event time. Out: one score and one alarm.
Never: an average over all, in which a fault of two series drowns; a clock; a state that grows.

The sum of the k strongest of m rarities has, for quiet independent series, the tail C(m, k) * P(Gamma(k) > sum) at
most (Bonferroni over the choices of k; a rarity in natural units is exponential). Series that move together are odd
together by nature: then this promises too much, and the rest after an alarm is what keeps an event one alarm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from models.anomaly.full_tuning import RARITY_MAX, STRONGEST
from models.anomaly.rest import NEVER, fires
from models.anomaly.tuning import REARM_WINDOWS

LOG_10: Final = math.log(10.0)
SPACING_RATE: Final = 0.05  # of one distance on the usual one
SCORE_LOST: Final = 1e-16  # of a double next to 1: a score nearer to 1 cannot be told from it


class Together(NamedTuple):
    """What several series say together."""

    score: float  # 0..1
    alarm: bool
    bar: float  # decades from which it alarms


class Combination:
    """The joint scorer of one group of series."""

    __slots__ = ("_alarm_at_ms", "_at_ms", "_bar", "_quiet", "_seen", "_spacing_ms")

    def __init__(self, *, score_min: float) -> None:
        self._bar = -math.log10(1.0 - score_min)
        self._seen = 0
        self._quiet = REARM_WINDOWS  # moments in a row below the bar; so many end an event
        self._at_ms = self._alarm_at_ms = NEVER
        self._spacing_ms = 0.0

    def step(self, at_ms: int, scores: Sequence[float]) -> Together:
        """Join the scores of one moment, at least one; moments come in order."""
        self._seen += 1
        if self._at_ms >= 0.0:
            away = at_ms - self._at_ms
            self._spacing_ms += (away - self._spacing_ms) * (SPACING_RATE if self._spacing_ms > 0.0 else 1.0)
        self._at_ms = float(at_ms)
        rarity = joint_rarity([rarity_of(score) for score in scores])
        since_ms = NEVER if self._alarm_at_ms < 0.0 else at_ms - self._alarm_at_ms
        over = self._quiet >= REARM_WINDOWS
        alarm = over and fires(rarity, self._bar, since_ms=since_ms, spacing_ms=self._spacing_ms, seen=self._seen)
        self._quiet = 0 if rarity >= self._bar else self._quiet + 1
        if alarm:
            self._alarm_at_ms = float(at_ms)
        return Together(1.0 - 10.0**-rarity, alarm, self._bar)

    def state(self) -> list[float]:
        """Everything it knows."""
        return [self._bar, self._seen, self._quiet, self._at_ms, self._alarm_at_ms, self._spacing_ms]

    @classmethod
    def restore(cls, state: Sequence[float]) -> Self:
        """The combination whose `state()` this is."""
        found = cls(score_min=0.5)
        found._bar, seen, quiet, found._at_ms, found._alarm_at_ms, found._spacing_ms = state
        found._seen, found._quiet = int(seen), int(quiet)
        return found


def rarity_of(score: float) -> float:
    """Decades: 3 is score 0.999."""
    return -math.log10(max(1.0 - score, SCORE_LOST))


def joint_rarity(rarities: Sequence[float]) -> float:
    """Decades of the strongest few together, 0 to RARITY_MAX; of one alone, its own."""
    count = len(rarities)
    k = min(STRONGEST, count)
    total = LOG_10 * sum(sorted(rarities)[-k:])
    tail = math.log(math.fsum(total**i / math.factorial(i) for i in range(k)) * math.comb(count, k)) - total
    return min(RARITY_MAX, max(0.0, -tail / LOG_10))
