"""Scripted swarms for the named detectors: activities in, what the real fold finds out.

In: activities as dicts with seconds instead of epoch times. Out: rows of `anomalies`. Never: anything but the fold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from models.codecs.records import RawRecord
from models.detect.catalogue import NAMES
from streams.fold import PartitionFold
from tests.support.folds import T0, new_fold, record

S = 1_000
Event = dict[str, Any]


def activity(second: float, kind: str = "tool_call", **fields: Any) -> Event:
    """An activity that ended then, after a second; `lasted` says how many seconds instead."""
    lasted = fields.pop("lasted", 1.0)
    end = T0 + round(second * S)
    running = fields.get("status") in ("running", "blocked")
    made: Event = {
        "id": fields.pop("id", f"{kind}-{second}-{fields.get('agent_id', 'a')}"),
        "swarm_id": "s",
        "agent_id": "a",
        "kind": kind,
        "status": "completed",
        "started_at": end if running else end - round(lasted * S),
    }
    if not running:
        made |= {"ended_at": end, "duration_ms": lasted * S}
    return made | fields


def records_of(events: Iterable[Event], *, batch: int = 1) -> list[RawRecord]:
    """The events in order, `batch` a record, appended when the newest of its events happened."""
    events = list(events)
    groups = [events[i : i + batch] for i in range(0, len(events), batch)]
    records, now_ms = [], T0
    for offset, group in enumerate(groups):
        now_ms = max([now_ms, *(e.get("ended_at") or e.get("started_at") or e["timestamp"] for e in group)])
        records.append(record(offset, json.dumps(group).encode(), at_ms=now_ms))
    return records


def found_by(events: Iterable[Event], *, topic: str = "swarm.activities", fold: PartitionFold | None = None) -> Any:
    """Rows of the named detectors, in the order they were found."""
    fold = fold or new_fold(topic)
    fold.fold(records_of(events))
    return named(fold)


def named(fold: PartitionFold) -> list[dict[str, Any]]:
    """The rows of named detectors that wait in a fold."""
    batch = fold.take_outputs().batch()
    rows = batch["anomalies"].to_pylist() if "anomalies" in batch else []
    return [row for row in rows if row["detector"] in NAMES]


def told(rows: Sequence[dict[str, Any]], detector: str = "") -> list[tuple[str, str, float, str]]:
    """(detector, metric, value, severity) of each row."""
    return [
        (row["detector"], row["metric"], row["value"], row["severity"])
        for row in rows
        if not detector or row["detector"] == detector
    ]


def second_of(row: dict[str, Any]) -> float:
    """Event time of a finding, in seconds of the script."""
    return (row["window_start"].timestamp() * S + row["window_ms"] - T0) / S
