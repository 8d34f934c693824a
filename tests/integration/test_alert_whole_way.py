"""From published events to a page, with a real worker between; and the same rules on what was stored of it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from models.settings import Settings
from streams.topics import ensure_topics
from tests.support.alerters import alerter, alerts_in, rules_file
from tests.support.commands import answer_of, run_murmur
from tests.support.receivers import http_receiver
from tests.support.waiting import eventually
from tests.support.workers import worker

pytestmark = [pytest.mark.integration]
S = 1_000


async def _send(settings: Settings, topic: str, events: list[dict[str, object]]) -> None:
    await ensure_topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, enable_idempotence=False)
    await producer.start()
    for event in events:
        await producer.send_and_wait(topic, json.dumps(event).encode())
    await producer.stop()


def test_a_failing_swarm_pages_and_the_back_test_says_the_same(
    broker: str, clickhouse: Settings, tmp_path: Path
) -> None:
    file = rules_file(
        tmp_path,
        {"above": 0.3, "min_events": 10},
        {"name": "finding", "metric": "security_findings", "aggregation": "sum", "above": 0, "severity": "critical"},
    )
    now_ms = int(time.time() * 1000)
    at = now_ms - now_ms % 10_000 - 120 * S

    def failing(second: int, share: float) -> list[dict[str, object]]:
        values = [1.0 if i < share * 20 else 0.0 for i in range(20)]
        return [
            {
                "swarm_id": "s1",
                "agent_id": f"a{i % 3}",
                "metric": "error_rate",
                "value": v,
                "timestamp": at + second * S + i,
            }
            for i, v in enumerate(values)
        ]

    task = {"id": "t1", "swarm_id": "s1", "kind": "task", "status": "completed", "security_findings": 2}
    task |= {"started_at": at, "ended_at": at + 12 * S}
    with http_receiver() as receiver:
        settings = clickhouse.model_copy(
            update={
                "kafka_bootstrap": broker,
                "home": tmp_path,
                "partitions": 1,
                "flush_interval_ms": 100,
                "alert_rules_file": file,
                "alert_channels": "webhook",
                "alert_webhook_url": SecretStr(receiver.url),
            }
        )
        with worker(settings) as process, alerter(settings):
            process.await_ready()
            story = [failing(1, 0.0), failing(11, 0.5), failing(21, 0.0), failing(31, 0.0), failing(60, 0.0)]
            asyncio.run(_send(settings, "swarm.activities", [task]))
            asyncio.run(_send(settings, "swarm.metrics", [event for events in story for event in events]))
            eventually(lambda: len(receiver.requests) >= 4, "two alerts, two messages each")
            told = sorted((body["rule"], body["event"]) for _, _, body in receiver.requests)
            eventually(lambda: len(alerts_in(settings)) == 4, "stored")
            live = sorted((r["rule"], r["event"], int(r["at"].timestamp() * 1000)) for r in alerts_in(settings))
    assert told == [("errors", "firing"), ("errors", "resolved"), ("finding", "firing"), ("finding", "resolved")]
    assert [(rule, (at_ms - at) // S) for rule, event, at_ms in live if event == "firing"] == [
        ("errors", 20),
        ("finding", 20),
    ]
    back = run_murmur(
        settings,
        *("backtest", "rule", str(file), "--from", str(at), "--to", str(at + 60 * S), "--format", "json"),
    )
    assert back.returncode == 0, back.stderr
    would = [(row["rule"], row["event"]) for row in answer_of(back)]
    assert sorted(would) == told
    assert {row["alert"] for row in answer_of(back)} == {r["alert_id"] for r in alerts_in(settings)}


def test_a_back_test_that_cannot_be_done_says_why(clickhouse: Settings, tmp_path: Path) -> None:
    file = rules_file(tmp_path, {"window": "5m", "aggregation": "p95"})
    for arguments, said in (
        ((str(file), "--from", "yesterday"), "is not a time: write ISO 8601"),
        ((str(tmp_path / "none.yaml"), "--from", "2026-01-01"), "cannot be read: No such file"),
        ((str(file), "--from", "2026-01-01"), "percentiles need a window of exactly one of these"),
    ):
        done = run_murmur(clickhouse, "backtest", "rule", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
