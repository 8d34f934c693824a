"""One partition of a worker over sinks that answer when a test lets them.

In: sinks, a home. Out: a real PartitionWorker with its snapshots on disk. Never: a broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from models.clock import ManualClock
from models.settings import Settings
from sinks.base import Batch, Sink, WriteResult
from sinks.memory import MemorySink
from streams.checkpoint import PartitionWorker
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import FORMAT, SnapshotHeader
from streams.turns import Turns
from tests.support.folds import config, new_fold


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


def worker(
    number: int,
    sinks: Sequence[Sink],
    checkpoints: MutableMapping[str, int],
    home: Path,
    *,
    turns: Turns | None = None,
    topic: str = "swarm.metrics",
) -> PartitionWorker:
    """Partition `number`, known as `p<number>` in `checkpoints`."""
    header = SnapshotHeader(FORMAT, 1, config().fingerprint(), "log", topic, number, 0)
    return PartitionWorker(
        key=f"p{number}",
        fold=new_fold(topic),
        sinks=sinks,
        snapshots=DirectorySnapshots(home / str(number), header, kept=2),
        checkpoints=checkpoints,
        settings=Settings(home=home),
        clock=ManualClock(),
        turns=turns or Turns(),
    )
