"""The store of a simulated installation: it is slow, it fails, it loses everything.

In: batches of rows. Out: what it acknowledged, and the rows it has. Never: waits in real time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque

from models.rows import TABLES
from sinks.base import Batch, WriteResult
from sinks.memory import Fault, MemorySink


class Store:
    """The memory sink behind a slow network; remembers what it acknowledged."""

    name = "store"
    tables = frozenset(TABLES)

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.database_id, self.made_ms = "first", 0
        self.before_ms = self.after_ms = 0  # on the way there, on the way back
        self.faults: deque[Fault | None] = deque()  # of the next writes
        self.acknowledged: dict[str, set[tuple[str, int, int, int]]] = defaultdict(set)

    async def make_again(self, now_ms: int) -> None:
        """All rows are gone, and an empty database answers."""
        self.sink, self.acknowledged = MemorySink(), defaultdict(set)
        self.database_id, self.made_ms = f"{self.database_id}+", now_ms
        await self.sink.start()

    async def start(self) -> None:
        await self.sink.start()

    async def health(self) -> None:
        await self.sink.health()

    async def close(self) -> None:
        await self.sink.close()

    async def write(self, batch: Batch) -> WriteResult:
        await asyncio.sleep(self.before_ms / 1000)
        self.sink.fail_next(self.faults.popleft() if self.faults else None)
        result = await self.sink.write(batch)
        await asyncio.sleep(self.after_ms / 1000)
        for table in ("metrics", "dead_letters"):
            if table in batch:
                columns = (batch[table].column(c).to_pylist() for c in ("topic", "partition", "offset", "idx"))
                self.acknowledged[table].update(zip(*columns, strict=True))
        return result
