"""One engine over a log in memory: appended to, fetched from and restarted by hand.

In: a home, settings. Out: what the engine folded, saved and stored. Never: a broker or a store.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.clock import ManualClock
from models.settings import Settings
from sinks.memory import MemorySink
from streams.engine import Engine, Partition
from tests.support.sim_log import SimConsumer, SimLog

HERE = Partition("swarm.metrics", 0)
PLAIN: dict[str, Any] = {"windows": "1s", "flush_interval_ms": 60_000}
T0 = 1_700_000_000_000


class Bench:
    """One engine over a log in memory; a second one may take its place."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.settings = Settings(**({"home": home} | PLAIN | settings))
        self.clock = ManualClock()
        self.log = SimLog([HERE])
        self.sink = MemorySink()
        self.start()

    def start(self, log_id: str = "log", **settings: Any) -> None:
        """A new process: nothing of the old one's memory is left."""
        settings_now = self.settings.model_copy(update=settings)
        self.engine = Engine(
            settings_now,
            sinks=[self.sink],
            log_ids={HERE.topic: log_id, "swarm.activities": "a"},
            clock=self.clock,
        )
        self.consumer = SimConsumer(self.log)
        self.consumer.assign(HERE)

    def append(self, count: int = 1, *, gap: int = 0, at_ms: int = T0) -> None:
        for _ in range(count):
            event = {"swarm_id": "s", "metric": "m", "value": self.log.ends[HERE], "timestamp": at_ms}
            self.log.append(HERE, json.dumps(event).encode(), timestamp_ms=at_ms, gap=gap)

    def fetch(self, count: int = 100, *, at: int | None = None) -> None:
        if at is not None:
            self.consumer.positions[HERE] = at
        self.consumer.fetch(HERE, count)

    async def deliver(self) -> None:
        chunk = self.consumer.take(HERE)
        assert chunk is not None, "nothing was fetched"
        await self.engine.deliver(HERE, chunk, self.consumer)

    async def save(self) -> None:
        """Everything folded so far is in the sink and in a snapshot."""
        await self.engine.workers[HERE].flush(snapshot=True)
        self.log.committed[HERE] = self.consumer.checkpoints[HERE]

    def lose_snapshots(self) -> None:
        shutil.rmtree(self.settings.state_dir)

    @property
    def next_offset(self) -> int:
        return self.engine.workers[HERE].fold.next_offset

    def offsets(self) -> list[int]:
        return sorted(row["offset"] for row in self.sink.rows("metrics"))


async def eventually(check: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Lets other tasks run until `check` holds."""
    async with asyncio.timeout(timeout_s):
        while not check():  # noqa: ASYNC110 - the thing waited for offers no event
            await asyncio.sleep(0)


async def straight_state(bench: Bench) -> bytes:
    """The state of an engine that folds the log in one go."""
    alone = Bench(bench.settings.home / "alone")
    alone.log = bench.log
    alone.start()
    await alone.sink.start()
    alone.fetch(at=0)
    await alone.deliver()
    return alone.engine.workers[HERE].fold.state()
