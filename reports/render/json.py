"""The report as JSON: stable, documented in docs/reports.md, every number with its unit and the SQL that gives it.

In: a Report. Out: text. Never: NaN, a float with noise digits, a field whose meaning changes between versions.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from reports.analysis.facts import Fact, SwarmSummary
from reports.compare.describe import UNITS_MIN
from reports.compare.statistics import SUCCESS_WORTH_SEEING
from reports.compare.verdict import LEVEL
from reports.render.times import iso
from reports.render.view import REPORT_SCHEMA_VERSION, Report

SIGNIFICANT_DIGITS: Final = 10  # beyond it a double carries the order of a sum, not the data


def render_json(report: Report) -> str:
    """The report as JSON text (docs/reports.md); equal reports give equal bytes."""
    return json.dumps(report_object(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def report_object(report: Report) -> dict[str, Any]:
    """The report as plain JSON types."""
    return {
        "schema_version": REPORT_SCHEMA_VERSION,
        "report_id": report.report_id,
        "kind": report.config.kind,
        "title": report.title,
        "description": report.config.description,
        "created_at": iso(report.created_at_ms),
        "time_range": {"from": iso(report.config.from_ms), "to": iso(report.config.to_ms)},
        "config": report.config.model_dump(mode="json"),
        "sentences": [dataclasses.asdict(s) for s in report.sentences],
        "comparisons": [plain(dataclasses.asdict(f)) for f in report.comparisons],
        "success": [plain(dataclasses.asdict(s)) for s in report.success],
        "trend": [plain(dataclasses.asdict(line)) for line in report.trend],
        "method": {
            "confidence": 0.95,
            "false_claim_level": LEVEL,
            "correction": "Holm",
            "units_min": UNITS_MIN,
            "success_difference_worth_seeing": SUCCESS_WORTH_SEEING,
            "ratio": "mean_a / mean_b; the verdict is a's: a is <verdict> than b",
        },
        "swarms": [_summary(summary, report) for summary in report.summaries],
        "cost_by_model": [
            {**plain(dataclasses.asdict(c)), "cost_unit": "USD", "sql": report.queries["cost_by_model"].sql}
            for c in report.costs
        ],
        "anomalies_total": report.anomalies_total,
        "anomalies": [_anomaly(dataclasses.asdict(a), report) for a in report.anomalies],
        "agents": [
            {**plain(dataclasses.asdict(a)), "duration_unit": "ms", "sql": report.queries["agents"].sql}
            for a in report.agents
        ],
        "runs": [_times(dataclasses.asdict(row), report, "runs", "started", "ended") for row in report.runs],
        "breakdown": [
            {**plain(dataclasses.asdict(row)), "duration_unit": "ms", "cost_unit": "USD"} for row in report.breakdown
        ],
        "resources": [plain(dataclasses.asdict(row)) for row in report.resources],
        "alerts": [_times(dataclasses.asdict(row), report, "alerts", "since", "at") for row in report.alerts],
        "data_quality": [dataclasses.asdict(q) for q in report.quality],
        "charts": [{"name": c.name, "title": c.title, "description": c.description} for c in report.charts],
        "queries": {name: dataclasses.asdict(query) for name, query in sorted(report.queries.items())},
    }


def plain(value: Any) -> Any:
    """JSON types; floats to SIGNIFICANT_DIGITS, what is not finite to null."""
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def _summary(summary: SwarmSummary, report: Report) -> dict[str, Any]:
    return {
        "swarm_id": summary.swarm_id,
        "first_at": iso(summary.first_ms),
        "last_at": iso(summary.last_ms),
        "configuration": dict(summary.configuration),
        "facts": {fact.name: _fact(fact, report) for fact in summary.facts},
        "not_measured": list(summary.not_measured),
    }


def _fact(fact: Fact, report: Report) -> dict[str, Any]:
    values: dict[str, Any] = plain(dataclasses.asdict(fact))
    del values["name"]
    return {**values, "sql": report.queries[fact.query].sql}


def _anomaly(values: dict[str, Any], report: Report) -> dict[str, Any]:
    values["window_start"] = iso(values.pop("window_start_ms"))
    values["detected_at"] = iso(values.pop("detected_at_ms"))
    return {**plain(values), "sql": report.queries["anomalies"].sql}


def _times(values: dict[str, Any], report: Report, query: str, *names: str) -> dict[str, Any]:
    """Rows whose `<name>_ms` are moments: they become ISO 8601."""
    for name in names:
        values[name] = iso(values.pop(f"{name}_ms"))
    return {**plain(values), "sql": report.queries[query].sql}
