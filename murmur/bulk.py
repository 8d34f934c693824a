"""Publishes finished records in bulk and waits for every acknowledgement: importers and back-fills, not agents.

In: records (topic, key, value) in the order they must stand in the log. Out: one call per acknowledged record.
Never: drops a record, holds more than RECORDS_IN_FLIGHT_MAX unacknowledged, returns before the last acknowledgement.

`Publisher` is for agents: it never blocks and may drop. Here the caller waits instead (back-pressure), and a failure
is raised. Each record carries the producer stamp, so a resend after a lost acknowledgement is folded once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final

from murmur.known_topics import KnownTopics
from murmur.options import RECORD_BYTES_MAX
from murmur.record import PRODUCER_HEADER, Identity, Record, partition_of

RECORDS_IN_FLIGHT_MAX: Final = 48  # unacknowledged; the worker recognises a resend among the last 64 of a partition
LINGER_MS: Final = 2  # gathers small records of one partition into one request
REQUEST_TIMEOUT_MS: Final = 30_000  # a broker that does not acknowledge for this long is away


class BulkPublishError(Exception):
    """Not every record was acknowledged; one line that says how far it came and what to do."""


async def publish_records(
    bootstrap: str,
    records: Iterable[Record] | AsyncIterable[Record],
    *,
    on_acknowledged: Callable[[Record], None] | None = None,
    kafka_options: Mapping[str, Any] | None = None,
) -> int:
    """Sends `records` in order (per partition) and returns their number when the broker has acknowledged all.

    Raises BulkPublishError when the broker is away, refuses a record or stops acknowledging.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id="murmur-bulk",
        acks="all",
        compression_type="lz4",
        linger_ms=LINGER_MS,
        max_request_size=RECORD_BYTES_MAX + 65_536,  # the value's bound, with room for key and headers
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **(kafka_options or {}),
    )
    KnownTopics(producer.client)
    sender = _Sender(producer, on_acknowledged)
    try:
        await producer.start()
        if isinstance(records, AsyncIterable):  # a live source: the producer works on while it is silent
            async for record in records:
                await sender.send(record)
        else:
            for record in records:
                await sender.send(record)
        await sender.drain()
    except (KafkaError, OSError) as error:
        raise BulkPublishError(
            f"Kafka at {bootstrap}: {error!r} after {sender.acknowledged} acknowledged records; "
            "check that the broker runs, then run the same command again: what arrived is not counted twice"
        ) from error
    finally:
        await producer.stop()
    return sender.acknowledged


class _Sender:
    """The records under way, oldest first, so that acknowledgements are counted in order."""

    def __init__(self, producer: Any, on_acknowledged: Callable[[Record], None] | None) -> None:
        self._producer = producer
        self._on_acknowledged = on_acknowledged
        self._identity = Identity()
        self._in_flight: deque[tuple[asyncio.Future[Any], Record]] = deque()
        self.acknowledged = 0

    async def send(self, record: Record) -> None:
        partitions = await self._producer.partitions_for(record.topic)
        partition = partition_of(record.key, len(partitions))
        stamp = (record.identity or self._identity).stamp(record.topic, partition)
        future = await self._producer.send(
            record.topic,
            record.value,
            key=record.key,
            partition=partition,
            headers=[("content-type", record.content_type), (PRODUCER_HEADER, stamp.header())],
        )
        self._in_flight.append((future, record))
        while len(self._in_flight) >= RECORDS_IN_FLIGHT_MAX or (self._in_flight and self._in_flight[0][0].done()):
            await self._acknowledge_oldest()

    async def drain(self) -> None:
        while self._in_flight:
            await self._acknowledge_oldest()

    async def _acknowledge_oldest(self) -> None:
        future, record = self._in_flight.popleft()
        await future
        self.acknowledged += 1
        if self._on_acknowledged is not None:
            self._on_acknowledged(record)
