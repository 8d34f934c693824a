"""What a technical report says beside its tables: key figures, scores, where time went, which way work goes.

In: an AnalysisReader. Out: sentences, the queries behind them. Never: a sentence about a measure nobody took; a split
of more activities than a report may wait for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from reports.analysis.facts import Sentence
from reports.analysis.kpis import kpis
from reports.analysis.scores import RESPONSE_METRIC, agent_facts, scores
from reports.analysis.series_trend import SeriesTrend, concluded_together
from reports.analysis.time_split import TimeSplit, time_splits
from reports.analysis.told import told_of_scores, told_of_time, told_of_trends
from reports.queries.analysis import AnalysisReader
from reports.queries.port import Query
from reports.series import SeriesRequest, read_trends

SPLIT_MAX: Final = 50_000  # activities: 0.4 s; `murmur analyze latency` splits more
TREND_OF: Final = ("task_success", "task_duration", "quality")
NO_TREND: Final = frozenset({"not enough data", "no trend shown"})


@dataclass(frozen=True, slots=True)
class Depth:
    """`queries` by name: those that the sentences rest on, and to whose SQL their anchors lead."""

    sentences: tuple[Sentence, ...] = ()
    queries: dict[str, Query] = field(default_factory=dict)


def depth(reader: AnalysisReader | None) -> Depth:
    """Of every side of the reader; nothing without one."""
    if reader is None:
        return Depth()
    facts = agent_facts(
        reader.agent_work().rows,
        reader.agent_messages().rows,
        reader.responses().rows,
        reader.metric_means(RESPONSE_METRIC).rows,
    )
    said = told_of_scores(scores(facts, "swarm"), kpis(reader.kpis().rows))
    said += told_of_time(_longest(reader))
    said += told_of_trends(_moving(reader))
    known = tuple(replace(one, anchor=f"q-{one.query}") for one in said if one.tone != "unknown")
    return Depth(known, {query.name: query for query in reader.queries})


def _longest(reader: AnalysisReader) -> list[TimeSplit]:
    """The longest run of each side."""
    rows = reader.time_spans(SPLIT_MAX + 1).rows
    found = time_splits(rows, "run") if len(rows) <= SPLIT_MAX else ()
    return list({one.side: one for one in reversed(found)}.values())


def _moving(reader: AnalysisReader) -> list[SeriesTrend]:
    """The measures that show a trend, corrected over all that were looked at."""
    found = [one for name in TREND_OF for one in read_trends(reader, SeriesRequest(name))]
    return [one for one in concluded_together(found) if one.verdict not in NO_TREND]
