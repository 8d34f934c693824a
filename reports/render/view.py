"""The one typed view model: everything a report says, before it looks like anything.

In: facts, findings, rows. Out: `Report`. Never: a number that a renderer would have to compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.analysis.facts import Fact, QualityNote, Sentence, SwarmSummary
from reports.analysis.trend import TrendLine
from reports.compare.finding import Finding, SuccessFinding
from reports.config import ReportConfig
from reports.queries.port import (
    AgentMetricRow,
    AgentRow,
    AlertRow,
    AnomalyRow,
    BreakdownRow,
    ModelCostRow,
    Query,
    RunRow,
)

CHART_ROWS_MAX = 200  # of the table beside a chart: 20 of them stay far below a megabyte
REPORT_SCHEMA_VERSION = 1  # of the JSON; a field may be added, none changes its meaning


@dataclass(frozen=True, slots=True)
class ChartTable:
    """What a chart shows, as text: for who cannot see it, or wants the numbers. `note` says what was left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]], *, note: str = "") -> ChartTable:
    """The first CHART_ROWS_MAX rows; what is left out is said."""
    kept = tuple(tuple(row) for row in rows[:CHART_ROWS_MAX])
    left = len(rows) - len(kept)
    said = [note] if note else []
    if left:
        said.append(f"{len(kept):,} of {len(rows):,} rows; the query gives all")
    return ChartTable(tuple(columns), kept, "; ".join(said))


@dataclass(frozen=True, slots=True)
class Chart:
    """`svg` is complete and offline; `description` says in words what it shows."""

    name: str
    title: str
    description: str
    svg: str
    table: ChartTable | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a renderer needs; it computes nothing."""

    report_id: str
    created_at_ms: int
    title: str
    config: ReportConfig
    summaries: tuple[SwarmSummary, ...]
    sentences: tuple[Sentence, ...]
    comparisons: tuple[Finding, ...]
    success: tuple[SuccessFinding, ...]
    charts: tuple[Chart, ...]
    anomalies: tuple[AnomalyRow, ...]
    anomalies_total: int
    agents: tuple[AgentRow, ...]
    costs: tuple[ModelCostRow, ...]
    quality: tuple[QualityNote, ...]
    queries: Mapping[str, Query]
    trend: tuple[TrendLine, ...] = ()  # of kind trend
    # Of kinds technical and final:
    runs: tuple[RunRow, ...] = ()
    breakdown: tuple[BreakdownRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    resources: tuple[AgentMetricRow, ...] = ()

    @property
    def full(self) -> bool:
        """Whether everything is shown, or the key facts alone."""
        return self.config.kind != "executive"

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The compared pairs, in order."""
        return tuple(dict.fromkeys((f.a, f.b) for f in self.comparisons))

    def findings_of(self, a: str, b: str) -> tuple[Finding, ...]:
        """The findings of one pair, in order."""
        return tuple(f for f in self.comparisons if (f.a, f.b) == (a, b))

    @property
    def fact_names(self) -> tuple[tuple[str, str], ...]:
        """(name, label) of every fact any swarm has, in the order they first appear."""
        return tuple({fact.name: fact.label for s in self.summaries for fact in s.facts}.items())

    def facts(self, name: str) -> tuple[Fact | None, ...]:
        """A fact of every swarm, in their order; None where a swarm does not have it."""
        return tuple(summary.fact(name) for summary in self.summaries)

    @property
    def configuration_keys(self) -> tuple[str, ...]:
        """Every key any swarm declared, sorted."""
        return tuple(sorted({key for summary in self.summaries for key, _ in summary.configuration}))
