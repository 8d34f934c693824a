"""Looks at the source log and its consumer group from outside: where it begins and ends, what is committed.

In: settings. Out: offsets of every source partition. Never: joins a group, commits, folds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError

from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.security import client_options
from sinks.kafka.starting import start_whole
from streams.topics import SOURCE_TOPICS, BrokerAwayError, full_name, partitions_of

log = logging.getLogger(__name__)
_T = TypeVar("_T")

ANSWER_S: Final = 30.0  # a broker that is up answers in milliseconds; one that elects a leader in seconds
POLL_MS: Final = 50
FETCH_WAIT_MS: Final = 20  # at the end of a log the broker answers after this; a seek waits for the fetch before it
RETRY_S: Final = 0.1  # metadata of a new topic spreads within milliseconds
AWAY_RETRY_S: Final = 1.0  # a broker takes seconds to come back


class LogPosition(NamedTuple):
    """Offsets of one source partition."""

    earliest: int  # of the oldest record the log still has
    end: int  # after the last record that can be read: those of open transactions cannot
    committed: int | None  # by the workers' group; None: it never committed


@asynccontextmanager
async def reader(settings: Settings, *, group: str | None = None) -> AsyncGenerator[Any]:
    """A consumer outside every rebalance. Like the workers it sees no record of an aborted or open transaction.

    With `group` it can read what the group has committed.

    Raises BrokerAwayError when no broker answers, at the start or later.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        isolation_level="read_committed",
        **client_options(settings),
    )
    create_no_topics(consumer._client)
    try:
        await start_whole(consumer.start())
        yield consumer
    except CorruptRecordException as error:
        raise BrokerAwayError(
            f"Kafka at {settings.kafka_bootstrap}: a record batch does not fit its checksum: {error}. It was damaged "
            "on the broker's disk or on the way: let a replica lead whose copy is whole"
        ) from error
    except (KafkaError, OSError) as error:
        raise BrokerAwayError(
            f"Kafka at {settings.kafka_bootstrap}: {error!r}. Check MURMUR_KAFKA_BOOTSTRAP and that the broker runs."
        ) from error
    finally:
        await consumer.stop()


async def positions(settings: Settings, *, group: str) -> dict[tuple[str, int], LogPosition]:
    """(full topic name, partition) -> its offsets, for every partition of the source topics that exist."""
    places = await source_partitions(settings)
    async with reader(settings, group=group) as consumer:
        earliest = await consumer.beginning_offsets(places)
        ends = await readable_ends(consumer, places)
        committed = {place: await consumer.committed(place) for place in places}
    return {(p.topic, p.partition): LogPosition(earliest[p], ends[p], committed[p]) for p in places}


async def source_partitions(settings: Settings) -> list[TopicPartition]:
    """Every partition of the source topics, in order. A topic made a moment ago is waited for."""
    names = [full_name(settings, name) for name in SOURCE_TOPICS]
    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                found = await partitions_of(settings, names)
                if all(found.get(name) for name in names):
                    return [TopicPartition(name, p) for name in names for p in found[name]]
                await asyncio.sleep(RETRY_S)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAwayError(
            f"Kafka at {settings.kafka_bootstrap}: partitions of {names} are not known: {error!r}"
        ) from error


async def log_ends(consumer: Any, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    """The offset the next record of each partition will get. Assigns the partitions to the consumer.

    From an answer to a fetch: the embedded broker answers the end-offsets request with the start of its last batch.
    """
    near = await consumer.end_offsets(places)
    consumer.assign(places)
    for place in places:
        consumer.seek(place, near[place])
    try:
        async with asyncio.timeout(ANSWER_S):
            while any(consumer.highwater(place) is None for place in places):
                await consumer.getmany(timeout_ms=POLL_MS)
    except TimeoutError:
        raise BrokerAwayError(f"no answer about the ends of {len(places)} partitions within {ANSWER_S:.0f} s") from None
    return {place: int(consumer.highwater(place)) for place in places}


async def readable_ends(consumer: Any, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    """The offset after the last record of each partition that can be read. Assigns the partitions to the consumer."""
    await log_ends(consumer, places)
    return {place: end for place in places if (end := readable_end(consumer, place)) is not None}


def readable_end(consumer: Any, place: TopicPartition) -> int | None:
    """The same as the last fetch said (Kafka: the last stable offset); None before the first."""
    stable, end = consumer.last_stable_offset(place), consumer.highwater(place)
    found: int | None = end if stable is None or stable < 0 else stable  # a broker without transactions may say -1
    return found


async def answered(ask: Callable[[], Awaitable[_T]], *, within_s: float) -> _T:
    """What the broker answers; one that is away is asked again until `within_s` has passed, then BrokerAwayError."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            return await ask()
        except (BrokerAwayError, KafkaError) as error:
            if time.monotonic() >= deadline_s:
                raise BrokerAwayError(f"the broker did not answer within {within_s:g} s: {error!r}") from error
            log.warning("broker_away error=%r", error)
        await asyncio.sleep(AWAY_RETRY_S)


async def first_record(
    settings: Settings, topic: str, partition: int, offset: int, *, timeout_s: float
) -> RawRecord | None:
    """The first record at or after `offset`; None when there is none within `timeout_s`."""
    place = TopicPartition(topic, partition)
    async with reader(settings) as consumer:
        consumer.assign([place])
        consumer.seek(place, offset)
        try:
            found = await asyncio.wait_for(consumer.getone(place), timeout_s)
        except TimeoutError:
            return None
        return RawRecord(found.offset, found.timestamp, found.headers, found.value)
