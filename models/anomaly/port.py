"""What the stream hands to an anomaly scorer and what it gets back: the port every scorer stands behind.

In: closed event-time windows of one series, in order. Out: a `Verdict` a window.
Never: a clock, randomness, I/O, a pickle. River is not imported here.

A scorer is part of a deterministic fold: its verdicts are a function of the windows it was given, and
`restore(state())` at any point goes on exactly as if nothing had happened.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

Direction = Literal["above", "below", ""]
Severity = Literal["", "low", "medium", "high", "critical"]
StateValue = float | int | str | bytes  # plain values that msgpack stores exactly

# Lowest score of each severity: one more nine a step, so a step up means ten times rarer on quiet data. `low` is
# whatever the alarm threshold lets through below `medium`.
SEVERITY_SCORE_MIN: Final[tuple[tuple[Severity, float], ...]] = (
    ("critical", 1 - 1e-6),
    ("high", 1 - 1e-5),
    ("medium", 1 - 1e-4),
)


class WindowPoint(NamedTuple):
    """One closed window of one series. Every number but `events` and `weight_sum` is in the metric's unit."""

    window_start_ms: int  # epoch UTC, event time
    window_ms: int
    events: int  # folded in, unweighted
    weight_sum: float  # sum of sampling weights
    mean: float  # weighted
    min: float
    max: float
    stddev: float  # weighted, of the population: 0 for one event
    last: float


class Verdict(NamedTuple):
    """What a scorer says about one window."""

    score: float | None  # 0..1: 1 - P(a window at least this odd, on quiet data); None while learning
    learning_left: int  # closed windows until it speaks; 0 when `score` is a number
    direction: Direction  # side of the expected range's centre the window lies on; '' while learning
    expected_low: float  # range that holds 99.9 % of quiet windows, in the metric's unit
    expected_high: float
    alarm: bool  # at most once an event
    severity: Severity  # '' unless `alarm`
    reason: str  # plain words with the numbers; '' unless `alarm`


@runtime_checkable
class Scorer(Protocol):
    """Scores the closed windows of one series, in order."""

    @property
    def name(self) -> str:
        """Of the method; with the version it stands in every anomaly record."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same windows could get another verdict."""
        ...

    @property
    def warm_up(self) -> int:
        """Closed windows it needs before it speaks."""
        ...

    def step(self, point: WindowPoint) -> Verdict:
        """Score the window against what was learned before it, then learn from it."""
        ...

    def state(self) -> list[StateValue]:
        """Everything it knows, as plain values; `name` and `version` come first."""
        ...

    @classmethod
    def restore(cls, state: list[StateValue]) -> Self:
        """The scorer whose `state()` this is. Raises ValueError for the state of another scorer or version."""
        ...


def severity_of(score: float) -> Severity:
    """The severity of an alarm with this score."""
    for severity, score_min in SEVERITY_SCORE_MIN:
        if score >= score_min:
            return severity
    return "low"
