"""Puts seeded traffic into a topic and waits until a worker has folded it.

In: settings, records. Out: a log, and rows that rest on all of it. Never: writes to a topic the test did not make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from models.settings import Settings
from streams.log_probe import positions
from streams.topics import METRICS, ensure_topics, full_name
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess


def make_topics(settings: Settings) -> None:
    """The topics of the table, as a worker makes them."""
    asyncio.run(ensure_topics(settings))


def produce(settings: Settings, traffic: Traffic, count: int, *, now_ms: int) -> None:
    """`count` records of the traffic, their events around `now_ms`."""
    send(settings, traffic.records(now_ms, count))


def send(settings: Settings, records: Iterable[tuple[int, list[tuple[str, bytes]], bytes]]) -> None:
    """Records as (partition, headers, value)."""

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=5, acks="all")
        await producer.start()
        try:
            for partition, headers, value in records:
                await producer.send(full_name(settings, METRICS), value, partition=partition, headers=headers)
            await producer.flush()
        finally:
            await producer.stop()

    asyncio.run(run())


def ends(settings: Settings) -> dict[tuple[str, int], Any]:
    """Offsets of every source partition."""
    return asyncio.run(positions(settings, group=settings.consumer_group))


def delete_records(settings: Settings, below: dict[int, int]) -> None:
    """Cuts the log off as retention does: partition of the metrics topic -> the first offset that stays."""
    topic = full_name(settings, METRICS)

    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
        await admin.start()
        try:
            await admin.delete_records(
                {TopicPartition(topic, p): RecordsToDelete(before_offset=offset) for p, offset in below.items()}
            )
        finally:
            await admin.close()

    asyncio.run(run())


def all_committed(settings: Settings) -> bool:
    """Whether everything in the log is committed by the workers' group."""
    return all((at.committed or 0) >= at.end for at in ends(settings).values())


def await_committed(settings: Settings, process: WorkerProcess | None = None) -> None:
    """Returns when everything in the log is committed by the workers' group."""

    def caught_up() -> bool:
        assert process is None or process.process is None or process.process.poll() is None, process.output()[-2_000:]
        return all_committed(settings)

    eventually(caught_up, "everything is committed")
