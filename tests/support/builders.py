"""Readable test data: valid events and records, with only what a test is about spelt out.

In: overrides. Out: plain dicts, wire bytes, `RawRecord`s. Never: random; a test that wants chance draws it itself.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from models.codecs.records import (
    CONTENT_COLUMNS,
    CONTENT_NDJSON,
    HEADER_CONTENT_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_PRODUCER,
    RawRecord,
)

NOW_MS = 1_760_000_000_000  # 2025-10-09T08:53:20Z
PRODUCER = "0123456789abcdef0123456789abcdef"


def metric(**overrides: Any) -> dict[str, Any]:
    """A valid metric event; `without="field"` leaves one out."""
    return _event(
        {
            "swarm_id": "swarm-1",
            "agent_id": "agent-1",
            "timestamp": NOW_MS,
            "metric": "cpu_usage",
            "value": 0.5,
        },
        overrides,
    )


def activity(**overrides: Any) -> dict[str, Any]:
    """A valid, completed model call; `without="field"` leaves one out."""
    return _event(
        {
            "id": "call-1",
            "swarm_id": "swarm-1",
            "agent_id": "agent-1",
            "kind": "model_call",
            "status": "completed",
            "started_at": NOW_MS,
            "ended_at": NOW_MS + 1_500,
            "duration_ms": 1_500.0,
        },
        overrides,
    )


def _event(fields: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    left_out = overrides.pop("without", None)
    fields.update(overrides)
    if left_out is not None:
        del fields[left_out]
    return fields


def record(
    value: bytes | None,
    *,
    offset: int = 0,
    content_type: str | None = None,
    encoding: str | None = None,
    stamp: str | None = None,
    timestamp_ms: int = NOW_MS,
) -> RawRecord:
    """A record of the log with these headers."""
    headers: list[tuple[str, bytes]] = []
    for name, text in (
        (HEADER_CONTENT_TYPE, content_type),
        (HEADER_CONTENT_ENCODING, encoding),
        (HEADER_PRODUCER, stamp),
    ):
        if text is not None:
            headers.append((name, text.encode()))
    return RawRecord(offset, timestamp_ms, headers, value)


def json_record(document: Any, **options: Any) -> RawRecord:
    """One event, or a list of events, as JSON (NaN and Infinity as Python writes them)."""
    return record(json.dumps(document).encode(), **options)


def ndjson_record(events: Sequence[Any], **options: Any) -> RawRecord:
    """One event a line."""
    body = b"\n".join(json.dumps(event).encode() for event in events)
    return record(body, **({"content_type": CONTENT_NDJSON} | options))


def gzip_record(document: Any, **options: Any) -> RawRecord:
    """JSON, compressed."""
    return record(gzip.compress(json.dumps(document).encode()), encoding="gzip", **options)


def columns(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columnar batch of metric events as the map that goes on the wire; change it to break it."""
    strings: dict[str, int] = {}
    series: dict[tuple[int, ...], int] = {}
    labels: dict[tuple[Any, ...], int] = {}

    def index(text: str) -> int:
        return strings.setdefault(text, len(strings))

    series_idx, label_idx = [], []
    for event in events:
        key = (index(event["swarm_id"]), index(event.get("agent_id", "")), index(event["metric"]))
        series_idx.append(series.setdefault(key, len(series)))
        label = tuple(
            index(event.get(name, "")) for name in ("run_id", "unit", "source", "priority", "category", "provenance")
        )
        tags = tuple((index(k), index(v)) for k, v in event.get("tags", {}).items())
        label_idx.append(labels.setdefault((*label, tags), len(labels)))
    t0 = events[0]["timestamp"] if events else NOW_MS
    batch: dict[str, Any] = {
        "v": 1,
        "n": len(events),
        "strings": list(strings),
        "series": list(series),
        "labels": list(labels),
        "series_idx": np.array(series_idx, "<u4").tobytes(),
        "label_idx": np.array(label_idx, "<u4").tobytes(),
        "t0": t0,
        "dt": np.array([event["timestamp"] - t0 for event in events], "<i4").tobytes(),
        "value": np.array([event["value"] for event in events], "<f8").tobytes(),
    }
    if any("weight" in event for event in events):
        batch["weight"] = np.array([event.get("weight", 1.0) for event in events], "<f8").tobytes()
    if any("id" in event for event in events):
        batch["ids"] = [event.get("id", "") for event in events]
    return batch


def columns_record(events: Sequence[Mapping[str, Any]], **options: Any) -> RawRecord:
    """Metric events as one columnar batch; keyword arguments named after its keys replace them."""
    batch = columns(events)
    batch.update({key: options.pop(key) for key in list(options) if key in {*batch, "weight", "ids"}})
    return record(msgspec.msgpack.encode(batch), **({"content_type": CONTENT_COLUMNS} | options))
