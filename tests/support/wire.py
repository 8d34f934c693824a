"""An independent reader of the documented wire forms, for tests: struct and msgpack only, nothing of ours.

In: Kafka records. Out: plain event mappings.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any

import msgspec

COLUMNS = "application/vnd.murmur.columns+msgpack"


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode("ascii") for name, value in record.headers}


def events_of(record: Any) -> list[dict[str, Any]]:
    """The events of one record, by the layout in docs/client.md."""
    if headers_of(record)["content-type"] != COLUMNS:
        decoded = json.loads(record.value)
        return decoded if isinstance(decoded, list) else [decoded]
    batch = msgspec.msgpack.decode(record.value)
    assert batch["v"] == 1
    count, strings = batch["n"], batch["strings"]
    series_idx = struct.unpack(f"<{count}I", batch["series_idx"])
    label_idx = struct.unpack(f"<{count}I", batch["label_idx"])
    dt_ms = struct.unpack(f"<{count}i", batch["dt"])
    values = struct.unpack(f"<{count}d", batch["value"])
    weights = struct.unpack(f"<{count}d", batch["weight"]) if "weight" in batch else (1.0,) * count
    events = []
    for i in range(count):
        swarm, agent, metric = (strings[s] for s in batch["series"][series_idx[i]])
        *label, pairs = batch["labels"][label_idx[i]]
        run, unit, source, priority, category, provenance = (strings[s] for s in label)
        events.append(
            {
                "swarm_id": swarm,
                "agent_id": agent,
                "metric": metric,
                "run_id": run,
                "unit": unit,
                "source": source,
                "priority": priority,
                "category": category,
                "provenance": provenance,
                "tags": {strings[k]: strings[v] for k, v in pairs},
                "timestamp": batch["t0"] + dt_ms[i],
                "value": values[i],
                "weight": weights[i],
            }
        )
    return events


def without_resends(records: Iterable[Any]) -> list[Any]:
    """What the worker keeps: the first record of each stamp in each partition."""
    seen: set[tuple[str, int, str]] = set()
    kept = []
    for record in records:
        stamp = (record.topic, record.partition, headers_of(record)["murmur-producer"])
        if stamp not in seen:
            seen.add(stamp)
            kept.append(record)
    return kept
