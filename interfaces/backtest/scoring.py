"""A recorded table through the default scorer, as the stream would score its windows.

In: `Table`. Out: one `Scored` a row. Never: looks ahead; a configuration of its own.

Every row is one closed window with one event. The series' sampling interval is the scorer's own finding.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from interfaces.backtest.table import Table
from models.anomaly import Scorer, WindowPoint, new_scorer
from models.anomaly.combination import Combination, rarity_of
from models.anomaly.factory import SCORE_MIN_DEFAULT

HELD_FROM: Final = 0.1  # decades below the bar: rows of an event already told lie between there and the bar


class Scored(NamedTuple):
    """What the scorer says about one row."""

    score: float | None  # 0..1; None while learning, and where no value stands
    alarm: bool


def score(table: Table, *, score_min: float = SCORE_MIN_DEFAULT) -> list[Scored]:
    """One result a row, in order. Several metrics are joined: models/anomaly/combination.py."""
    scorers = [new_scorer(name, score_min=score_min) for name in table.metrics]
    joined = Combination(score_min=score_min) if len(scorers) > 1 else None
    results = []
    for at, (at_ms, row) in enumerate(zip(table.at_ms, table.rows, strict=True)):
        window_ms = at_ms - table.at_ms[at - 1] if at else 1
        spoken, alarm = _spoken(scorers, row, at_ms, window_ms)
        if not spoken:
            results.append(Scored(None, False))
            continue
        found, alarm = joined.step(at_ms, spoken)[:2] if joined else (spoken[0], alarm)
        results.append(Scored(ranked(found, alarm, score_min), alarm))
    return results


def ranked(score: float, alarm: bool, score_min: float) -> float:
    """The score by which rows may be ranked: `score_min` is reached exactly where an alarm is raised.

    Further rows of an event that was told already keep their order, just below the bar: who counts rows above a
    threshold counts events and not their length.
    """
    bar = rarity_of(score_min)
    beyond = rarity_of(score) - bar + HELD_FROM
    if alarm or beyond <= 0.0:
        return score
    return 1.0 - float(10.0 ** -(bar - HELD_FROM + HELD_FROM * beyond / (beyond + 1.0)))


def _spoken(scorers: list[Scorer], row: list[float | None], at_ms: int, window_ms: int) -> tuple[list[float], bool]:
    """Scores of the metrics that stand in the row and have learned enough, and whether one of them alarms."""
    spoken: list[float] = []
    alarm = False
    for scorer, value in zip(scorers, row, strict=True):
        if value is None:  # a missing value is a gap, as in the stream
            continue
        verdict = scorer.step(WindowPoint(at_ms, window_ms, 1, 1.0, value, value, value, 0.0, value))
        alarm = alarm or verdict.alarm
        if verdict.score is not None:
            spoken.append(verdict.score)
    return spoken, alarm
