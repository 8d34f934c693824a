"""The Kafka producer of a publisher: one aiokafka producer, replaced when it is beyond help.

In: stamped records. Out: which of them the broker stored, refused for good, or left in doubt.
Never: raises for a transport failure; logs to the agent's log more than once an outage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from murmur.known_topics import KnownTopics
from murmur.options import RECORD_BYTES_MAX, Options
from murmur.record import PRODUCER_HEADER, Identity, Record, partition_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

log = logging.getLogger("murmur")

BATCH_BYTES_MAX = 1_000_000  # one produce request may hold many records of a partition
ABORT_TIMEOUT_S = 1.0  # for closing sockets; nothing is flushed any more
# aiokafka's errors for a topic of which it knows nothing: there is none, or nobody has answered it.
_UNKNOWN_TO_CLIENT = ("UnknownTopicOrPartitionError", "NotLeaderForPartitionError")
FAILURES_BEFORE_RENEWAL = 3  # rounds without one success, then a fresh producer with fresh connections

# True inside the tasks of a publisher: aiokafka's own log lines from there are muted, because it writes dozens of
# lines a second while a broker is away and an agent's log is not ours. `Stats.last_error` and one line of ours tell.
_inside: ContextVar[bool] = ContextVar("murmur_inside", default=False)
_MUTED_LOGGERS = ("", ".client", ".cluster", ".conn", ".producer", ".producer.producer", ".producer.sender")


@dataclass(slots=True)
class Outcome:
    """What became of one round of records."""

    acknowledged: list[Record] = field(default_factory=list)
    refused: list[tuple[Record, str]] = field(default_factory=list)  # no resend can help
    in_doubt: list[Record] = field(default_factory=list)  # to be sent again under the same stamp
    error: str = ""


class KafkaProducer:
    """Connects on the first round, and again when needed."""

    def __init__(self, options: Options) -> None:
        self.identity = Identity()
        self.connected = False
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._topics: KnownTopics | None = None
        self._failures = 0
        self._singly = False  # the last request was too large: one record a request

    @property
    def failing(self) -> bool:
        """The last round stored nothing."""
        return self._failures > 0

    async def send(self, records: Sequence[Record]) -> Outcome:
        """Sends all and waits for each acknowledgement."""
        outcome = Outcome()
        try:
            producer = await self._started()
        except Exception as error:
            self._note_failure(error, outcome)
            outcome.in_doubt.extend(records)
            return outcome
        singly, self._singly = self._singly, False
        for group in [[record] for record in records] if singly else [records]:
            await self._send_together(producer, group, outcome)
        await self._judge(outcome)
        return outcome

    async def _send_together(self, producer: AIOKafkaProducer, records: Sequence[Record], outcome: Outcome) -> None:
        waiting: list[tuple[Record, asyncio.Future[Any]]] = []
        blocked: set[str] = set()  # topics that failed in this round: later records wait, the order stays
        for record in records:
            if record.topic in blocked:
                outcome.in_doubt.append(record)
                continue
            try:
                waiting.append((record, await self._hand_over(producer, record)))
            except Exception as error:
                if not self._refused(record, error, outcome, alone=True):
                    blocked.add(record.topic)
                    outcome.in_doubt.append(record)
                    outcome.error = self._describe(error, record.topic)
        results = await asyncio.gather(*(future for _, future in waiting), return_exceptions=True)
        for (record, _), result in zip(waiting, results, strict=True):
            if not isinstance(result, BaseException):
                outcome.acknowledged.append(record)
            elif not self._refused(record, result, outcome, alone=len(waiting) == 1):
                outcome.in_doubt.append(record)
                outcome.error = self._describe(result, record.topic)

    async def abort(self) -> None:
        """Closes the connections now; what is in flight stays in doubt."""
        producer, self._producer, self.connected = self._producer, None, False
        if producer is None:
            return
        try:
            async with asyncio.timeout(ABORT_TIMEOUT_S):
                await producer.client.close()
                # aiokafka would wait for its undelivered batches; their records are ours to keep, so they end here.
                producer._message_accumulator.fail_all(ConnectionError("the publisher is closing"))
                await producer.stop()
        except Exception as error:
            log.debug("producer_abort error=%r", error)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        from aiokafka import AIOKafkaProducer

        _mute()
        security = self._options.security.kafka_options() if self._options.security is not None else {}
        producer = AIOKafkaProducer(
            bootstrap_servers=self._options.bootstrap,
            client_id="murmur",
            acks="all",
            # The embedded broker refuses idempotent producers; duplicates of resends are removed by the stamp.
            enable_idempotence=False,
            compression_type="lz4",
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=RECORD_BYTES_MAX + 100_000,
            request_timeout_ms=self._options.request_timeout_ms,
            **(security | dict(self._options.kafka_options)),
        )
        self._topics = KnownTopics(producer.client)
        self._producer = producer
        try:
            await producer.start()
        except BaseException:
            await self.abort()
            raise
        return producer

    async def _hand_over(self, producer: AIOKafkaProducer, record: Record) -> asyncio.Future[Any]:
        if record.stamp is None:
            partitions = len(await producer.partitions_for(record.topic))
            identity = record.identity or self.identity
            record.stamp = identity.stamp(record.topic, partition_of(record.key, partitions))
        headers = [("content-type", record.content_type), (PRODUCER_HEADER, record.stamp.header())]
        future: asyncio.Future[Any] = await producer.send(
            record.topic, record.value, record.key, record.stamp.partition, headers=headers
        )
        return future

    def _refused(self, record: Record, error: BaseException, outcome: Outcome, *, alone: bool) -> bool:
        """Only a record that is too large by itself is given up; a request that was is sent again in pieces."""
        from aiokafka import errors

        if not isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
            return False
        if alone:
            outcome.refused.append((record, f"{type(error).__name__}: record of {len(record.value)} bytes"))
        else:
            self._singly = True
        return alone

    async def _judge(self, outcome: Outcome) -> None:
        if outcome.acknowledged:
            self._failures = 0
            if not self.connected:
                log.info("broker_reached bootstrap=%s", self._options.bootstrap)
            self.connected = True
        elif outcome.in_doubt:
            self._note_failure(outcome.error, outcome)
            if self._failures % FAILURES_BEFORE_RENEWAL == 0:
                await self.abort()

    def _note_failure(self, error: BaseException | str, outcome: Outcome) -> None:
        outcome.error = error if isinstance(error, str) else self._describe(error, "")
        if self._failures == 0:
            log.warning("broker_unreachable bootstrap=%s error=%s", self._options.bootstrap, outcome.error)
        self._failures += 1
        self.connected = False

    def _describe(self, error: BaseException, topic: str) -> str:
        name, where = type(error).__name__, self._options.bootstrap
        if name in _UNKNOWN_TO_CLIENT and self._topics is not None and not self._topics.answered:
            return f"{where}: no broker answers"
        if name == "UnknownTopicOrPartitionError":
            return f"topic {topic} does not exist on {where}: start a worker (it creates the topics) or create it"
        if name == "TopicAuthorizationFailedError":
            return f"no permission to write topic {topic} on {where}: grant Write and Describe to this user"
        if name == "KafkaConnectionError" and self._options.security is not None:
            # aiokafka does not tell one from the other here.
            return f"{where}: {error}: it is away, or refuses this user, password or certificate"
        return f"{where}: {name}: {error}"


def enter() -> None:
    """Marks the current task, and every task it starts, as the publisher's own."""
    _inside.set(True)


def _is_foreign(record: logging.LogRecord) -> bool:
    return not _inside.get()


def _mute() -> None:
    for suffix in _MUTED_LOGGERS:
        logger = logging.getLogger(f"aiokafka{suffix}")
        if _is_foreign not in logger.filters:
            logger.addFilter(_is_foreign)
