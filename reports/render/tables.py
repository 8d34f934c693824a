"""The tables that every format lays out alike: rows of text made of what some kinds of report hold.

In: a Report. Out: `Table`s. Never: a format's own syntax; a number without its unit; a column that nobody explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reports.analysis.trend import TrendLine
from reports.numbers import count, difference, number, quantity
from reports.queries.port import AgentMetricRow, BreakdownRow
from reports.render.times import short
from reports.render.view import Report


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head; numbers stand to the right."""

    label: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`anchors` name the rows (the HTML's ids), where there are any; the first cell of a row is its head."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    query: str = ""
    anchors: tuple[str, ...] = ()


def trend_tables(report: Report) -> tuple[Table, ...]:
    """Slopes and periods: what a trend report is about, so they stand first."""
    return (_slopes(report.trend), _points(report.trend)) if report.trend else ()


def detail_tables(report: Report) -> tuple[Table, ...]:
    """Runs, breakdown, resources, alerts: those the report has."""
    return tuple(_made(report))


def _made(report: Report) -> Iterator[Table]:
    if report.runs:
        yield _runs(report)
    if report.breakdown:
        yield _breakdown(report.breakdown)
    if report.resources:
        yield _resources(report.resources)
    if report.alerts:
        yield _alerts(report)


def _slopes(lines: Iterable[TrendLine]) -> Table:
    rows = []
    for line in lines:
        interval = "–"
        if line.slope_low is not None and line.slope_high is not None:
            interval = f"{difference(line.slope_low, line.unit)} to {difference(line.slope_high, line.unit)}"
        now = line.current
        rows.append(
            (
                line.label,
                f"{quantity(now.value, line.unit)} (n = {count(now.n)})",
                difference(line.slope, line.unit) if line.slope is not None else "–",
                interval,
                quantity(line.volatility, line.unit) if line.volatility is not None else "–",
                line.verdict,
                line.why,
            )
        )
    columns = (
        Column("measure"),
        Column("newest period", True),
        Column("change a period", True),
        Column("95 % interval", True),
        Column("volatility", True),
        Column("trend"),
        Column("why"),
    )
    note = (
        "A straight line through the periods' means (least squares, Student's t, the period is the unit), p-values "
        "after Holm over these lines. Volatility: standard deviation of the periods around the line."
    )
    anchors = tuple(f"t-{line.metric}" for line in lines)
    return Table("trend", "Trend", columns, tuple(rows), note, "tasks_by_period", anchors)


def _points(lines: tuple[TrendLine, ...]) -> Table:
    """A row a period: the columns are the measures, so that it fits a page however many periods there are."""
    rows = []
    for i, first in enumerate(lines[0].points):
        cells = [first.period]
        for line in lines:
            point = line.points[i]
            text = quantity(point.value, line.unit)
            if point.low is not None and point.high is not None:
                text += f" [{quantity(point.low, line.unit)}, {quantity(point.high, line.unit)}]"
            cells.append(text)
        rows.append((*cells, count(max(line.points[i].n for line in lines))))
    columns = (Column("period"), *(Column(line.label, True) for line in lines), Column("n, tasks", True))
    note = "Means with their 95 % intervals (success: Wilson's); no interval below ten tasks."
    return Table("periods", "Period by period", columns, tuple(rows), note, "tasks_by_period")


def _runs(report: Report) -> Table:
    rows = tuple(
        (
            row.run_id or "(unnamed)",
            row.swarm_id,
            row.status,
            short(row.started_ms),
            short(row.ended_ms) if row.ended_ms is not None else "not ended",
            quantity(row.ended_ms - row.started_ms, "ms") if row.ended_ms is not None else "–",
        )
        for row in report.runs
    )
    names = ("run", "swarm", "status", "started", "ended")
    return Table("runs", "Runs", (*(Column(n) for n in names), Column("duration", True)), rows, query="runs")


def _breakdown(found: Iterable[BreakdownRow]) -> Table:
    rows = tuple(
        (
            row.value,
            row.dimension,
            row.swarm_id,
            count(row.tasks),
            count(row.completed),
            count(row.failed),
            quantity(row.duration_p50_ms, "ms"),
            quantity(row.duration_p95_ms, "ms"),
            quantity(row.cost_usd, "USD") + ("" if row.priced in {0, row.tasks} else f" ({count(row.priced)} priced)"),
        )
        for row in found
    )
    words = (Column("value"), Column("of"), Column("swarm"))
    numbers = ("tasks", "completed", "failed", "p50", "p95", "cost")
    note = "Tasks that name it, the 20 most frequent values each; tasks that name none are in no row."
    title = "Work by phase, pattern, role and class of error"
    return Table("breakdown", title, (*words, *(Column(n, True) for n in numbers)), rows, note, "breakdown")


def _resources(found: Iterable[AgentMetricRow]) -> Table:
    groups: dict[tuple[str, str, str], list[AgentMetricRow]] = {}
    for row in found:
        groups.setdefault((row.metric, row.swarm_id, row.unit), []).append(row)
    rows = []
    for (metric, swarm_id, unit), own in groups.items():
        means = [row.mean for row in own]
        cells = (sum(means) / len(means), min(means), max(means))
        kinds = sorted({p for row in own for p in row.provenances})
        rows.append(
            (
                metric,
                swarm_id,
                count(len(own)),
                count(sum(row.events for row in own)),
                *(quantity(value, unit) for value in cells),
                ", ".join(kinds) or "none",
            )
        )
    columns = (
        Column("metric"),
        Column("swarm"),
        Column("agents", True),
        Column("events", True),
        Column("mean of agents", True),
        Column("lowest agent", True),
        Column("highest agent", True),
        Column("provenance"),
    )
    note = "An agent's value is the weighted mean of its events; every agent counts once."
    return Table("resources", "What the agents measured", columns, tuple(rows), note, "agent_metrics")


def _alerts(report: Report) -> Table:
    rows = tuple(
        (short(row.since_ms), row.swarm_id, row.severity, row.state, f"{row.rule}: {row.reason}", row.alert_id[:12])
        for row in report.alerts
    )
    names = ("since", "swarm", "severity", "state", "what", "id")
    note = "Open at some moment of the time range; at most 100 a swarm."
    return Table("alerts", "Alerts", tuple(Column(n) for n in names), rows, note, "alerts")


def p_text(value: float | None) -> str:
    """A p-value for a cell; a dash where no test was made."""
    return "–" if value is None else number(value)
