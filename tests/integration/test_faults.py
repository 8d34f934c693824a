"""Servers away, disks refusing, settings changed, logs replaced: one clear line, nothing lost."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.brokers import EmbeddedBroker
from tests.support.proxies import http_proxy
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, worker

pytestmark = [pytest.mark.integration]


@pytest.fixture
def settings(broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return clickhouse.model_copy(
        update={
            "kafka_bootstrap": broker,
            "home": tmp_path,
            "flush_interval_ms": 100,
            "snapshot_interval_ms": 200,
            "partitions": 1,
        }
    )


async def test_clickhouse_away_for_a_while_delays_rows_and_loses_none(settings: Settings) -> None:
    with (
        http_proxy(settings.clickhouse_url) as proxy,
        worker(settings.model_copy(update={"clickhouse_url": proxy.url})) as process,
    ):
        await asyncio.to_thread(process.await_ready)
        await _send(settings, 10)
        await asyncio.to_thread(_await_events, settings, 10)
        await asyncio.to_thread(proxy.refuse)
        await _send(settings, 20, first=10)
        # Two refused attempts: the worker has noticed, says so, and keeps going.
        await asyncio.to_thread(eventually, lambda: (process.status().get("error") or "").startswith("ClickHouse"))
        assert process.status()["partitions"][-1]["snapshot_offset"] <= 10
        assert _count_events(settings) == 10
        proxy.accept()
        await asyncio.to_thread(_await_events, settings, 30)
        await asyncio.to_thread(eventually, lambda: process.status()["error"] is None)
        assert await asyncio.to_thread(process.terminate) == 0


async def test_a_server_that_is_away_is_told_also_while_nothing_is_written(settings: Settings) -> None:
    with (
        http_proxy(settings.clickhouse_url) as proxy,
        worker(settings.model_copy(update={"clickhouse_url": proxy.url})) as process,
    ):
        await asyncio.to_thread(process.await_ready)
        await asyncio.to_thread(proxy.refuse)
        await asyncio.to_thread(eventually, lambda: process.status()["state"] == "stalled", within_s=60)
        assert process.status()["ready"] is False
        assert process.status()["error"].startswith(f"ClickHouse {proxy.url}")
        proxy.accept()
        await asyncio.to_thread(eventually, lambda: process.status()["ready"], within_s=60)


async def test_a_worker_waits_for_clickhouse_at_start_and_says_so(settings: Settings) -> None:
    with http_proxy(settings.clickhouse_url) as proxy:
        await asyncio.to_thread(proxy.refuse)
        with worker(settings.model_copy(update={"clickhouse_url": proxy.url})) as process:
            await asyncio.to_thread(eventually, lambda: "ClickHouse" in (process.status().get("error") or ""))
            assert process.status()["ready"] is False
            await _send(settings, 5)
            proxy.accept()
            await asyncio.to_thread(_await_events, settings, 5)


async def test_a_wrong_password_ends_the_worker_with_what_to_do(settings: Settings) -> None:
    wrong = settings.model_copy(update={"clickhouse_user": "nobody", "clickhouse_password": SecretStr("wrong")})
    with worker(wrong) as process:
        assert await asyncio.to_thread(process.wait, 30) == 1
        line = _last_line(process)
        assert line.startswith("murmur worker: ClickHouse")
        assert "MURMUR_CLICKHOUSE_PASSWORD" in line
        assert "wrong" not in line.replace("wrong password", "")


async def test_a_price_file_that_cannot_be_used_ends_the_worker_with_one_line(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "prices.toml"
    for text in (None, "not [ TOML", '[[price]]\nmodel = 5\n[[price]]\nsource = ""\n'):
        if text is not None:
            file.write_text(text)
        with worker(settings.model_copy(update={"prices_file": file, "home": tmp_path / "home"})) as process:
            assert await asyncio.to_thread(process.wait, 30) == 1
            assert _last_line(process).startswith(f"murmur worker: {file}")
            assert "Traceback" not in process.output()


async def test_a_worker_waits_for_the_broker_at_start_and_says_so(settings: Settings) -> None:
    broker = EmbeddedBroker()  # not started yet
    away = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    with worker(away) as process:
        await asyncio.to_thread(eventually, lambda: broker.bootstrap in (process.status().get("error") or ""))
        assert process.status()["ready"] is False
        assert "MURMUR_KAFKA_BOOTSTRAP" in process.status()["error"]
        try:
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(process.await_ready)
            await _send(away, 5)
            await asyncio.to_thread(_await_events, away, 5)
        finally:
            broker.stop()


async def test_changed_settings_are_refused_with_the_way_out_and_a_new_fold_version_recomputes(
    settings: Settings,
) -> None:
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        await _send(settings, 10)
        await asyncio.to_thread(_await_events, settings, 10)
        assert await asyncio.to_thread(process.terminate) == 0
    changed = settings.model_copy(update={"windows": "5s"})
    with worker(changed) as process:
        assert await asyncio.to_thread(process.wait, 60) == 1
        assert "set MURMUR_FOLD_VERSION to 2" in _last_line(process)
    with worker(changed.model_copy(update={"fold_version": 2})):
        sql = "SELECT sum(events) FROM windows FINAL WHERE fold_version = 2 AND window_ms = 5000"
        await asyncio.to_thread(eventually, lambda: _query(settings, sql) == 10)
        # Once it has caught up, the views show the new version alone.
        sizes = "SELECT arraySort(groupUniqArray(window_ms)) FROM v_windows"
        await asyncio.to_thread(eventually, lambda: list(_query(settings, sizes)) == [5_000])


async def test_a_worker_of_another_host_with_other_settings_is_refused_before_it_joins(
    settings: Settings, tmp_path: Path
) -> None:
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        other = settings.model_copy(update={"home": tmp_path / "other-host", "allowed_lateness_ms": 1})
        with worker(other) as refused:
            assert await asyncio.to_thread(refused.wait, 60) == 1
            assert "Give this worker the settings of the others, or set MURMUR_FOLD_VERSION to 2" in _last_line(refused)
        await _send(settings, 10)
        await asyncio.to_thread(_await_events, settings, 10)
        assert await asyncio.to_thread(process.terminate) == 0


async def test_a_replaced_log_starts_over_beside_the_old_results(settings: Settings) -> None:
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        await _send(settings, 10)
        await asyncio.to_thread(_await_events, settings, 10)
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
        await admin.start()
        await admin.delete_topics(["swarm.metrics", "swarm.activities"])
        await admin.close()
        code = await asyncio.to_thread(_recreate_and_wait, settings, process)
        assert code == 1
        assert "was replaced" in process.output()
        process.start()
        await asyncio.to_thread(process.await_ready)
        await _send(settings, 7)
        await asyncio.to_thread(_await_events, settings, 17)


async def test_a_snapshot_that_cannot_be_written_is_said_and_nothing_is_committed(settings: Settings) -> None:
    settings.home.mkdir(exist_ok=True)
    settings.state_dir.write_text("a file where the folder should be")
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        await _send(settings, 10)
        await asyncio.to_thread(_await_events, settings, 10)
        await asyncio.to_thread(eventually, lambda: "cannot be written" in (process.status().get("error") or ""))
        settings.state_dir.unlink()
        await asyncio.to_thread(eventually, lambda: process.status().get("error") is None)
        await asyncio.to_thread(eventually, lambda: any(settings.state_dir.rglob("*.snap")))


async def test_sigterm_during_a_load_stops_within_ten_seconds_and_loses_nothing(settings: Settings) -> None:
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        sending = asyncio.create_task(_send(settings, 3_000))
        await asyncio.to_thread(eventually, lambda: _count_events(settings) > 0)
        started = time.monotonic()
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert time.monotonic() - started < 10
        await sending
        process.start()
        await asyncio.to_thread(_await_events, settings, 3_000)


async def _send(settings: Settings, count: int, *, first: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        now = int(time.time() * 1000)
        for i in range(first, first + count):
            event = {"swarm_id": "s", "agent_id": "a", "metric": "cost_usd", "value": i, "timestamp": now}
            await producer.send("swarm.metrics", json.dumps(event).encode(), partition=0)
        await producer.flush()
    finally:
        await producer.stop()


def _recreate_and_wait(settings: Settings, process: WorkerProcess) -> int:
    from tests.support.brokers import create_topics

    create_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"], partitions=1)
    return process.wait(60)


def _query(settings: Settings, sql: str) -> Any:
    client = connect(settings)
    try:
        return client.query(sql).first_row[0]
    finally:
        client.close()


def _count_events(settings: Settings) -> int:
    return int(_query(settings, "SELECT count() FROM v_metrics"))


def _await_events(settings: Settings, expected: int) -> None:
    eventually(lambda: _count_events(settings) >= expected, within_s=60)
    assert _count_events(settings) == expected
    sql = "SELECT sum(events) FROM v_windows WHERE window_ms = (SELECT min(window_ms) FROM windows)"
    eventually(lambda: int(_query(settings, sql)) == expected, within_s=20)


def _last_line(process: WorkerProcess) -> str:
    return process.output().strip().splitlines()[-1]
