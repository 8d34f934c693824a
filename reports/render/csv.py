"""The report as one long CSV table for a spreadsheet or a notebook: a line a number, raw, with its unit.

In: a Report. Out: CSV text, RFC 4180 but with line feeds. Never: a formatted number; 0 for what is missing (an empty
cell); a cell of words that a spreadsheet would run as a formula (those that begin like one get a leading apostrophe).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import Final

from reports.render.json import SIGNIFICANT_DIGITS
from reports.render.times import iso
from reports.render.view import Report

COLUMNS: Final = (
    "section",  # fact | comparison | trend | slope | breakdown | resource | cost | agent | anomaly | alert
    "subject",  # swarm, or side A
    "against",  # side B
    "part",  # period, agent, model, phase ...
    "measure",
    "value",
    "unit",
    "low",
    "high",
    "n",
    "verdict",
    "provenance",
    "at",  # ISO 8601, where the line is about a moment
    "query",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Line = dict[str, str | float | int | None]


def render_csv(report: Report) -> str:
    """The report's numbers, in the order of the report."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in _lines(report):
        writer.writerow([_cell(line.get(name)) for name in COLUMNS])
    return out.getvalue()


def _lines(report: Report) -> Iterator[Line]:
    yield from _comparisons(report)
    yield from _trend(report)
    for summary in report.summaries:
        for fact in summary.facts:
            yield {
                "section": "fact",
                "subject": summary.swarm_id,
                "measure": fact.name,
                "value": fact.value,
                "unit": fact.unit,
                "low": fact.low,
                "high": fact.high,
                "n": fact.n,
                "provenance": " ".join(fact.provenance),
                "query": fact.query,
            }
    yield from _details(report)
    yield from _rows(report)


def _comparisons(report: Report) -> Iterator[Line]:
    for f in report.comparisons:
        common: Line = {"section": "comparison", "subject": f.a, "against": f.b, "query": f.query}
        common |= {"provenance": " ".join(f.provenance), "verdict": f.verdict}
        yield {**common, "measure": f"{f.metric} mean a", "value": f.mean_a, "unit": f.unit, "n": f.n_a}
        yield {**common, "measure": f"{f.metric} mean b", "value": f.mean_b, "unit": f.unit, "n": f.n_b}
        n = f.n_a if f.paired else f.n_a + f.n_b
        ratio: Line = {"measure": f"{f.metric} ratio a / b", "value": f.ratio, "unit": "1", "n": n}
        yield {**common, **ratio, "low": f.ratio_low, "high": f.ratio_high}
        if f.difference_low is not None:
            change: Line = {"measure": f"{f.metric} difference a - b", "value": f.difference, "unit": f.unit, "n": n}
            yield {**common, **change, "low": f.difference_low, "high": f.difference_high}
        yield {**common, "measure": f"{f.metric} p adjusted", "value": f.p_adjusted, "unit": "1", "n": n}


def _trend(report: Report) -> Iterator[Line]:
    swarm_id = report.config.swarms[0]
    for line in report.trend:
        common: Line = {"subject": swarm_id, "measure": line.metric, "unit": line.unit, "query": "tasks_by_period"}
        for p in line.points:
            values: Line = {"section": "trend", "part": p.period, "value": p.value, "low": p.low, "high": p.high}
            yield {**common, **values, "n": p.n, "at": iso(p.from_ms)}
        slope: Line = {"section": "slope", "part": "a period", "value": line.slope, "n": line.periods_used}
        yield {**common, **slope, "low": line.slope_low, "high": line.slope_high, "verdict": line.verdict}


def _details(report: Report) -> Iterator[Line]:
    for row in report.breakdown:
        common: Line = {"section": "breakdown", "subject": row.swarm_id, "part": f"{row.dimension}: {row.value}"}
        common["query"] = "breakdown"
        numbers = (("tasks", row.tasks), ("completed", row.completed), ("failed", row.failed))
        for name, whole in numbers:
            yield {**common, "measure": name, "value": whole, "unit": "tasks", "n": row.tasks}
        for name, value in (("duration_p50", row.duration_p50_ms), ("duration_p95", row.duration_p95_ms)):
            yield {**common, "measure": name, "value": value, "unit": "ms", "n": row.measured}
        yield {**common, "measure": "cost_usd", "value": row.cost_usd, "unit": "USD", "n": row.priced}
    for mean in report.resources:
        yield {
            "section": "resource",
            "subject": mean.swarm_id,
            "part": mean.agent_id,
            "measure": mean.metric,
            "value": mean.mean,
            "unit": mean.unit,
            "n": mean.events,
            "provenance": " ".join(mean.provenances),
            "query": "agent_metrics",
        }
    for alert in report.alerts:
        words: Line = {"section": "alert", "subject": alert.swarm_id, "part": alert.alert_id, "measure": alert.rule}
        yield {**words, "verdict": f"{alert.severity} {alert.state}", "at": iso(alert.since_ms), "query": "alerts"}


def _rows(report: Report) -> Iterator[Line]:
    for c in report.costs:
        common: Line = {"section": "cost", "subject": c.swarm_id, "part": c.model, "query": "cost_by_model"}
        words = " ".join(c.cost_provenances)
        yield {**common, "measure": "cost_usd", "value": c.cost_usd, "unit": "USD", "n": c.priced, "provenance": words}
        yield {**common, "measure": "calls", "value": c.calls, "unit": "calls", "n": c.calls}
    for g in report.agents:
        common = {"section": "agent", "subject": g.swarm_id, "part": g.agent_id, "query": "agents", "n": g.tasks}
        for name, unit, value in (
            ("tasks", "tasks", g.tasks),
            ("tasks_failed", "tasks", g.failed),
            ("task_duration_p50", "ms", g.task_p50_ms),
            ("task_duration_p95", "ms", g.task_p95_ms),
        ):
            yield {**common, "measure": name, "value": value, "unit": unit}
    for x in report.anomalies:
        where: Line = {"section": "anomaly", "subject": x.swarm_id, "part": x.agent_id, "measure": x.metric}
        bounds: Line = {"value": x.value, "unit": x.unit, "low": x.expected_low, "high": x.expected_high}
        yield {**where, **bounds, "verdict": x.severity, "at": iso(x.window_start_ms), "query": "anomalies"}


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT_DIGITS}g}" if math.isfinite(value) else ""
    if isinstance(value, int):
        return str(value)
    return f"'{value}" if value.startswith(_FORMULA) else value
