"""Keeps reports in the `reports` table, one row a report and format.

In: a connected client, a report, its rendered formats. Out: rows, and back. Never: renders, reads the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reports.render.view import Report

COLUMNS: Final = ("report_id", "format", "kind", "created_at", "title", "config", "body")
SCHEDULE: Final = "schedule"  # formats of rows that are no reports: reports/schedule_store.py
DELIVERY: Final = "delivery"


def save_report(client: Any, report: Report, bodies: Mapping[str, str | bytes]) -> None:
    """Stores every rendered format; saving the same report again replaces it."""
    created_at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=report.created_at_ms)
    config = report.config.model_dump_json()
    rows = [
        [report.report_id, name, report.config.kind, created_at, report.title, config, _bytes(body)]
        for name, body in bodies.items()
    ]
    client.insert("reports", rows, column_names=list(COLUMNS))


def list_reports(client: Any, limit: int) -> list[dict[str, Any]]:
    """The newest reports first, without their bodies."""
    result = client.query(
        "SELECT report_id, any(kind) AS kind, max(created_at) AS made_at, any(title) AS title, "
        "arraySort(groupArray(toString(format))) AS formats FROM reports FINAL "
        "WHERE format NOT IN {others:Array(String)} GROUP BY report_id "
        "ORDER BY made_at DESC, report_id LIMIT {limit:UInt32}",
        parameters={"limit": limit, "others": [SCHEDULE, DELIVERY]},
    )
    return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


def load_report(client: Any, report_id: str, name: str) -> bytes | None:
    """The body of one format; a unique beginning of the id is enough. None when there is no such report."""
    rows = client.query(
        "SELECT DISTINCT report_id, body FROM reports FINAL WHERE startsWith(report_id, {id:String}) "
        "AND format = {format:String} LIMIT 2",
        parameters={"id": report_id, "format": name},
        column_formats={"body": "bytes"},  # a PDF is no UTF-8
    ).result_rows
    return bytes(rows[0][1]) if len(rows) == 1 else None


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
