"""The parts every benchmark runs on: a broker, ClickHouse, workers; all real, all on loopback, started in one place.

In: which broker. Out: addresses, settings of fresh runs, processes to watch. Never: leaves a process behind.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.workload import Record
from models.settings import Settings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.brokers import EmbeddedBroker
from tests.support.clickhouse import EmbeddedClickHouse
from tests.support.kafka import ApacheKafka, apache_kafka
from tests.support.workers import WorkerProcess

BROKERS = ("embedded", "kafka")
JOIN_DELAY_MS = "3000"  # Kafka's default: workers that start together share the partitions from the first record
WITHIN_S = 3_600.0  # a benchmark that takes longer than this is stuck
POLL_S = 0.02
POLL_MAX_S = 0.5
RETENTION_MS = 7 * 86_400_000  # a week, as ours
TOPICS = ("swarm.metrics", "swarm.activities")


@dataclass
class Stack:
    """Running servers under a temporary home."""

    kind: str
    broker: EmbeddedBroker | ApacheKafka
    clickhouse: EmbeddedClickHouse
    home: Path
    runs: int = 0

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    def processes(self) -> dict[str, psutil.Process]:
        """The servers, by name."""
        assert self.broker.process is not None
        assert self.clickhouse.process is not None
        return {
            "broker": psutil.Process(self.broker.process.pid),
            "clickhouse": psutil.Process(self.clickhouse.process.pid),
        }

    def fresh(self, **changes: Any) -> Settings:
        """Settings of a run that knows nothing of earlier ones: its own group, database, state."""
        self.runs += 1
        settings = self.clickhouse.settings.model_copy(
            update={
                "kafka_bootstrap": self.bootstrap,
                "home": self.home / f"run-{self.runs}",
                "app_id": f"bench-{self.runs}",
                "clickhouse_database": f"run_{self.runs}",
                **changes,
            }
        )
        migrate.migrate(settings)
        return settings

    def create_topics(self, names: Iterable[str] = TOPICS, *, partitions: int) -> None:
        """Creates the topics."""
        create_topics(self.bootstrap, names, partitions=partitions)

    def ends(self, topics: Iterable[str], *, partitions: int) -> dict[tuple[str, int], int]:
        """(topic, partition) -> offset the next record will get."""
        places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        found = asyncio.run(_ends(self.bootstrap, places))
        return {(place.topic, place.partition): end for place, end in found.items()}

    def fill(self, records: Iterable[Record], topic: str = "swarm.metrics") -> int:
        """Puts the records into the topic; returns their bytes."""
        return asyncio.run(_fill(self.bootstrap, records, topic))


@contextmanager
def broker_of(kind: str) -> Iterator[EmbeddedBroker | ApacheKafka]:
    """A broker for the block; ends the program with the reason where Apache Kafka cannot run."""
    # Told to end, the program must leave its blocks, or what it started would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    if kind == "kafka":
        with ExitStack() as stack:
            try:
                node = stack.enter_context(apache_kafka({"group.initial.rebalance.delay.ms": JOIN_DELAY_MS}))
            except pytest.skip.Exception as reason:
                raise SystemExit(str(reason)) from None
            yield node
        return
    broker = EmbeddedBroker().start()
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def running(kind: str) -> Iterator[Stack]:
    """Broker and ClickHouse for the block, under a temporary home."""
    with tempfile.TemporaryDirectory(prefix="murmur-bench-") as directory, broker_of(kind) as broker:
        home = Path(directory)
        clickhouse = EmbeddedClickHouse(home / "clickhouse" / "data")
        try:
            yield Stack(kind, broker, clickhouse.start(), home)
        finally:
            clickhouse.stop()


class Questions:
    """What ClickHouse answers from outside, over HTTP; no counter of ours is believed."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(settings)

    def __enter__(self) -> Questions:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of the answer."""
        return [tuple(row) for row in self._client.query(sql).result_rows]

    def column(self, sql: str) -> np.ndarray:
        """The first column of the answer, of numbers."""
        columns = self._client.query(sql, column_oriented=True).result_columns
        return np.array(columns[0] if columns else [], dtype=np.int64)

    def number(self, sql: str) -> int:
        """The first number of the answer; 0 for none."""
        rows = self.rows(sql)
        return int(rows[0][0] or 0) if rows else 0

    def command(self, sql: str) -> None:
        self._client.command(sql)

    def raw_events(self) -> int:
        return self.number("SELECT count() FROM metrics")

    def window_events(self) -> int:
        """Events counted by the final rows of the 10 s windows."""
        return self.number("SELECT sum(events) FROM windows FINAL WHERE window_ms = 10000")

    def shown(self) -> int:
        """Events as a reader sees them: rows written again after a crash count once."""
        return self.number("SELECT count() FROM v_metrics")

    def wait_for_all(self, events: int, what: str, *workers: WorkerProcess) -> None:
        """Until every event is in a raw row and in a window's row; for runs in which nothing is written twice."""
        arrival = Arrival(self, events)
        until(arrival, what, *workers, every_s=arrival.pause_s)

    def table_bytes(self, table: str) -> int:
        return self.number(
            "SELECT sum(bytes_on_disk) FROM system.parts "
            f"WHERE active AND database = currentDatabase() AND table = '{table}'"
        )


