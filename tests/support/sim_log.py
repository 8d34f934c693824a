"""A Kafka log in memory as the engine meets it: gaps in the offsets, fetched chunks, seeks, commits, truncation.

In: records. Out: `streams.engine.LogPort`s, one a consumer. Never: reorders a partition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from models.codecs.records import RawRecord
from streams.engine import Partition


class SimRecord(NamedTuple):
    """A record as a plain Kafka client shows it; what the oracle reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class SimLog:
    """The partitions on the broker, and what the group committed."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.records: dict[Partition, list[SimRecord]] = {p: [] for p in partitions}
        self.ends = dict.fromkeys(partitions, 0)
        self.starts = dict.fromkeys(partitions, 0)
        self.committed: dict[Partition, int] = {}

    def append(
        self,
        partition: Partition,
        value: bytes | None,
        *,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes]] = (),
        gap: int = 0,
    ) -> int:
        """Appends a record after `gap` offsets that hold none (transaction markers); returns its offset."""
        offset = self.ends[partition] + gap
        self.records[partition].append(
            SimRecord(partition.topic, partition.number, offset, timestamp_ms, headers, value)
        )
        self.ends[partition] = offset + 1
        return offset

    def truncate(self, partition: Partition, start: int) -> None:
        """Retention: records before `start` are gone."""
        self.starts[partition] = start
        self.records[partition] = [r for r in self.records[partition] if r.offset >= start]

    def index_at(self, partition: Partition, offset: int) -> int:
        """Place of the first record at or after `offset`."""
        return bisect_left(self.records[partition], offset, key=lambda r: r.offset)

    def raw(self, partition: Partition, start: int = 0, count: int | None = None) -> list[RawRecord]:
        """Records from place `start` on, as the engine takes them."""
        end = None if count is None else start + count
        return [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in self.records[partition][start:end]]


class SimConsumer:
    """One member's connection: `LogPort`, with chunks fetched ahead as Faust does."""

    def __init__(self, log: SimLog) -> None:
        self.log = log
        self.checkpoints: dict[Partition, int] = {}
        self.positions: dict[Partition, int] = {}
        self.fetched: dict[Partition, deque[list[RawRecord]]] = {}
        self.seeks: list[tuple[Partition, int]] = []
        self.probes = 0
        self._hidden: set[tuple[Partition, int]] = set()
        self._ends: dict[Partition, int] = {}

    def assign(self, partition: Partition) -> None:
        """A new assignment: reads on from the committed offset; what was fetched under the old one is dropped."""
        self.positions[partition] = self.log.committed.get(partition, self.log.starts[partition])
        self.fetched[partition] = deque()
        self._ends.pop(partition, None)

    def fetch(self, partition: Partition, count: int) -> None:
        """Reads ahead: a chunk of at most `count` records waits for `take`."""
        start = self.log.index_at(partition, self.positions[partition])
        chunk = [r for r in self.log.raw(partition, start, count) if (partition, r.offset) not in self._hidden]
        self._hidden.clear()
        self._ends[partition] = self.log.ends[partition]
        if chunk:
            self.fetched[partition].append(chunk)
            self.positions[partition] = chunk[-1].offset + 1

    def hide(self, partition: Partition, *offsets: int) -> None:
        """The next fetch leaves these out: appended at once with their neighbours, and readable a moment later."""
        self._hidden.update((partition, offset) for offset in offsets)

    def take(self, partition: Partition) -> list[RawRecord] | None:
        """The chunk that waits for longest."""
        waiting = self.fetched[partition]
        return waiting.popleft() if waiting else None

    def key(self, partition: Partition) -> Partition:
        return partition

    async def seek(self, partition: Partition, offset: int) -> None:
        """Chunks fetched before stay in the queue."""
        self.seeks.append((partition, offset))
        self.positions[partition] = offset

    async def earliest(self, partition: Partition) -> int:
        return self.log.starts[partition]

    async def end(self, partition: Partition) -> int | None:
        """As of the last fetch."""
        return self._ends.get(partition)

    async def end_now(self, partition: Partition) -> int:
        return self.log.ends[partition]

    async def first_at(self, partition: Partition, offset: int) -> RawRecord | None:
        self.probes += 1
        found = self.log.raw(partition, self.log.index_at(partition, offset), 1)
        return found[0] if found else None
