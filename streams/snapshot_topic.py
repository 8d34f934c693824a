"""Snapshots in a compacted Kafka topic, for workers on several hosts.

In: a state's bytes. Out: the newest valid snapshot. Never: joins a group; takes half a snapshot for a whole one.

A snapshot is one or more chunks and, after all of them are acknowledged, a head record that names it: without its head
it does not exist. Keys are `<fold version>/<topic>/<partition>/<log id>/<next offset>/<chunk or head>`; a snapshot is
taken away by tombstones under its keys. The head lists all snapshots that are kept, so who has read the newest head
knows what to take away next.

A state is a function of the log's prefix, so two workers that write the same offset write the same state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from models.settings import Settings
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.security import client_options
from sinks.kafka.starting import start_whole
from streams.log_probe import log_ends, reader
from streams.snapshots import Snapshot, SnapshotHeader, decode, encode, kept_snapshots, require_own
from streams.topics import STATE, TopicError, full_name, partition_count

CHUNK_BYTES_MAX: Final = 900_000  # 1 MiB is the default record limit of brokers and producers; the key needs room
REQUEST_TIMEOUT_MS: Final = 30_000  # a save that takes longer has failed: the next flush tries again
# The newest snapshot stands near the end; each look reaches further back until one is found, the last one to the start.
LOOK_BACK_RECORDS: Final = (64, 1_024, 16_384, None)
POLL_MS: Final = 500
_HEAD: Final = "head"


class _Head(msgspec.Struct, frozen=True):
    """The value of a head record."""

    chunks: int
    saved_at_s: dict[int, float]  # next offset -> when, of every snapshot kept; this one included


class _Found(msgspec.Struct):
    """Where in the topic one snapshot stands."""

    first: int  # offset of its first record in the topic
    end: int = 0  # offset after its head
    head: _Head | None = None


class TopicSnapshots:
    """The `SnapshotStore` over the topic `streams.topics.STATE`. Each call opens a connection of its own."""

    def __init__(self, settings: Settings, header: SnapshotHeader, *, kept: int) -> None:
        self.corrupt = 0
        self._settings = settings
        self._header = header
        self._kept = kept
        self._topic = full_name(settings, STATE)
        place = (header.fold_version, header.topic, header.partition, header.lineage)
        self._prefix = "/".join(map(str, place)) + "/"
        self._saved_at_s: dict[int, float] | None = None  # None: the topic has not been read yet
        self._chunks: dict[int, int] = {}  # next offset -> number of chunks, where known

    @property
    def where(self) -> str:
        """The topic and the keys in it."""
        return f"topic {self._topic}, keys {self._prefix}"

    def save(self, state: bytes, next_offset: int) -> int:
        """Chunks, then the head, then tombstones for what is not kept any longer. Raises OSError."""
        data = encode(msgspec.structs.replace(self._header, next_offset=next_offset), state)
        chunks = [data[i : i + CHUNK_BYTES_MAX] for i in range(0, len(data), CHUNK_BYTES_MAX)]
        try:
            asyncio.run(self._save(chunks, next_offset))
        except (KafkaError, TopicError, TimeoutError) as error:
            raise OSError(f"{self.where}: {error!r}") from error
        return len(data)

    def newest(self, at_most: int | None = None) -> Snapshot | None:
        """The valid snapshot with the highest offset (not above `at_most`), or None.

        Raises SnapshotError for another configuration, BrokerAwayError when the topic cannot be read.
        """
        return asyncio.run(self._newest(at_most))

    def any(self) -> bool:
        """Whether any record of a snapshot of this log is in the topic, whole or not."""
        return asyncio.run(self._any())

    async def _save(self, chunks: list[bytes], next_offset: int) -> None:
        if self._saved_at_s is None:
            await self._newest(None)  # learns what is there
        known = dict(self._saved_at_s or {})
        async with self._producer() as (producer, partition):

            async def send(name: str, value: bytes | None, offset: int = next_offset) -> Any:
                key = self._key(offset, name)
                return await producer.send(self._topic, value, key=key, partition=partition)

            sent = [await send(str(i), chunk) for i, chunk in enumerate(chunks)]
            stored = [await future for future in sent]
            known[next_offset] = stored[-1].timestamp / 1000
            keep = kept_snapshots(known, newest=self._kept)
            head = _Head(len(chunks), {offset: known[offset] for offset in sorted(keep | {next_offset})})
            await (await send(_HEAD, msgspec.json.encode(head)))
            self._chunks[next_offset] = len(chunks)
            gone = set(known) - keep
            names = [(o, name) for o in sorted(gone) for name in (_HEAD, *map(str, range(self._chunks.get(o, 1))))]
            for future in [await send(name, None, offset) for offset, name in names]:
                await future
        self._saved_at_s = {offset: known[offset] for offset in keep}
        for offset in gone:
            self._chunks.pop(offset, None)

    async def _newest(self, at_most: int | None) -> Snapshot | None:
        async with self._reader() as (consumer, place, begin, end):
            for look_back in LOOK_BACK_RECORDS:
                start = begin if look_back is None else max(begin, end - look_back)
                found = await self._find(consumer, place, start, end)
                heads = {offset: f.head for offset, f in found.items() if f.head is not None}
                if heads or start == begin:
                    self._learn(heads)
                for offset in sorted(heads, reverse=True):
                    if at_most is not None and offset > at_most:
                        continue
                    snapshot = await self._load(consumer, place, found[offset], offset)
                    if snapshot is not None:
                        require_own(snapshot.header, self._header, where=f"{self.where}{offset}")
                        return snapshot
                if start == begin:
                    self.corrupt += sum(at_most is None or offset <= at_most for offset in heads)
                    return None
        raise AssertionError("the last look reaches the start")

    async def _any(self) -> bool:
        async with self._reader() as (consumer, place, begin, end):
            return bool(await self._find(consumer, place, begin, end))

    async def _find(self, consumer: Any, place: TopicPartition, start: int, end: int) -> dict[int, _Found]:
        """Next offset -> where its records stand. Chunks are not kept: a hundred snapshots need no memory."""
        found: dict[int, _Found] = {}
        async for record in _records(consumer, place, start, end):
            parsed = self._parse(record.key)
            if parsed is None:
                continue
            offset, name = parsed
            if record.value is None:
                if name == _HEAD:
                    found.pop(offset, None)
                continue
            one = found.setdefault(offset, _Found(first=record.offset))
            if name == _HEAD:
                one.head, one.end = msgspec.json.decode(record.value, type=_Head), record.offset + 1
        return found

    async def _load(self, consumer: Any, place: TopicPartition, at: _Found, next_offset: int) -> Snapshot | None:
        """Reads the chunks; None when they are not all there or not what was written."""
        assert at.head is not None
        chunks: dict[str, bytes] = {}
        async for record in _records(consumer, place, at.first, at.end):
            parsed = self._parse(record.key)
            if parsed is not None and parsed[0] == next_offset and record.value is not None:
                chunks[parsed[1]] = record.value
        try:
            return decode(b"".join(chunks[str(i)] for i in range(at.head.chunks)))
        except (KeyError, ValueError):
            return None

    def _learn(self, heads: dict[int, _Head]) -> None:
        """What is kept, by the newest head; and how many chunks the snapshots have that were seen."""
        newest = heads[max(heads)] if heads else None
        self._saved_at_s = dict(newest.saved_at_s) if newest is not None else {}
        self._chunks = {offset: head.chunks for offset, head in heads.items()}

    def _key(self, next_offset: int, name: str) -> bytes:
        return f"{self._prefix}{next_offset:020d}/{name}".encode()

    def _parse(self, key: bytes | None) -> tuple[int, str] | None:
        """(next offset, chunk number or head) of a key of ours."""
        text = (key or b"").decode("utf-8", "replace")
        if not text.startswith(self._prefix):
            return None
        offset, _, name = text.removeprefix(self._prefix).partition("/")
        return int(offset), name

    @asynccontextmanager
    async def _producer(self) -> AsyncGenerator[tuple[Any, int]]:
        """A producer, and the partition of the topic that holds this place."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            acks="all",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **client_options(self._settings),
        )
        create_no_topics(producer.client)
        try:
            await start_whole(producer.start())
            yield producer, self._header.partition % await partition_count(self._settings, STATE)
        finally:
            await producer.stop()

    @asynccontextmanager
    async def _reader(self) -> AsyncGenerator[tuple[Any, TopicPartition, int, int]]:
        """A consumer, the topic partition of this place, and its first and end offset."""
        number = self._header.partition % await partition_count(self._settings, STATE)
        place = TopicPartition(self._topic, number)
        async with reader(self._settings) as consumer:
            begin = (await consumer.beginning_offsets([place]))[place]
            yield consumer, place, begin, (await log_ends(consumer, [place]))[place]


async def _records(consumer: Any, place: TopicPartition, start: int, end: int) -> AsyncGenerator[Any]:
    """The records of [start, end) of the assigned partition; compacted offsets are simply not there."""
    consumer.seek(place, start)
    while await consumer.position(place) < end:
        for batch in (await consumer.getmany(place, timeout_ms=POLL_MS)).values():
            for record in batch:
                if record.offset < end:
                    yield record
