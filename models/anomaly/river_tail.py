"""The first scorer: how far a window's mean lies from the series' own level, in tails learned from the series.

In: closed windows of one series. Out: verdicts (models/anomaly/port.py). Statistics by River.
Never: a clock, randomness, a pickle, a list that grows.

A value is zero or a magnitude (hurdle); magnitudes are compared with the level in log space while none is
negative, else as they are. docs/anomalies.md tells the whole story.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, NamedTuple, Self

from models.anomaly import alarm, learning
from models.anomaly.fields import (
    HITS,
    MIXED,
    ONES,
    OTHERS,
    REAL,
    RECENT_HITS,
    RECENT_TRIALS,
    SEEN,
    SINCE,
    SIZE,
    SURPLUS,
    TRIALS,
    ZEROS,
)
from models.anomaly.level import Level, judge_level
from models.anomaly.port import Direction, StateValue, Verdict, WindowPoint, severity_of
from models.anomaly.span import judge_span
from models.anomaly.tails import PROBABILITY_MIN, rate_change_tail
from models.anomaly.tuning import (
    BERNOULLI_TOLERANCE,
    DESIGN_EFFECT,
    MAGNITUDE_MAX,
    NAME,
    RANGE_P,
    RANGE_Z,
    RARE_SHARE,
    SEEN_BEFORE,
    VERSION,
    WARM_UP_WINDOWS,
    ZERO_MAX,
)


class RiverTailScorer:
    """One series' scorer: a threshold and a flat vector of doubles."""

    __slots__ = ("_score_min", "_state")

    name: Final = NAME
    version: Final = VERSION
    warm_up: Final = WARM_UP_WINDOWS

    def __init__(self, *, score_min: float) -> None:
        self._score_min = score_min
        self._state = array("d", bytes(8 * SIZE))
        self._state[ONES] = 1.0
        self._state[SINCE] = -1.0
        self._state[SURPLUS] = 1.0

    def step(self, point: WindowPoint) -> Verdict:
        """Score the window against what was learned before it, then learn from it."""
        state = self._state
        value = min(MAGNITUDE_MAX, max(-MAGNITUDE_MAX, point.mean))
        is_zero = -ZERO_MAX <= value <= ZERO_MAX
        if value < -ZERO_MAX and not state[REAL]:
            learning.leave_logarithms(state)
        is_ones = bool(state[ONES]) and _holds_zeros_and_ones(point)
        if not is_ones:
            state[ONES] = 0.0
        elif 0.0 < value < 1.0:
            state[MIXED] += 1.0
        row_p = learning.count_row(state, is_zero=is_zero)
        seen = int(state[SEEN])
        if seen < WARM_UP_WINDOWS:
            learning.learn(state, point, value, None, is_zero=is_zero)
            return Verdict(None, WARM_UP_WINDOWS - seen - 1, "", 0.0, 0.0, False, "", "")
        level = judge_level(state, point, value, is_zero=is_zero)
        verdict = _judge(state, point, value, row_p, level, is_zero=is_zero, by_rate=is_ones)
        own = verdict.probability
        if not is_ones and (state[REAL] or not is_zero):
            verdict = _beyond(state, value, point.events, verdict)
        learning.learn(state, point, value, level, is_zero=is_zero, by_rate=is_ones, probability=own)
        odds = 2.0 * verdict.probability
        score = 1.0 - max(PROBABILITY_MIN, min(1.0, odds))
        fires = alarm.step(state, odds, score, score_min=self._score_min)
        direction: Direction = "above" if verdict.side > 0 else "below"
        if not fires:
            return Verdict(score, 0, direction, verdict.low, verdict.high, False, "", "")
        reason = _reason(point, verdict, score, seen)
        return Verdict(score, 0, direction, verdict.low, verdict.high, True, severity_of(score), reason)

    @property
    def counts_ones(self) -> bool:
        """Whether every window so far held only zeros and ones: then its likelihood is that of a share."""
        return bool(self._state[ONES])

    def state(self) -> list[StateValue]:
        """Name, version, threshold, then the vector."""
        return [NAME, VERSION, self._score_min, *self._state]

    @classmethod
    def restore(cls, state: list[StateValue]) -> Self:
        """The scorer whose `state()` this is. Raises ValueError for the state of another scorer or version."""
        if len(state) != SIZE + 3 or state[0] != NAME or state[1] != VERSION:
            raise ValueError(
                f"scorer state {state[:2]} of {len(state)} values is not one of {NAME} version {VERSION} "
                f"({SIZE + 3} values): start a new scorer, its series learns again"
            )
        scorer = cls(score_min=float(state[2]))
        scorer._state = array("d", [float(number) for number in state[3:]])
        return scorer


def _holds_zeros_and_ones(point: WindowPoint) -> bool:
    """Whether every event of the window was 0 or 1: exactly then the mean of x equals the mean of x squared."""
    mean = point.mean
    if not 0.0 <= mean <= 1.0:
        return False
    return abs(mean - mean * mean - point.stddev * point.stddev) < BERNOULLI_TOLERANCE


