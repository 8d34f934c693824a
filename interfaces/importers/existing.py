"""What ClickHouse already holds of an import, so that importing again publishes only what is new or changed.

In: valid events. Out: the events that are not there yet, or differ from what is there; counts of the rest.
Never: writes; decides by time stamps of files.

Metric events: an id made from the content is there or not. Activities: the stored row is compared field by field;
what the stream adds itself (a cost, a projected value) is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from interfaces.importers.chunk import Event

SWARMS_PER_QUERY = 200  # keeps the text of a query far below ClickHouse's 256 KiB
# Columns of v_activities that an importer may fill, as ActivityEvent names them.
COMPARED = (
    "agent_id", "parent_agent_id", "run_id", "kind", "status", "started_at", "ended_at", "duration_ms", "role", "model",
    "provider", "phase", "pattern", "workflow", "task_id", "task_hash", "tool", "input_hash", "from_agent_id",
    "to_agent_id", "message_type", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_tokens", "error_type", "retries", "success", "provenance", "tags",
)  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {"provenance": "measured", "tags": {}}
_NULLABLE = {
    "ended_at", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "retries", "success",
}  # fmt: skip


@dataclass(slots=True)
class Selection:
    """The outcome of a comparison."""

    fresh: list[Event] = field(default_factory=list)  # to be published
    changed: int = 0  # of `fresh`: there with other content
    unchanged: int = 0
    elsewhere: int = 0  # the same activity stands under another swarm of this import: it belongs there


def select_new(client: Any, events: Sequence[Event]) -> Selection:
    """Compares with the database behind `client` (sinks.clickhouse.client.connect)."""
    metrics = [event for event in events if "metric" in event]
    activities = [event for event in events if "metric" not in event]
    selection = Selection()
    if metrics:
        _select_metrics(client, metrics, selection)
    if activities:
        _select_activities(client, activities, selection)
    return selection


def _select_metrics(client: Any, metrics: Sequence[Event], selection: Selection) -> None:
    known: set[str] = set()
    stamps = [event["timestamp"] for event in metrics]
    for swarms in _batches({event["swarm_id"] for event in metrics}):
        rows = client.query(
            "SELECT DISTINCT event_id FROM metrics WHERE swarm_id IN {swarms:Array(String)} AND event_id != ''"
            " AND timestamp BETWEEN fromUnixTimestamp64Milli({low:Int64}) AND fromUnixTimestamp64Milli({high:Int64})",
            parameters={"swarms": swarms, "low": min(stamps), "high": max(stamps)},
        )
        known.update(row[0] for row in rows.result_rows)
    for event in metrics:
        if event.get("id") and event["id"] in known:
            selection.unchanged += 1
        else:
            selection.fresh.append(event)


def _select_activities(client: Any, activities: Sequence[Event], selection: Selection) -> None:
    wanted = {event["id"] for event in activities}
    stored: dict[str, dict[str, tuple[Any, ...]]] = {}  # activity id -> swarm -> row
    for swarms in _batches({event["swarm_id"] for event in activities}):
        rows = client.query(
            f"SELECT swarm_id, activity_id, {', '.join(COMPARED)} FROM v_activities"
            " WHERE swarm_id IN {swarms:Array(String)}",
            parameters={"swarms": swarms},
        )
        for swarm_id, activity_id, *row in rows.result_rows:
            if activity_id in wanted:
                stored.setdefault(activity_id, {})[swarm_id] = tuple(row)
    for event in activities:
        by_swarm = stored.get(event["id"])
        if by_swarm is None:
            selection.fresh.append(event)
        elif event["swarm_id"] not in by_swarm:
            selection.elsewhere += 1
        elif differs(event, by_swarm[event["swarm_id"]]):
            selection.fresh.append(event)
            selection.changed += 1
        else:
            selection.unchanged += 1


def differs(event: Event, row: Sequence[Any]) -> bool:
    """Whether the stored row (columns COMPARED) says something else than the event."""
    return any(_plain(stored) != _expected(event, name) for name, stored in zip(COMPARED, row, strict=True))


def _expected(event: Event, name: str) -> Any:
    value = event.get(name)
    if value is None:
        return None if name in _NULLABLE else _DEFAULTS.get(name, "")
    if isinstance(value, bool):
        return int(value)
    return dict(value) if name == "tags" else value


def _plain(stored: Any) -> Any:
    if isinstance(stored, datetime):
        return round(stored.timestamp() * 1000)
    return dict(stored) if isinstance(stored, Mapping) else stored


def _batches(swarms: Iterable[str]) -> list[list[str]]:
    ordered = sorted(swarms)
    return [ordered[i : i + SWARMS_PER_QUERY] for i in range(0, len(ordered), SWARMS_PER_QUERY)]
