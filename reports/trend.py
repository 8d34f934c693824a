"""Asks for a swarm's periods one by one, and lays them side by side.

In: a Reader, a swarm, periods. Out: trend lines, the newest period against the one before, the queries.
Never: statistics of its own; a period that overlaps another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reports.analysis.trend import TrendLine, trend_lines
from reports.compare.engine import ComparisonInput, compare_swarms
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.statistics import Pairing
from reports.periods import Period
from reports.queries.port import Query, Reader, Result


@dataclass(frozen=True, slots=True)
class Trend:
    """`lines` over all periods; `findings` of the newest period (A) against the one before it (B)."""

    lines: tuple[TrendLine, ...]
    findings: tuple[Finding, ...]
    successes: tuple[SuccessFinding, ...]
    queries: dict[str, Query]


def build_trend(
    reader: Reader, swarm_id: str, periods: Sequence[Period], *, metrics: Sequence[str], pairing: Pairing
) -> Trend:
    """Tasks, calls and agents' metrics of each period; the last two periods are compared."""
    tasks = [reader.tasks((swarm_id,), period.time) for period in periods]
    names = [period.label for period in periods]
    queries = {"tasks": _together("tasks", names, tasks)}  # by the names the comparison knows
    lines = trend_lines(
        [(period.label, period.from_ms) for period in periods],
        {name: result.rows for name, result in zip(names, tasks, strict=True)},
    )
    if len(periods) < 2:
        return Trend(lines, (), (), _renamed(queries))
    newest, previous = periods[-1], periods[-2]
    sides = (f"{swarm_id} {newest.label}", f"{swarm_id} {previous.label}")

    def both(name: str, ask: Callable[[Period], Result[Any]]) -> list[Any]:
        found = [ask(newest), ask(previous)]
        queries[name] = _together(name, (newest.label, previous.label), found)
        return [replace(row, swarm_id=s) for s, result in zip(sides, found, strict=True) for row in result.rows]

    calls = both("calls", lambda period: reader.calls((swarm_id,), period.time))
    values = both("agent_metrics", lambda period: reader.agent_metrics((swarm_id,), period.time))
    rows = [
        replace(row, swarm_id=s) for s, result in zip(sides, (tasks[-1], tasks[-2]), strict=True) for row in result.rows
    ]
    findings, successes = compare_swarms(
        sides, ComparisonInput(rows, calls, values, queries), metrics=metrics, pairing=pairing
    )
    renamed = tuple(replace(finding, query=by_period(finding.query)) for finding in findings)
    return Trend(lines, renamed, successes, _renamed(queries))


def by_period(name: str) -> str:
    """The name of a query that was asked period by period, beside the one over the whole range."""
    return f"{name}_by_period"


def _renamed(queries: dict[str, Query]) -> dict[str, Query]:
    return {by_period(name): replace(query, name=by_period(name)) for name, query in queries.items()}


def _together(name: str, labels: Sequence[str], results: Sequence[Result[Any]]) -> Query:
    """One query over all periods, each with its label; it runs as it stands."""
    parts = [
        f"SELECT '{label}' AS period, * FROM\n(\n{result.query.sql}\n)"
        for label, result in zip(labels, results, strict=True)
    ]
    return Query(name, "\nUNION ALL\n".join(parts), sum(result.query.rows for result in results))
