"""A topic is deleted under a running worker, on a broker that creates whatever a client asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from models.settings import Settings
from streams.log_probe import reader
from streams.topics import STATE, ensure_topics, full_name
from tests.support.brokers import topics_on
from tests.support.kafka import apache_kafka
from tests.support.load import fill
from tests.support.logs import read_log
from tests.support.produce import await_committed
from tests.support.traffic import Traffic
from tests.support.verdict import events_stored
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

NOW_MS = 1_790_000_000_000
RECORDS = 200
SAID_WITHIN_S = 60.0  # the worker looks every 10 s
# The consumer asks for its topics every 15 s, the producer with every look of the worker and with every row.
STAYS_AWAY_S = 20.0


@pytest.fixture
def settings(clickhouse: Settings, tmp_path: Path) -> Iterator[Settings]:
    with apache_kafka({"auto.create.topics.enable": "true"}) as broker:
        yield quick_settings(clickhouse, broker.bootstrap, tmp_path / "home", windows="1s", partitions=1)


def test_a_source_topic_that_is_deleted_is_named_and_not_made_in_passing(settings: Settings) -> None:
    with worker(settings) as process:
        process.await_ready()
        fill(settings.kafka_bootstrap, Traffic(1, partitions=1).records(NOW_MS, RECORDS))
        eventually(lambda: events_stored(settings) > 0, "rows are stored")
        _deleted_and_named(settings, process, "swarm.metrics")
        _ask_as_readers_do(settings, "swarm.metrics")
        assert "swarm.metrics" not in topics_on(settings.kafka_bootstrap)
        asyncio.run(ensure_topics(settings))
        assert process.wait(SAID_WITHIN_S) == 1
        assert "the log behind ['swarm.metrics'] was replaced" in process.output().splitlines()[-1]


def test_a_result_topic_that_is_deleted_is_named_and_its_rows_wait_until_it_is_back(settings: Settings) -> None:
    traffic = Traffic(1, partitions=1)
    with worker(settings) as process:
        process.await_ready()
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS, RECORDS))
        eventually(lambda: events_stored(settings) > 0, "rows are stored")
        asyncio.run(_delete(settings.kafka_bootstrap, "swarm.windows"))
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS + 60_000, RECORDS))
        _deleted_and_named(settings, process, "swarm.windows")
        asyncio.run(ensure_topics(settings))
        eventually(lambda: process.status()["ready"], "it goes on")
        eventually(lambda: read_log(settings.kafka_bootstrap, "swarm.windows"), "its rows have come")
        assert process.terminate() == 0


def test_without_the_topic_of_snapshots_rows_go_on_and_commits_wait_until_it_is_back(settings: Settings) -> None:
    settings = settings.model_copy(update={"snapshot_store": "kafka"})
    topic, traffic = full_name(settings, STATE), Traffic(1, partitions=1)
    with worker(settings) as process:
        process.await_ready()
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS, RECORDS))
        await_committed(settings, process)
        before = events_stored(settings)
        asyncio.run(_delete(settings.kafka_bootstrap, topic))
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS + 60_000, RECORDS))
        eventually(lambda: topic in (process.status().get("error") or ""), "it is named", within_s=SAID_WITHIN_S)
        eventually(lambda: events_stored(settings) > before, "rows go on")
        assert process.status()["state"] == "stalled"
        assert topic not in topics_on(settings.kafka_bootstrap)
        asyncio.run(ensure_topics(settings))
        await_committed(settings, process)
        eventually(lambda: process.status()["ready"], "it goes on")
        process.kill()
        process.start()
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS + 120_000, RECORDS))
        await_committed(settings, process)
        assert process.status()["counters"]["records"] < 2 * RECORDS, "it began with the newest snapshot"
        assert process.terminate() == 0


def _deleted_and_named(settings: Settings, process: WorkerProcess, topic: str) -> None:
    """Deletes the topic if it is there; the worker's status and one line of its log name it, and it stays away."""
    if topic in topics_on(settings.kafka_bootstrap):
        asyncio.run(_delete(settings.kafka_bootstrap, topic))
    deleted_s = time.monotonic()
    eventually(lambda: topic in (process.status().get("error") or ""), f"{topic} is named", within_s=SAID_WITHIN_S)
    assert process.status()["state"] == "stalled"
    while time.monotonic() - deleted_s < STAYS_AWAY_S:
        assert topic not in topics_on(settings.kafka_bootstrap)
    said = [line for line in process.output().splitlines() if "server_fault" in line]
    assert len(said) == 1, said
    assert topic in said[0]
    assert "A worker that starts makes it" in said[0]


def _ask_as_readers_do(settings: Settings, topic: str) -> None:
    """What commands and the worker's own looks into the log ask; no topic must come of it."""

    async def ask() -> None:
        async with reader(settings) as consumer:
            consumer.subscribe([topic])
            await consumer._client.force_metadata_update()

    asyncio.run(ask())


async def _delete(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()
