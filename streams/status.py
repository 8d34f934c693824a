"""The worker's status file: what the supervisor, `murmur status` and `murmur doctor` read.

In: the engine. Out: `<home>/run/<name>.status.json`, replaced atomically. Never: blocks the worker, holds a secret.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from models.clock import Clock
from streams.engine import Engine, Partition


def status_path(home: Path, name: str) -> Path:
    """Where the status of this worker stands."""
    return home / "run" / f"{name}.status.json"


def snapshot_of(
    engine: Engine, *, name: str, ready: bool, ends: dict[Partition, int], assigned: list[str], clock: Clock
) -> dict[str, Any]:
    """The status as plain values. `ends`: log end offset of each partition that is owned."""
    partitions = []
    for partition, worker in sorted(engine.workers.items()):
        end = ends.get(partition)
        partitions.append(
            {
                "topic": partition.topic,
                "partition": partition.number,
                "log_id": worker.fold.origin.log_id,
                "next_offset": worker.fold.next_offset,
                "acknowledged_offset": worker.acknowledged,
                "snapshot_offset": worker.snapshot_offset,
                "lag_records": None if end is None else max(0, end - worker.acknowledged),
                "watermark_ms": worker.fold.watermark_ms,
                **worker.fold.sizes(),
            }
        )
    waiting = [w.error for w in engine.workers.values() if w.error]
    error = str(engine.failure) if engine.failure is not None else (waiting[0] if waiting else None)
    counters = asdict(engine.counters)
    return {
        "name": name,
        "pid": os.getpid(),
        "ready": ready,
        "fold_version": engine.settings.fold_version,
        "updated_at_ms": clock.now_ms(),
        "events_total": counters["events"],
        "records_total": counters["records"],
        "dead_letters_total": counters["dead_letters"],
        "lag_records": sum(p["lag_records"] or 0 for p in partitions),
        "assigned": assigned,
        "partitions": partitions,
        "counters": counters,
        "error": error,
    }


def write_status(path: Path, status: dict[str, Any]) -> None:
    """Replaces the file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_suffix(".tmp")
    tmp.write_bytes(msgspec.json.encode(status))
    tmp.replace(path)
