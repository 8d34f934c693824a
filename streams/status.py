"""The worker's status file: what the supervisor, `murmur status` and `murmur doctor` read.

In: the engine. Out: `<home>/run/<name>.status.json`, replaced atomically. Never: blocks the worker, holds a secret.

`state` is `starting` (no partition yet), `ready`, or `stalled`: rows or snapshots wait for what `error` names.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from models.clock import Clock
from streams.containers import CHUNKS_BUFFERED_MAX, Fill, containers_of
from streams.engine import Engine, Partition


@dataclass(frozen=True, slots=True)
class Transport:
    """What only the transport knows. `ends`: log end offset of each owned partition; `buffered`: chunks by topic."""

    assigned: list[str] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    buffered: dict[str, int] = field(default_factory=dict)


def status_path(home: Path, name: str) -> Path:
    """Where the status of this worker stands."""
    return home / "run" / f"{name}.status.json"


def snapshot_of(
    engine: Engine, *, name: str, transport: Transport, clock: Clock, unreachable: str | None = None
) -> dict[str, Any]:
    """The status as plain values. `unreachable`: what a server that was asked just now answered wrongly, or None."""
    partitions = [_partition(engine, partition, transport) for partition in sorted(engine.workers)]
    counters = asdict(engine.counters)
    error = _error(engine) or unreachable
    state = "stalled" if error else "ready" if transport.assigned else "starting"
    return {
        **head(name=name, state=state, error=error, clock=clock),
        "fold_version": engine.settings.fold_version,
        "events_total": counters["events"],
        "records_total": counters["records"],
        "dead_letters_total": counters["dead_letters"],
        "lag_records": sum(p["lag_records"] or 0 for p in partitions),
        "assigned": transport.assigned,
        "buffers": {
            topic: Fill(size=chunks, bound=CHUNKS_BUFFERED_MAX) for topic, chunks in sorted(transport.buffered.items())
        },
        "partitions": partitions,
        "counters": counters,
    }


def head(*, name: str, state: str, error: str | None, clock: Clock) -> dict[str, Any]:
    """What every status holds, also that of a worker that has no engine yet."""
    return {
        "name": name,
        "pid": os.getpid(),
        "state": state,
        "ready": state == "ready",
        "updated_at_ms": clock.now_ms(),
        "error": error,
    }


def write_status(path: Path, status: dict[str, Any]) -> None:
    """Replaces the file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_suffix(".tmp")
    tmp.write_bytes(msgspec.json.encode(status))
    tmp.replace(path)


def _partition(engine: Engine, partition: Partition, transport: Transport) -> dict[str, Any]:
    worker = engine.workers[partition]
    end = transport.ends.get(partition)
    return {
        "topic": partition.topic,
        "partition": partition.number,
        "log_id": worker.fold.origin.log_id,
        "log_end_offset": end,
        "next_offset": worker.fold.next_offset,
        "acknowledged_offset": worker.acknowledged,
        "shown_offset": worker.shown,
        "snapshot_offset": worker.snapshot_offset,
        "committed_offset": transport.committed.get(partition),
        "lag_records": None if end is None else max(0, end - worker.acknowledged),
        "watermark_ms": worker.fold.watermark_ms,
        "error": worker.error,
        "containers": containers_of(worker, engine.settings),
    }


def _error(engine: Engine) -> str | None:
    """What ended the worker, else the first store or disk that a partition waits for."""
    if engine.failure is not None:
        return str(engine.failure)
    return next((worker.error for worker in engine.workers.values() if worker.error), None)
