"""Keeps schedules and what became of each period's report, beside the reports, in the table `reports`.

In: a connected client, schedules, occurrences. Out: rows, and back. Never: a secret (channels are named, their
addresses are settings), an update in place: the newest row wins.

A schedule is the row ('schedule:<name>', format 'schedule'): `config` holds it, `body` says active or removed. An
occurrence is the row (report id, format 'delivery') beside the report's own rows: `body` holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from reports.schedule import Schedule
from reports.store import COLUMNS, DELIVERY, SCHEDULE

OCCURRENCES_MAX: Final = 10_000  # of one answer: a year of hourly reports
Status = Literal["waiting", "delivered", "undelivered"]


class ChannelOutcome(BaseModel):
    """What became of one channel's message. `at_ms`: when it was settled; `problem` of an undelivered one."""

    model_config = ConfigDict(extra="forbid")

    status: Status = "waiting"
    attempts: int = 0
    at_ms: int | None = None
    problem: str = ""


class Occurrence(BaseModel):
    """One period of one schedule. `told`: what the message says, so that a later attempt says the same."""

    model_config = ConfigDict(extra="forbid")

    report_id: str
    schedule: str
    period: str
    from_ms: int
    made_ms: int  # wall clock; the budget of the deliveries runs from here
    title: str
    lines: tuple[str, ...]
    formats: tuple[str, ...]  # of the stored report that goes with the message; empty: there was nothing to report
    channels: dict[str, ChannelOutcome]

    @property
    def settled(self) -> bool:
        """Whether every channel has been told, or given up."""
        return all(outcome.status != "waiting" for outcome in self.channels.values())

    @property
    def status(self) -> Status:
        """The worst of its channels."""
        found = {outcome.status for outcome in self.channels.values()}
        return "waiting" if "waiting" in found else "undelivered" if "undelivered" in found else "delivered"


def save_schedule(client: Any, schedule: Schedule, *, now_ms: int, active: bool = True) -> None:
    """Stores a schedule, or (`active` False) that it is gone."""
    body = "active" if active else "removed"
    row = [f"schedule:{schedule.name}", SCHEDULE, schedule.request.kind, _moment(now_ms), schedule.name]
    client.insert("reports", [[*row, schedule.model_dump_json(by_alias=True), body]], column_names=list(COLUMNS))


def load_schedules(client: Any) -> list[Schedule]:
    """The active ones, by name."""
    rows = client.query(
        "SELECT config FROM reports FINAL WHERE format = {format:String} AND body = 'active' ORDER BY report_id",
        parameters={"format": SCHEDULE},
    ).result_rows
    return [Schedule.model_validate_json(row[0]) for row in rows]


def save_occurrence(client: Any, occurrence: Occurrence, *, now_ms: int) -> None:
    """Stores how far an occurrence is."""
    row = [occurrence.report_id, DELIVERY, occurrence.schedule, _moment(now_ms), occurrence.title, "{}"]
    client.insert("reports", [[*row, occurrence.model_dump_json()]], column_names=list(COLUMNS))


def load_occurrences(client: Any, report_ids: Sequence[str]) -> dict[str, Occurrence]:
    """Those of these report ids that exist."""
    rows = client.query(
        "SELECT body FROM reports FINAL WHERE format = {format:String} AND report_id IN {ids:Array(String)}",
        parameters={"format": DELIVERY, "ids": list(report_ids)},
    ).result_rows
    found = [Occurrence.model_validate_json(row[0]) for row in rows]
    return {occurrence.report_id: occurrence for occurrence in found}


def recent_occurrences(client: Any, limit: int) -> list[Occurrence]:
    """The newest first."""
    rows = client.query(
        "SELECT body FROM reports FINAL WHERE format = {format:String} "
        "ORDER BY JSONExtractInt(body, 'made_ms') DESC, report_id LIMIT {limit:UInt32}",
        parameters={"format": DELIVERY, "limit": min(limit, OCCURRENCES_MAX)},
    ).result_rows
    return [Occurrence.model_validate_json(row[0]) for row in rows]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