class Arrival:
    """Whether all events are there, asked seldom while many are missing and often towards the end.

    A question costs the embedded ClickHouse some 4 ms: 50 a second took a fifth of a core from what was measured.
    """

    def __init__(self, ask: Questions, events: int) -> None:
        self._ask = ask
        self._events = events
        self._since_s = time.monotonic()
        self._stored = 0

    def __call__(self) -> bool:
        self._stored = self._ask.raw_events()
        return self._stored >= self._events and self._ask.window_events() >= self._events

    def pause_s(self) -> float:
        """A tenth of the time that the missing rows should take at the speed so far."""
        spent_s = time.monotonic() - self._since_s
        missing = max(self._events - self._stored, 0) / max(self._stored, 1)
        return min(max(spent_s * missing / 10, POLL_S), POLL_MAX_S)


def until(
    look: Callable[[], Any], what: str, *workers: WorkerProcess, every_s: float | Callable[[], float] = POLL_S
) -> None:
    """Waits for it; fails with the worker's own words when one ended instead."""
    deadline_s = time.monotonic() + WITHIN_S
    while not look():
        for one in workers:
            if one.process is not None and one.process.poll() is not None:
                raise RuntimeError(f"{one.name} ended: {one.output()[-2_000:]}")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {WITHIN_S:g} s: {what}")
        time.sleep(every_s() if callable(every_s) else every_s)


def of_system(one: WorkerProcess) -> psutil.Process:
    """The worker as the system sees it."""
    assert one.process is not None
    return psutil.Process(one.process.pid)


def add_arguments(parser: argparse.ArgumentParser, *, runs: int) -> None:
    """The flags every benchmark has."""
    parser.add_argument("--broker", choices=BROKERS, default="embedded")
    parser.add_argument("--runs", type=int, default=runs, help="repetitions; the spread is printed")
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")


def create_topics(bootstrap: str, names: Iterable[str], *, partitions: int) -> None:
    """Creates the topics with the retention of ours."""
    asyncio.run(_create_topics(bootstrap, names, partitions))


async def _create_topics(bootstrap: str, names: Iterable[str], partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        # The retention is stated: Quix Streams reads it from the topic to make its changelog topic.
        config = {"retention.ms": str(RETENTION_MS)}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name in names])
    finally:
        await admin.close()


async def _ends(bootstrap: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        return dict(await consumer.end_offsets(places))
    finally:
        await consumer.stop()


async def _fill(bootstrap: str, records: Iterable[Record], topic: str) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 20, max_request_size=1 << 23
    )
    await producer.start()
    filled = 0
    try:
        for partition, key, headers, value in records:
            await producer.send(topic, value, key=key, partition=partition, headers=headers)
            filled += len(value)
        await producer.flush()
    finally:
        await producer.stop()
    return filled
