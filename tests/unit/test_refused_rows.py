"""A row the store refuses is one dead letter of its own, whatever it is made of; refused again it is the same one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from models.clock import ManualClock
from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.memory import MemorySink
from streams.checkpoint import PartitionWorker
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import FORMAT, SnapshotHeader
from streams.turns import Turns
from tests.support.folds import T0, config, new_fold, record

HEADER = SnapshotHeader(FORMAT, 1, config().fingerprint(), "log", "swarm.metrics", 0, 0)
BAD_EVENT = b'{"swarm_id": "s"}'


def event(agent: str, value: int) -> dict[str, Any]:
    return {"swarm_id": "s", "agent_id": agent, "metric": "cost_usd", "value": value, "timestamp": T0}


def log() -> list[RawRecord]:
    """A bad event, then one record whose events are in windows of two agents."""
    batch = json.dumps([event("a", 1), event("b", 2), event("b", 3)]).encode()
    return [record(0, BAD_EVENT), record(1, batch)]


def refuse(table: str, row: Mapping[str, Any]) -> str | None:
    """Every window of one second, and one raw row."""
    if table == "windows" and row["window_ms"] == 1_000:
        return "refused window"
    return "refused event" if table == "metrics" and row["value"] == 3 else None


async def letters(home: Path, flushes: int) -> list[dict[str, Any]]:
    """The dead letters after the log was folded and written this many times by workers that know nothing of another."""
    sink = MemorySink(reject=refuse)
    await sink.start()
    for life in range(flushes):
        worker = PartitionWorker(
            key="p0",
            fold=new_fold(),
            sinks=[sink],
            snapshots=DirectorySnapshots(home / str(life), HEADER, kept=2),
            checkpoints={},
            settings=Settings(home=home),
            clock=ManualClock(),
            turns=Turns(),
        )
        await worker.add(log())
        await worker.flush()
    return sink.rows("dead_letters")


async def test_refused_windows_and_events_are_letters_of_their_own_beside_those_of_bad_input(tmp_path: Path) -> None:
    rows = await letters(tmp_path, flushes=1)
    found = {(r["offset"], r["idx"]): r["reason"] for r in rows}
    assert "table" not in found[0, 0]
    assert found[1, 2] == "table metrics: refused event"
    windows = [r for r in rows if "windows" in r["reason"]]
    assert {msgspec.json.decode(r["payload"])["agent_id"] for r in windows} == {"a", "b"}
    assert all(r["offset"] == 1 and r["idx"] < -1 for r in windows)
    assert len(rows) == 1 + 1 + len(windows)


async def test_a_row_refused_again_is_the_same_letter(tmp_path: Path) -> None:
    once, thrice = await letters(tmp_path / "once", flushes=1), await letters(tmp_path / "thrice", flushes=3)
    assert once == thrice
