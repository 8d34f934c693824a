"""The full scorer: a young series is judged by `river_tail`, a grown one by its views.

Its views learn beside the tail, from the second hour on, and replace it when they are grown.

In: closed windows of one series. Out: verdicts (models/anomaly/port.py). Statistics by River.
Never: a clock, randomness, a pickle, a buffer that grows, a look ahead.

Series of zeros and ones stay with `river_tail`, which knows their own likelihood.
docs/anomalies.md tells the whole story.
"""

from __future__ import annotations

import math
from typing import Final, Self

from models.anomaly.full_tuning import (
    FULL_NAME,
    FULL_VERSION,
    LOOKS_DECADES,
    RARITY_BEND,
    RARITY_EXACT,
    RARITY_MAX,
    VIEWS_FROM_MS,
    VIEWS_SPACING_MS,
)
from models.anomaly.port import Direction, StateValue, Verdict, WindowPoint, severity_of
from models.anomaly.rest import NEVER, fires
from models.anomaly.river_tail import RiverTailScorer
from models.anomaly.tuning import EVENTS_RATIO_MAX, LEVEL_WINDOWS, MAGNITUDE_MAX, WARM_UP_WINDOWS, ZERO_MAX
from models.anomaly.views import WORDS, Sight, Views

RANGE_RARITY: Final = 3.0  # decades: the expected range holds 99.9 % of quiet windows
HEAD: Final = 9  # values of a state before the tail's


class RiverFullScorer:
    """One series' scorer."""

    __slots__ = ("_alarm_at_ms", "_bar", "_events", "_first_ms", "_score_min", "_seen", "_tail", "_views")

    name: Final = FULL_NAME
    version: Final = FULL_VERSION
    warm_up: Final = WARM_UP_WINDOWS

    def __init__(self, *, score_min: float) -> None:
        self._score_min = score_min
        self._bar = -math.log10(1.0 - score_min)
        self._tail: RiverTailScorer | None = RiverTailScorer(score_min=score_min)  # until the views are grown
        self._views: Views | None = None  # from VIEWS_FROM_MS on
        self._seen = 0
        self._events = 0.0
        self._first_ms = self._alarm_at_ms = NEVER

    def step(self, point: WindowPoint) -> Verdict:
        """Score the window against what was learned before it, then learn from it."""
        self._seen += 1
        tail, views = self._tail, self._views
        if views is None and self._earns_views(point.window_start_ms):
            views = self._views = Views()
        sight = self._look(views, point) if views else None
        if tail and sight and views and views.grown and not tail.counts_ones:
            tail = self._tail = None
        if tail:
            verdict = tail.step(point)
            if verdict.alarm:
                self._alarm_at_ms = float(point.window_start_ms)
            return verdict
        assert views is not None
        assert sight is not None
        return self._verdict(point, views, sight)

    def state(self) -> list[StateValue]:
        """Name, version, what it counts, then the tail's state and the views', where it has them."""
        tail = self._tail.state() if self._tail else []
        views = self._views.state() if self._views else []
        counted = [self._score_min, self._seen, self._events, self._first_ms, self._alarm_at_ms]
        return [FULL_NAME, FULL_VERSION, HEAD + len(tail) + len(views), *counted, len(tail), *tail, *views]

    @classmethod
    def restore(cls, state: list[StateValue]) -> Self:
        """The scorer whose `state()` this is. Raises ValueError for the state of another scorer or version."""
        if len(state) < HEAD or state[:3] != [FULL_NAME, FULL_VERSION, len(state)]:
            raise ValueError(
                f"scorer state {state[:2]} of {len(state)} values is not one of {FULL_NAME} version {FULL_VERSION}: "
                "start a new scorer, its series learns again"
            )
        score_min, seen, events, first_ms, alarm_at_ms, size = (float(number) for number in state[3:HEAD])
        scorer = cls(score_min=score_min)
        scorer._seen, scorer._events, scorer._first_ms, scorer._alarm_at_ms = int(seen), events, first_ms, alarm_at_ms
        views_from = HEAD + int(size)
        scorer._tail = RiverTailScorer.restore(state[HEAD:views_from]) if size else None
        scorer._views = Views.of(state[views_from:]) if len(state) > views_from else None
        return scorer

    def _earns_views(self, at_ms: int) -> bool:
        """A series of an hour, or at once one of few windows: for both, views cost little of what they live."""
        if self._first_ms < 0.0:
            self._first_ms = float(at_ms)
        if self._tail is None or self._tail.counts_ones:
            return False
        age_ms = at_ms - self._first_ms
        return age_ms >= VIEWS_FROM_MS or age_ms >= VIEWS_SPACING_MS * max(1, self._seen - 1)

    def _look(self, views: Views, point: WindowPoint) -> Sight:
        """What the views say; a window of few events counts for less."""
        value = point.mean
        if not -MAGNITUDE_MAX <= value <= MAGNITUDE_MAX:
            value = MAGNITUDE_MAX if value > 0.0 else -MAGNITUDE_MAX
        elif -ZERO_MAX <= value <= ZERO_MAX:
            value = 0.0
        events, usual, seen = point.events, self._events, self._seen
        trust = 1.0
        if 0 < events < usual:
            trust = math.sqrt(max(1.0 / EVENTS_RATIO_MAX, events / usual))
        self._events = usual + (events - usual) / (seen if seen < LEVEL_WINDOWS else LEVEL_WINDOWS)
        return views.step(point.window_start_ms, value, trust)

    def _verdict(self, point: WindowPoint, views: Views, sight: Sight) -> Verdict:
        joint, _, expected, side = sight
        rarity = bent(joint - LOOKS_DECADES) if joint > LOOKS_DECADES else 0.0
        score = 1.0 - 10.0**-rarity
        reach = views.reach(RANGE_RARITY + LOOKS_DECADES)
        low, high = expected - reach, expected + reach
        direction: Direction = "above" if side > 0 else "below"
        since_ms = NEVER if self._alarm_at_ms < 0.0 else point.window_start_ms - self._alarm_at_ms
        if rarity < self._bar or not fires(
            rarity, self._bar, since_ms=since_ms, spacing_ms=views.spacing_ms, seen=self._seen
        ):
            return Verdict(score, 0, direction, low, high, False, "", "")
        self._alarm_at_ms = float(point.window_start_ms)
        reason = _reason(point, sight, low, high, score, self._seen - 1)
        return Verdict(score, 0, direction, low, high, True, severity_of(score), reason)


def bent(rarity: float) -> float:
    """Rarity in decades, the same up to RARITY_EXACT, then ever slower towards RARITY_MAX: order stays, ties do not."""
    beyond = rarity - RARITY_EXACT
    if beyond <= 0.0:
        return rarity
    return RARITY_EXACT + (RARITY_MAX - RARITY_EXACT) * beyond / (beyond + RARITY_BEND)


def _reason(point: WindowPoint, sight: Sight, low: float, high: float, score: float, seen: int) -> str:
    side = "above" if sight.side > 0 else "below"
    within = "within" if low <= point.mean <= high else side
    return (
        f"window mean {point.mean:.6g} ({point.events} events) is {within} what is expected, {low:.6g} to {high:.6g}, "
        f"learned from {seen} earlier windows, and most unusual {WORDS[sight.view]}; "
        f"a quiet window is this odd about once in {1.0 / (1.0 - score):,.0f}"
    )
