"""Reads a topic as a plain Kafka consumer would; the log is the truth that results are compared with.

In: bootstrap address, topic. Out: every record of every partition, at once, or one by one where the log of hours would
not fit into memory. Never: commits, joins a group.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

POLL_MS = 300
RECORDS_AT_ONCE = 10_000  # so that the consumer is asked for more, and answers its broker, between them
ANSWERED_AGAIN_S = 0.6  # a fetch of an idle log is answered after 0.5 s, the client's default
STALLED_S = 60.0  # without a record although there must be more
GAPS_LOOKED_INTO = 3  # of a partition: the embedded broker shows a record before its neighbours appended with it


async def aread_log(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic nobody writes to any more, in partition and offset order."""
    records = [record async for record in each_record(bootstrap, topic)]
    return sorted(records, key=lambda r: (r.partition, r.offset))


async def each_record(bootstrap: str, topic: str) -> AsyncGenerator[Any]:
    """The same one by one: those of a partition in order, partitions mixed."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()  # without a group it is assigned every partition
    try:
        assert consumer.assignment(), f"no topic {topic} on {bootstrap}"
        following = {place: await consumer.position(place) for place in consumer.assignment()}
        gaps: Counter[TopicPartition] = Counter()
        progress_s = time.monotonic()
        while not (await _at_end(consumer) and await _still_at_end(consumer)):
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
            for place, batch in found.items():
                for record in batch:
                    if record.offset > following[place] and gaps[place] < GAPS_LOOKED_INTO:
                        gaps[place] += 1
                        consumer.seek(place, following[place])
                        await asyncio.sleep(POLL_MS / 1000)  # what is missing becomes readable meanwhile
                        break
                    following[place] = record.offset + 1
                    yield record
            progress_s = time.monotonic() if found else progress_s
            assert time.monotonic() - progress_s < STALLED_S, f"{topic}: not the whole log after {STALLED_S:g} s"
    finally:
        await consumer.stop()


async def _at_end(consumer: AIOKafkaConsumer) -> bool:
    """Whether the consumer stands at the end of every partition, as the last fetch of each said.

    Not the end-offsets request: the embedded broker answers it too low. Not a quiet while: a busy machine makes one.
    """
    ends = {place: consumer.highwater(place) for place in consumer.assignment()}
    return all([end is not None and await consumer.position(place) >= end for place, end in ends.items()])


async def _still_at_end(consumer: AIOKafkaConsumer) -> bool:
    """Whether a later answer says the same: one made while records were being appended may be older than they are."""
    await asyncio.sleep(ANSWERED_AGAIN_S)
    return await _at_end(consumer)


def read_log(bootstrap: str, topic: str) -> list[Any]:
    """`aread_log` outside an event loop."""
    return asyncio.run(aread_log(bootstrap, topic))
