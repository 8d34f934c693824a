"""Reads a topic as a plain Kafka consumer would; the log is the truth that results are compared with.

In: bootstrap address, topic. Out: every record of every partition. Never: commits, joins a group.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer

QUIET_POLLS = 3  # empty polls in a row that mean the end of a log nobody writes to any more
POLL_MS = 300


async def aread_log(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic nobody writes to any more, in partition and offset order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()  # without a group it is assigned every partition
    try:
        assert consumer.assignment(), f"no topic {topic} on {bootstrap}"
        records: list[Any] = []
        quiet = 0
        while quiet < QUIET_POLLS:  # the end-offsets request of the embedded broker answers too low: poll instead
            found = await consumer.getmany(timeout_ms=POLL_MS)
            quiet = 0 if found else quiet + 1
            for batch in found.values():
                records += batch
        return sorted(records, key=lambda r: (r.partition, r.offset))
    finally:
        await consumer.stop()


def read_log(bootstrap: str, topic: str) -> list[Any]:
    """`aread_log` outside an event loop."""
    return asyncio.run(aread_log(bootstrap, topic))
