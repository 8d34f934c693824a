"""An independent recount: counts the windows of a log with dictionaries.

In: the records of a log. Out: what v_windows and v_dead_letters must show. Never: imports the product: it shares no
code with the engine it judges. Understands what the tests publish: JSON events, arrays, and one columnar form.
"""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from typing import Any, NamedTuple

import msgspec


class Tally:
    """Count, sum, minimum, maximum, sum of squares, values."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def row(self) -> tuple[int, float, float, float, float, float]:
        n, total = len(self.values), math.fsum(self.values)
        mean = total / n
        return (
            n,
            total,
            min(self.values),
            max(self.values),
            mean,
            math.sqrt(math.fsum((v - mean) ** 2 for v in self.values) / n),
        )


class Recount(NamedTuple):
    """What a log must come to."""

    windows: dict[Any, Tally]  # by (swarm, agent, metric, window_ms, start)
    dead: set[Any]  # (partition, offset, idx) of what no event can be made of
    events: set[Any]  # (partition, offset, idx) of what counts


def recount(records: list[Any], windows_ms: tuple[int, ...], skew_ms: int) -> Recount:
    """Counts the records of a log, in the order of each partition."""
    windows: dict[Any, Tally] = defaultdict(Tally)
    dead: set[Any] = set()
    events: set[Any] = set()
    stamps: set[Any] = set()
    for record in records:
        headers = dict(record.headers)
        stamp = headers.get("murmur-producer")
        if stamp is not None:
            if (record.partition, stamp) in stamps:
                continue
            stamps.add((record.partition, stamp))
        for idx, event in _events(record.value, headers):
            if event is None or not _valid(event) or event["timestamp"] > record.timestamp + skew_ms:
                dead.add((record.partition, record.offset, idx))
                continue
            events.add((record.partition, record.offset, idx))
            for size in windows_ms:
                start = event["timestamp"] // size * size
                key = (event["swarm_id"], event.get("agent_id", ""), event["metric"].lower(), size, start)
                windows[key].values.append(float(event["value"]))
    return Recount(windows, dead, events)


def _events(value: bytes, headers: dict[str, bytes]) -> list[tuple[int, Any]]:
    if b"columns" in headers.get("content-type", b""):
        batch = msgspec.msgpack.decode(value)
        return list(enumerate(_rows(batch)))
    try:
        data = json.loads(value)
    except (ValueError, RecursionError):
        return [(-1, None)]
    if isinstance(data, list):
        return list(enumerate(data))
    return [(0, data)]


def _rows(batch: dict[str, Any]) -> list[dict[str, Any]]:
    def ints(data: bytes) -> list[int]:
        return [int.from_bytes(data[i : i + 4], "little", signed=True) for i in range(0, len(data), 4)]

    values = struct.unpack(f"<{batch['n']}d", batch["value"])
    rows = []
    for series, dt, value in zip(ints(batch["series_idx"]), ints(batch["dt"]), values, strict=True):
        swarm, agent, metric = (batch["strings"][i] for i in batch["series"][series])
        rows.append(
            {"swarm_id": swarm, "agent_id": agent, "metric": metric, "timestamp": batch["t0"] + dt, "value": value}
        )
    return rows


def _valid(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and isinstance(event.get("swarm_id"), str)
        and isinstance(event.get("metric"), str)
        and isinstance(event.get("timestamp"), int)
        and event["timestamp"] >= 946_684_800_000
        and isinstance(event.get("value"), int | float)
        and not isinstance(event.get("value"), bool)
        and math.isfinite(event["value"])
    )