class _Judgement(NamedTuple):
    probability: float  # one side
    side: int  # 1 above, -1 below
    low: float
    high: float
    lasting: bool  # the last few windows together say it, not this one alone
    seen_at: tuple[float, float] | None = None  # the range it has left, where that is what is rare


def _judge(
    state: array[float],
    point: WindowPoint,
    value: float,
    row_p: float,
    level: Level,
    *,
    is_zero: bool,
    by_rate: bool,
) -> _Judgement:
    """One judgement from the level, the share of zeros and, for zero-one series, the rate of ones."""
    if by_rate:
        return _judge_rate(state, point, value, row_p, is_zero=is_zero)
    if is_zero and not state[REAL]:
        low = 0.0 if state[ZEROS] > RANGE_P * (state[ZEROS] + state[OTHERS]) else level.low
        return _Judgement(row_p, -1, low, level.high, row_p < 0.5 * RARE_SHARE)
    if not level.known:
        return _Judgement(row_p, 1 if value > 0.0 else -1, 0.0, 0.0, True)
    # Two looks, so each counts double.
    lasting = level.drift_probability < level.probability
    probability = min(1.0, 2.0 * (level.drift_probability if lasting else level.probability))
    side = level.drift_side if lasting else level.side
    if state[REAL]:
        if state[OTHERS] < WARM_UP_WINDOWS:
            probability = max(probability, row_p)
        return _Judgement(probability, side, level.low, level.high, lasting)
    low = 0.0 if state[ZEROS] > RANGE_P * (state[ZEROS] + state[OTHERS]) else level.low
    if row_p < 0.5 * RARE_SHARE:  # hardly ever anything but zero: to be there at all is above
        return _Judgement(row_p * min(1.0, 2.0 * probability), 1, 0.0, 0.0, True)
    return _Judgement(probability * min(1.0, 2.0 * row_p), side, low, level.high, lasting)


def _beyond(state: array[float], value: float, events: int, verdict: _Judgement) -> _Judgement:
    """The judgement, or that of the range everything was seen in where that is the rarer one."""
    found = judge_span(state, value, events)
    if found is None or found.probability >= verdict.probability:
        return verdict
    return verdict._replace(
        probability=found.probability, side=found.side, lasting=False, seen_at=(found.low, found.high)
    )


def _judge_rate(state: array[float], point: WindowPoint, value: float, row_p: float, *, is_zero: bool) -> _Judgement:
    """A zero-one series: this window's ones, and those of the last few windows, against the rate before."""
    scale = learning.rate_scale(state)
    trials = max(state[TRIALS] * scale, 1.0)
    before = min(state[HITS] * scale, trials)
    rate = (before + 0.5) / (trials + 1.0)
    events = max(1.0, point.events * scale)
    hits = value * events
    surplus = max(DESIGN_EFFECT, state[SURPLUS])
    now = rate_change_tail(hits, events, before, trials, surplus)
    kept = 1.0 - learning.recent_share(state)
    recent_hits = hits + kept * scale * state[RECENT_HITS]
    recent_events = events + kept * scale * state[RECENT_TRIALS]
    recent = rate_change_tail(min(recent_hits, recent_events), recent_events, before, trials, surplus)
    lasting = recent < now
    probability = min(1.0, 2.0 * min(now, recent))
    if is_zero and state[ZEROS] > SEEN_BEFORE:
        probability = max(probability, row_p)
    if row_p < 0.5 * RARE_SHARE:  # a row of a kind hardly seen before
        probability = min(probability, row_p)
    width = RANGE_Z * math.sqrt(rate * (1.0 - rate) * surplus * (1.0 / events + 1.0 / trials))
    above = (recent_hits / recent_events if lasting else value) > rate
    return _Judgement(probability, 1 if above else -1, max(0.0, rate - width), min(1.0, rate + width), lasting)


def _reason(point: WindowPoint, verdict: _Judgement, score: float, seen: int) -> str:
    odds = f"about once in {1.0 / max(PROBABILITY_MIN, 1.0 - score):,.0f}"
    window = f"window mean {point.mean:.6g} ({point.events} events)"
    side = "above" if verdict.side > 0 else "below"
    if verdict.seen_at is not None:
        low, high = verdict.seen_at
        return (
            f"{window} is {side} all that was seen in {seen} earlier windows, {low:.6g} to {high:.6g}; "
            f"a quiet window goes so far {odds}"
        )
    expected = f"{verdict.low:.6g} to {verdict.high:.6g}"
    if verdict.lasting and verdict.low <= point.mean <= verdict.high:
        return (
            f"{window} is within {expected} by itself, but it and the windows just before it are together {side} "
            f"what {seen} earlier windows let expect; quiet windows do so {odds}"
        )
    what = "with the windows just before it " if verdict.lasting else ""
    return (
        f"{window} is {what}{side} what is expected, {expected}, learned from {seen} earlier windows; "
        f"a quiet window is this odd {odds}"
    )
