"""Producers with transactions: what they abort never counts, what they have not ended yet waits.

Apache Kafka alone: the embedded broker refuses transactions.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.commands import answer_of, run_murmur
from tests.support.produce import ends, make_topics
from tests.support.waiting import eventually
from tests.support.workers import quick_settings, worker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.parametrize("any_broker", ["kafka"], indirect=True),
]

T0_MS = 1_760_000_000_000
ABORTED = 5  # more than the gaps a worker looks into before it trusts a log to have them


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(clickhouse, any_broker, tmp_path, windows="1s,10s/2s")


def test_records_of_aborted_transactions_never_count_and_those_of_open_ones_wait(settings: Settings) -> None:
    make_topics(settings)
    with asyncio.Runner() as runner, worker(settings) as process, ExitStack() as producers:
        plain, within = runner.run(_producers(settings))
        producers.callback(lambda: runner.run(_stop(plain, within)))

        async def before() -> None:
            await _send(plain, 1, 1)
            for _ in range(ABORTED):
                await within.begin_transaction()
                await _send(within, 1_000_000, 1_000_000)
                await within.abort_transaction()
                async with within.transaction():
                    await _send(within, 10)
            await within.begin_transaction()
            await _send(within, 100)
            await _send(plain, 1_000)  # behind the open one

        runner.run(before())
        eventually(lambda: process.status().get("events_total") == 2 + ABORTED, "what is committed is folded")
        # What cannot be read yet is no lag; the marker of the last transaction that ended is an offset.
        eventually(lambda: process.status()["lag_records"] <= 1, "nothing waits")
        assert process.status()["state"] == "ready"
        assert answer_of(run_murmur(settings, "audit", "--format", "json"))["verdict"] == "equal"

        runner.run(within.commit_transaction())
        eventually(lambda: process.status().get("events_total") == 4 + ABORTED, "the rest is folded")
        assert process.terminate() == 0
    client = connect(settings)
    raw = client.query("SELECT count(), sum(value) FROM v_metrics").first_row
    windows = client.query("SELECT sum(events), sum(sum) FROM v_windows WHERE window_ms = 1000").first_row
    client.close()
    assert raw == windows == (4 + ABORTED, 2 + 10 * ABORTED + 100 + 1_000)
    same = run_murmur(settings, "replay", "--from", "earliest", "--diff")
    assert same.returncode == 0, same.stdout + same.stderr


def test_the_markers_of_transactions_are_offsets_without_record_and_stop_nothing(settings: Settings) -> None:
    make_topics(settings)
    asyncio.run(_markers(settings, 5))
    with worker(settings) as process:
        eventually(lambda: process.status().get("events_total") == 10, "all events are folded")
        eventually(lambda: max(at.committed or 0 for at in ends(settings).values()) == 14, "all records are committed")
        assert process.terminate() == 0
    done = run_murmur(settings, "audit", "--format", "json")
    found = answer_of(done)
    assert (done.returncode, found["verdict"]) == (0, "equal"), found
    (part,) = found["partitions"]
    # A marker after every two records; the last one lies beyond the last record.
    assert (part["last_offset"], part["gaps"], part["log_end"]) == (13, "4: 4 without record", 15)
    same = run_murmur(settings, "replay", "--from", "earliest", "--diff")
    assert same.returncode == 0, same.stderr
    # A new version has caught up although its group can commit nothing beyond the last record.
    with worker(settings.model_copy(update={"fold_version": 2})):
        client = connect(settings)
        sql = "SELECT fold_version FROM v_active_fold"
        eventually(lambda: client.query(sql).first_row[0] == 2, "version 2 is shown")
        client.close()


async def _producers(settings: Settings) -> tuple[AIOKafkaProducer, AIOKafkaProducer]:
    """One without transactions, one with."""
    plain = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    within = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id="t")
    await plain.start()
    await within.start()
    return plain, within


async def _stop(*producers: AIOKafkaProducer) -> None:
    for producer in producers:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, *values: int) -> None:
    for value in values:
        event = {"swarm_id": "s", "metric": "m", "value": value, "timestamp": T0_MS + value % 997}
        await producer.send_and_wait("swarm.metrics", json.dumps(event).encode(), partition=0)


async def _markers(settings: Settings, count: int) -> None:
    """Two events in each of `count` transactions."""
    plain, within = await _producers(settings)
    for i in range(count):
        async with within.transaction():
            await _send(within, i, i)
    await _stop(plain, within)
