"""What only some kinds of report ask: runs, breakdowns, alerts, what agents measured, periods side by side.

In: a Reader, a ReportConfig, what was asked already. Out: `Details`. Never: a question that its kind does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.analysis.facts import Sentence
from reports.analysis.trend import TrendLine
from reports.charts.heatmap import bucket_ms
from reports.compare.engine import ComparisonInput, compare_swarms
from reports.compare.finding import Finding, SuccessFinding
from reports.config import ReportConfig
from reports.depth import depth
from reports.periods import split
from reports.pictures import TASK_DURATION, Drawn
from reports.queries.port import (
    AgentMetricRow,
    AlertRow,
    AnomalyRow,
    BarRow,
    BreakdownRow,
    CellRow,
    LinkRow,
    ModelCostRow,
    Query,
    Reader,
    Result,
    RunRow,
    TaskRow,
    WindowRow,
)
from reports.trend import build_trend

DETAILED_KINDS = frozenset({"technical", "final"})


@dataclass(frozen=True, slots=True)
class Details:
    """`queries` are those behind everything else here."""

    findings: tuple[Finding, ...] = ()
    successes: tuple[SuccessFinding, ...] = ()
    trend: tuple[TrendLine, ...] = ()
    runs: tuple[RunRow, ...] = ()
    breakdown: tuple[BreakdownRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    resources: tuple[AgentMetricRow, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    cells: tuple[CellRow, ...] = ()
    cells_ms: int = 0  # the stretch of time of one cell
    links: tuple[LinkRow, ...] = ()
    bars: tuple[BarRow, ...] = ()
    queries: dict[str, Query] = field(default_factory=dict)

    def drawn(
        self,
        tasks: Sequence[TaskRow],
        windows: Sequence[WindowRow],
        anomalies: Sequence[AnomalyRow],
        lines: Sequence[str],
        costs: Sequence[ModelCostRow],
    ) -> Drawn:
        """What the charts are made of: this, and what every kind asks."""
        own = (self.cells, self.cells_ms, self.links, self.bars)
        return Drawn(self.findings, self.trend, tasks, windows, anomalies, lines, costs, *own)


def details(reader: Reader, config: ReportConfig, data: ComparisonInput, *, with_charts: bool) -> Details:
    """What this kind shows beside the facts of each swarm."""
    if config.kind == "trend":
        assert config.period is not None, "ReportConfig checks it"
        periods = split(config.period, config.time)
        trend = build_trend(reader, config.swarms[0], periods, metrics=config.metrics, pairing=config.pairing)
        return Details(trend.findings, trend.successes, trend.lines, queries=trend.queries)
    findings: tuple[Finding, ...] = ()
    successes: tuple[SuccessFinding, ...] = ()
    if len(config.swarms) > 1:
        findings, successes = compare_swarms(config.swarms, data, metrics=config.metrics, pairing=config.pairing)
    if config.kind not in DETAILED_KINDS:
        return Details(findings, successes)
    runs = reader.runs(config.swarms, config.time)
    breakdown = reader.breakdown(config.swarms, config.time)
    alerts = reader.alerts(config.swarms, config.time)
    more = depth(reader.analysis(config.swarms, config.time))
    pictured = _pictured(reader, config, data.tasks) if with_charts else {}
    results: list[Result[Any]] = [runs, breakdown, alerts, *pictured.values()]
    return Details(
        findings,
        successes,
        cells=_rows(pictured, "cells"),
        cells_ms=_cells_ms(data.tasks),
        links=_rows(pictured, "links"),
        bars=_rows(pictured, "bars"),
        runs=tuple(row for row in runs.rows if not config.run or row.run_id == config.run),
        breakdown=tuple(breakdown.rows),
        alerts=tuple(alerts.rows),
        resources=tuple(data.agent_metrics),
        sentences=more.sentences,
        queries={result.query.name: result.query for result in results} | more.queries,
    )


def _pictured(reader: Reader, config: ReportConfig, tasks: Sequence[TaskRow]) -> dict[str, Result[Any]]:
    """What only charts show: a final report is about one run, so it can say who did what when."""
    asked: dict[str, Result[Any]] = {
        "cells": reader.cells(config.swarms, TASK_DURATION, config.time, _cells_ms(tasks)),
        "links": reader.links(config.swarms, config.time),
    }
    if config.kind == "final":
        asked["bars"] = reader.bars(config.swarms, config.run, config.time)
    return asked


def _cells_ms(tasks: Sequence[TaskRow]) -> int:
    starts: dict[str, list[int]] = {}
    for row in tasks:
        if row.started_ms is not None:
            starts.setdefault(row.swarm_id, []).append(row.started_ms)
    return bucket_ms([(min(own), max(own)) for own in starts.values()])


def _rows(asked: dict[str, Result[Any]], name: str) -> tuple[Any, ...]:
    return tuple(asked[name].rows) if name in asked else ()
