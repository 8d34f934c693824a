"""A recorded table through the default scorer, as the stream would score its windows.

In: `Table`. Out: one `Scored` a row. Never: looks ahead; a configuration of its own.

Every row is one closed window with one event. The series' sampling interval is the scorer's own finding.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from interfaces.backtest.table import Table
from models.anomaly import WindowPoint, new_scorer

STRONGEST: Final = 3  # metrics whose rarities are averaged: a fault of a host seldom shows in one alone


class Scored(NamedTuple):
    """What the scorer says about one row."""

    score: float | None  # 0..1; None while learning, and where no value stands
    alarm: bool


def score(table: Table) -> list[Scored]:
    """One result a row, in order. Several metrics are joined: see `_joined`."""
    scorers = [new_scorer(name) for name in table.metrics]
    results = []
    for at, (at_ms, row) in enumerate(zip(table.at_ms, table.rows, strict=True)):
        window_ms = at_ms - table.at_ms[at - 1] if at else 1
        spoken: list[float] = []
        alarm = False
        for scorer, value in zip(scorers, row, strict=True):
            if value is None:  # a missing value is a gap, as in the stream
                continue
            verdict = scorer.step(WindowPoint(at_ms, window_ms, 1, 1.0, value, value, value, 0.0, value))
            alarm = alarm or verdict.alarm
            if verdict.score is not None:
                spoken.append(verdict.score)
        results.append(Scored(_joined(spoken, len(scorers)), alarm))
    return results


def _joined(scores: list[float], metrics: int) -> float | None:
    """One metric: its score. Several: that of the mean rarity of the strongest few."""
    if not scores:
        return None
    if metrics == 1:
        return scores[0]
    rarities = sorted((-math.log10(max(1.0 - each, 1e-16)) for each in scores), reverse=True)[:STRONGEST]
    return 1.0 - float(10.0 ** -(sum(rarities) / len(rarities)))
