"""Asks for a series or a measure over time in intervals that suit it, and says which way it goes.

In: an AnalysisReader, what to ask for. Out: `SeriesTrend`. Never: statistics of its own; some intervals as if all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reports.analysis.series_trend import OF_ACTIVITIES, SeriesTrend, Stat, interval_of, series_trends
from reports.queries.analysis import AnalysisReader
from reports.queries.side import EVERYTHING

BUCKETS_MAX: Final = 200_000  # intervals of all series of one question: about 200 series of 1,000


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """`by`: a column or tag, a series each. interval_ms None: one that suits the length and the points."""

    series: str
    by: str = EVERYTHING
    stat: Stat = "mean"
    interval_ms: int | None = None
    limit: float | None = None  # in the unit of the series
    ahead_ms: int = 0  # of a forecast; 0: none


def read_trends(reader: AnalysisReader, asked: SeriesRequest) -> tuple[SeriesTrend, ...]:
    """Those with a trend first; empty where nothing has a value. Raises ValueError for too many intervals."""
    of_tasks = asked.series in OF_ACTIVITIES
    (span,) = reader.span_of(asked.series, of_tasks=of_tasks).rows
    if span.first_ms is None or span.last_ms is None:
        return ()
    length = asked.interval_ms or interval_of(span.first_ms, span.last_ms, span.points)
    rows = reader.buckets(asked.series, asked.by, length, of_tasks=of_tasks, limit=BUCKETS_MAX + 1).rows
    if len(rows) > BUCKETS_MAX:
        raise ValueError(f"more than {BUCKETS_MAX:,} intervals of all series: a longer --interval, or fewer series")
    return series_trends(asked.series, rows, length, stat=asked.stat, limit=asked.limit, ahead_ms=asked.ahead_ms)
