"""Partitions of a worker take turns at the stores: who waits holds its rows once, in the fold, and no snapshot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from models.clock import ManualClock
from models.settings import Settings
from sinks.base import Batch, WriteResult
from sinks.memory import MemorySink
from streams.checkpoint import PartitionWorker
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import FORMAT, SnapshotHeader
from tests.support.folds import T0, config, new_fold, record

EVENT: dict[str, Any] = {"swarm_id": "s", "agent_id": "a", "metric": "cost_usd", "value": 1.0, "timestamp": T0}


class SlowSink(MemorySink):
    """A store that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def write(self, batch: Batch) -> WriteResult:
        self.asked.set()
        await self.may_answer.wait()
        return await super().write(batch)


def worker(number: int, sink: SlowSink, checkpoints: dict[str, int], turns: asyncio.Semaphore, home: Path) -> Any:
    header = SnapshotHeader(FORMAT, 1, config().fingerprint(), "log", "swarm.metrics", number, 0)
    return PartitionWorker(
        key=f"p{number}",
        fold=new_fold(),
        sinks=[sink],
        snapshots=DirectorySnapshots(home / str(number), header, kept=2),
        checkpoints=checkpoints,
        settings=Settings(home=home),
        clock=ManualClock(),
        writing=turns,
    )


async def test_a_partition_that_waits_for_its_turn_has_taken_nothing_and_loses_nothing(tmp_path: Path) -> None:
    sink, checkpoints = SlowSink(), dict[str, int]()
    await sink.start()
    turns = asyncio.Semaphore(1)
    first, second = (worker(n, sink, checkpoints, turns, tmp_path) for n in (0, 1))
    for each in (first, second):
        await each.add([record(0, msgspec.json.encode(EVENT))])
    flushes = [asyncio.create_task(each.flush(snapshot=True)) for each in (first, second)]
    await sink.asked.wait()
    assert (first.rows_in_flight > 0, first.fold.outputs.rows) == (True, 0)
    assert second.rows_in_flight == 0
    assert second.fold.outputs.rows > 0
    await second.add([record(1, msgspec.json.encode(EVENT))])  # it goes on folding, and its flush takes this along
    sink.may_answer.set()
    await asyncio.gather(*flushes)
    assert checkpoints == {"p0": 1, "p1": 2}
    assert (first.acknowledged, second.acknowledged) == (1, 2)


async def test_a_flush_cancelled_while_it_waits_can_be_tried_again(tmp_path: Path) -> None:
    sink, checkpoints = SlowSink(), dict[str, int]()
    await sink.start()
    turns = asyncio.Semaphore(1)
    one = worker(0, sink, checkpoints, turns, tmp_path)
    await one.add([record(0, msgspec.json.encode(EVENT))])
    async with turns:
        flush = asyncio.create_task(one.flush(snapshot=True))
        await asyncio.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
    assert one.failure is None
    sink.may_answer.set()
    await one.flush(snapshot=True)
    assert checkpoints == {"p0": 1}
    assert len(sink.rows("metrics")) == 1
