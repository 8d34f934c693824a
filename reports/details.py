"""What only some kinds of report ask: runs, breakdowns, alerts, what agents measured, periods side by side.

In: a Reader, a ReportConfig, what was asked already. Out: `Details`. Never: a question that its kind does not show.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reports.analysis.facts import Sentence
from reports.analysis.trend import TrendLine
from reports.compare.engine import ComparisonInput, compare_swarms
from reports.compare.finding import Finding, SuccessFinding
from reports.config import ReportConfig
from reports.depth import depth
from reports.periods import split
from reports.queries.port import AgentMetricRow, AlertRow, BreakdownRow, Query, Reader, RunRow
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
    queries: dict[str, Query] = field(default_factory=dict)


def details(reader: Reader, config: ReportConfig, data: ComparisonInput) -> Details:
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
    return Details(
        findings,
        successes,
        runs=tuple(row for row in runs.rows if not config.run or row.run_id == config.run),
        breakdown=tuple(breakdown.rows),
        alerts=tuple(alerts.rows),
        resources=tuple(data.agent_metrics),
        sentences=more.sentences,
        queries={result.query.name: result.query for result in (runs, breakdown, alerts)} | more.queries,
    )
