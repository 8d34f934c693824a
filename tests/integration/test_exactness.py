"""Whatever happens to workers, the final rows equal an independent recount of the log."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.brokers import acreate_topics
from tests.support.logs import read_log
from tests.support.oracle import recount
from tests.support.traffic import Traffic
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = int(os.environ.get("MURMUR_TEST_SEED", "1"))
WINDOWS_MS = (1_000, 10_000)
DRAIN_S = 60.0  # from the last record to final rows, crashes and rebalances included


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return clickhouse.model_copy(
        update={
            "kafka_bootstrap": any_broker,
            "home": tmp_path,
            "windows": "1s,10s",
            "allowed_lateness_ms": 2_000,
            "flush_interval_ms": 200,
            "snapshot_interval_ms": 500,
            "session_timeout_ms": 6_000,
            "app_id": f"murmur-{os.urandom(3).hex()}",
        }
    )


async def test_rows_equal_the_recount_after_kills_freezes_and_stops(settings: Settings) -> None:
    print(f"seed={SEED}")
    await acreate_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"])
    workers = {name: WorkerProcess(settings, name).start() for name in ("worker-1", "worker-2")}
    try:
        await _storm(settings, workers, seconds=24)
        await asyncio.to_thread(_compare_when_drained, settings)
    finally:
        for w in workers.values():
            w.close()


async def test_everything_lost_is_rebuilt_from_the_log(settings: Settings) -> None:
    await acreate_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"])
    await _produce(settings, Traffic(SEED + 1), seconds=2)
    first = WorkerProcess(settings).start()
    try:
        await asyncio.to_thread(_compare_when_drained, settings)
        assert first.terminate() == 0
        for snapshot in settings.state_dir.rglob("*.snap"):
            snapshot.unlink()
        client = connect(settings)
        for table in ("metrics", "windows", "anomalies", "dead_letters"):
            client.command(f"TRUNCATE TABLE {table}")
        client.close()
        second = first.start()
        await asyncio.to_thread(_compare_when_drained, settings)
        assert second.terminate() == 0
    finally:
        first.close()


async def _storm(settings: Settings, workers: dict[str, WorkerProcess], *, seconds: int) -> None:
    traffic = Traffic(SEED)
    chance = random.Random(SEED)
    producing = asyncio.create_task(_produce(settings, traffic, seconds=seconds))
    done: dict[str, int] = {"kill": 0, "freeze": 0, "stop": 0}
    while not producing.done():
        await asyncio.wait([producing], timeout=chance.uniform(2, 4))
        victim = chance.choice(list(workers.values()))
        action = chance.choices(["kill", "freeze", "stop"], [6, 2, 2])[0]
        done[action] += 1
        if action == "kill":
            await asyncio.to_thread(victim.kill)
            victim.start()
        elif action == "stop":
            started = time.monotonic()
            code = await asyncio.to_thread(victim.terminate)
            assert code == 0, victim.output()[-2_000:]
            assert time.monotonic() - started < 10
            victim.start()
        else:  # longer than the session timeout: it wakes as a zombie
            victim.signal(signal.SIGSTOP)
            await asyncio.wait([producing], timeout=8)
            victim.signal(signal.SIGCONT)
    await producing
    print(f"faults: {done}")


async def _produce(settings: Settings, traffic: Traffic, *, seconds: float) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=5, acks="all")
    await producer.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for partition, headers, value in traffic.records(int(time.time() * 1000), 40):
                await producer.send("swarm.metrics", value, partition=partition, headers=headers)
            await asyncio.sleep(0.1)
        await producer.flush()
    finally:
        await producer.stop()


def _compare_when_drained(settings: Settings) -> None:
    records = read_log(settings.kafka_bootstrap, "swarm.metrics")
    windows, dead, events = recount(records, WINDOWS_MS, settings.future_skew_ms)
    assert events > 1_000
    client = connect(settings)
    try:
        _await_equal(lambda: _count(client, "SELECT count() FROM v_metrics"), events, "events")
        _await_equal(lambda: _dead_letters(client), dead, "dead letters")
        _await_equal(lambda: _differences(client, windows), [], "differing windows")
    finally:
        client.close()
    print(f"records={len(records)} events={events} windows={len(windows)} dead_letters={len(dead)}: 0 differences")


def _await_equal(read: Callable[[], Any], expected: Any, what: str) -> None:
    """Polls until the store shows what is expected; tells what it shows otherwise."""
    found = read()
    deadline_s = time.monotonic() + DRAIN_S
    while found != expected and time.monotonic() < deadline_s:
        time.sleep(0.5)
        found = read()
    if isinstance(expected, set):
        assert (found - expected, expected - found) == (set(), set()), what
    assert found == expected, what


def _dead_letters(client: Any) -> set[Any]:
    return {tuple(r) for r in client.query("SELECT partition, offset, idx FROM v_dead_letters").result_rows}


def _count(client: Any, sql: str) -> int:
    return int(client.query(sql).first_row[0])


def _differences(client: Any, windows: dict[Any, Any]) -> list[Any]:
    rows = client.query(
        "SELECT swarm_id, agent_id, metric, toUInt32(window_ms), toUnixTimestamp64Milli(window_start), events, sum, "
        "min, max, mean, stddev FROM v_windows"
    ).result_rows
    found = {tuple(r[:5]): r[5:] for r in rows}
    wrong = []
    for key in set(found) | set(windows):
        expected = windows[key].row() if key in windows else None
        row = found.get(key)
        if (
            row is None
            or expected is None
            or row[:4] != expected[:4]
            or row[4] != pytest.approx(expected[4], rel=1e-9)
            or row[5] != pytest.approx(expected[5], rel=1e-6, abs=1e-6)
        ):
            wrong.append((key, expected, row))
    return wrong[:5]
