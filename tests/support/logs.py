"""Reads a topic as a plain Kafka consumer would; the log is the truth that results are compared with.

In: bootstrap address, topic. Out: every record of every partition. Never: commits, joins a group.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer

POLL_MS = 300
STALLED_S = 60.0  # without a record although there must be more


async def aread_log(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic nobody writes to any more, in partition and offset order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()  # without a group it is assigned every partition
    try:
        assert consumer.assignment(), f"no topic {topic} on {bootstrap}"
        records: list[Any] = []
        progress_s = time.monotonic()
        while not await _at_end(consumer):
            found = await consumer.getmany(timeout_ms=POLL_MS)
            for batch in found.values():
                records += batch
            progress_s = time.monotonic() if found else progress_s
            assert time.monotonic() - progress_s < STALLED_S, f"{topic}: not the whole log after {STALLED_S:g} s"
        return sorted(records, key=lambda r: (r.partition, r.offset))
    finally:
        await consumer.stop()


async def _at_end(consumer: AIOKafkaConsumer) -> bool:
    """Whether the consumer stands at the end of every partition, as the last fetch of each said.

    Not the end-offsets request: the embedded broker answers it too low. Not a quiet while: a busy machine makes one.
    """
    ends = {place: consumer.highwater(place) for place in consumer.assignment()}
    return all([end is not None and await consumer.position(place) >= end for place, end in ends.items()])


def read_log(bootstrap: str, topic: str) -> list[Any]:
    """`aread_log` outside an event loop."""
    return asyncio.run(aread_log(bootstrap, topic))
