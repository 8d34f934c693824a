"""Result rows onto Kafka topics.

In: Arrow tables of `windows`, `anomalies`, `dead_letters`. Out: records, each one acknowledged by all replicas.
Never: retries (the caller does), creates topics, acknowledges a row whose record is still on its way.

Records are idempotent by key and `ver`: a batch written again adds records that consumers recognise as known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from models.settings import Settings
from sinks.base import Batch, PermanentSinkError, RejectedRow, RetryableSinkError, SinkError, WriteResult
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.records import KEY_COLUMNS, Record, records
from sinks.kafka.security import client_options
from sinks.kafka.starting import start_whole

LINGER_MS: Final = 20  # lets a flush of thousands of rows leave as a few batches
BATCH_BYTES_MAX: Final = 512 * 1024  # half the default record-batch limit of a broker
# aiokafka's lz4 runs at its highest level: 39 MB/s on window rows to 21 % of their size; zstd 276 MB/s to 17 %.
COMPRESSION: Final = "zstd"
BATCHES_IN_FLIGHT_MAX: Final = 16  # of one write: their records stay in memory until the broker has them (16 MB)
REQUEST_TIMEOUT_MS: Final = 60_000  # a checkpoint must fail visibly rather than wait for aiokafka's 20 minutes
RECORD_BYTES_MAX: Final = 1_000_000  # just below the default limit of brokers (1 MiB with framing)
START_TIMEOUT_S: Final = 30.0

# Waiting does not help: the broker knows us and says no.
_PERMANENT: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    PolicyViolationError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class KafkaSink:
    """The `Sink` over one aiokafka producer. `topics`: result table -> full topic name."""

    name = "kafka"

    def __init__(
        self, settings: Settings, topics: Mapping[str, str], *, request_timeout_ms: int = REQUEST_TIMEOUT_MS
    ) -> None:
        unknown = sorted(set(topics) - set(KEY_COLUMNS))
        if unknown:
            raise ValueError(f"no Kafka form is defined for the tables {unknown}; known: {sorted(KEY_COLUMNS)}")
        self.tables = frozenset(topics)
        self._topics = dict(topics)
        self._settings = settings
        self._where = f"Kafka {settings.kafka_bootstrap}"
        self._request_timeout_ms = request_timeout_ms
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connects; raises RetryableSinkError when no broker answers."""
        if self._producer is not None:
            return
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            **client_options(self._settings),
            acks="all",
            # Not every Kafka-compatible broker has producer ids; rows are idempotent by key and version anyway.
            enable_idempotence=False,
            compression_type=COMPRESSION,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=RECORD_BYTES_MAX,
            request_timeout_ms=self._request_timeout_ms,
        )
        create_no_topics(producer.client)
        try:
            await asyncio.wait_for(start_whole(producer.start()), START_TIMEOUT_S)
            # All of them now: what the broker then does not know of is gone, written to or not.
            if not await asyncio.wait_for(producer.client.set_topics(self._topics.values()), START_TIMEOUT_S):
                raise KafkaConnectionError("no metadata")
        except (KafkaError, OSError, TimeoutError) as error:
            await producer.stop()
            raise self._translate(error) from None
        self._producer = producer

    async def health(self) -> None:
        """Returns when a broker answers and knows every topic."""
        producer = self._connected()
        try:
            answered = await asyncio.wait_for(producer.client.force_metadata_update(), self._request_timeout_ms / 1000)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._translate(error) from None
        if not answered:
            raise RetryableSinkError(f"{self._where}: no broker answers; is it running?")
        for topic in self._topics.values():
            if producer.client.cluster.partitions_for_topic(topic) is None:
                raise self._translate(UnknownTopicOrPartitionError(), topic)

    async def write(self, batch: Batch) -> WriteResult:
        """Sends every row and awaits every acknowledgement."""
        unknown = sorted(set(batch) - self.tables)
        if unknown:
            raise PermanentSinkError(f"{self._where}: no topic is configured for the tables {', '.join(unknown)}")
        producer = self._connected()
        result = WriteResult()
        for table, topic in self._topics.items():
            rows = batch.get(table)
            if rows is None or rows.num_rows == 0:
                continue
            too_large = await self._send(producer, topic, records(table, rows))
            for index, reason in too_large:
                result.rejected.append(RejectedRow(table, rows.slice(index, 1).to_pylist()[0], reason))
            result.rows += rows.num_rows - len(too_large)
        return result

    async def close(self) -> None:
        """Sends what is buffered and disconnects."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, topic: str, rows: Iterable[Record]) -> list[tuple[int, str]]:
        """Returns (row number, reason) of the rows that no broker will ever take."""
        too_large: list[tuple[int, str]] = []
        sent: deque[_SentBatch] = deque()
        failure: BaseException | None = None

        async def settle(in_flight_max: int) -> None:
            """Waits for the oldest batches until no more than so many are on their way."""
            nonlocal failure
            while len(sent) > in_flight_max:
                batch = sent.popleft()
                try:
                    try:
                        await batch.acknowledged
                    except _TOO_LARGE:
                        too_large.extend(await self._one_by_one(producer, topic, batch))
                except (KafkaError, OSError) as error:
                    failure = failure or error

        try:
            partitions = len(await producer.partitions_for(topic))
            open_batches: dict[int, _SentBatch] = {}
            for number, record in enumerate(rows):
                # Identifiers are short, so keys and headers are: only a large value can break the limit.
                if len(record.value) > RECORD_BYTES_MAX // 2 and record.size > RECORD_BYTES_MAX:
                    reason = f"{topic}: the record has {record.size} bytes, the limit is {RECORD_BYTES_MAX}"
                    too_large.append((number, reason))
                    continue
                # One key, one partition, as compaction needs it. CRC-32 is librdkafka's `consistent` partitioner;
                # the murmur2 of aiokafka is written in Python and takes longer than the rest together.
                partition = crc32(record.key) % partitions
                batch = open_batches.get(partition)
                if batch is None or not batch.append(number, record):
                    if batch is not None:
                        sent.append(await batch.send(producer, topic, partition))
                        await settle(BATCHES_IN_FLIGHT_MAX)
                        if failure is not None:
                            break
                    batch = open_batches[partition] = _SentBatch(producer)
                    batch.append(number, record)
            else:
                for partition, batch in open_batches.items():
                    sent.append(await batch.send(producer, topic, partition))
        except (KafkaError, OSError) as error:
            failure = error
        # Every future is awaited, also after a failure: none may report into the void later.
        try:
            await settle(0)
        finally:
            for batch in sent:  # only when this task was cancelled
                batch.acknowledged.cancel()
        if failure is not None:
            raise self._translate(failure, topic) from failure
        return sorted(too_large)

    async def _one_by_one(self, producer: AIOKafkaProducer, topic: str, batch: _SentBatch) -> list[tuple[int, str]]:
        """The broker's own limit is below ours: find the rows that break it."""
        too_large = []
        for number, record in batch.records:
            partition = crc32(record.key) % len(await producer.partitions_for(topic))
            try:
                await producer.send_and_wait(
                    topic, record.value, record.key, partition=partition, headers=record.headers
                )
            except _TOO_LARGE as error:
                reason = f"{topic}: the broker refuses the record of {record.size} bytes as too large: {error}"
                too_large.append((number, reason))
        return too_large

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RetryableSinkError(f"{self._where}: not connected; call start first")
        return self._producer

    def _is_gone(self, topic: str) -> bool:
        """Whether the broker said last that there is no such topic: sends then only time out."""
        return self._producer is not None and self._producer.client.cluster.partitions_for_topic(topic) is None

    def _translate(self, error: BaseException, topic: str = "") -> SinkError:
        where = f"{self._where} topic {topic}" if topic else self._where
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, _PERMANENT):
            return PermanentSinkError(f"{where}: {text}: check the broker's users, access rules and policies")
        if isinstance(error, UnknownTopicOrPartitionError) or (topic and self._is_gone(topic)):
            return RetryableSinkError(
                f"{where}: the topic does not exist: it was deleted, or never made. A worker that starts makes it"
            )
        return RetryableSinkError(f"{where}: {type(error).__name__}: {text}; is the broker running?")


class _SentBatch:
    """Records of one partition on their way: filled, sent, acknowledged as one."""

    acknowledged: asyncio.Future[object]  # set by `send`

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._builder = producer.create_batch()
        self.records: list[tuple[int, Record]] = []

    def append(self, number: int, record: Record) -> bool:
        """False when the batch is full; the first record always fits."""
        added = self._builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
        if added is not None:
            self.records.append((number, record))
        return added is not None

    async def send(self, producer: AIOKafkaProducer, topic: str, partition: int) -> _SentBatch:
        self.acknowledged = await producer.send_batch(self._builder, topic, partition=partition)
        return self
