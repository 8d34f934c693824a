"""Producers compress as they like: a worker reads every codec that Kafka knows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.produce import make_topics
from tests.support.waiting import eventually
from tests.support.workers import quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
EVENTS = 100  # of each, in one batch
T0_MS = 1_760_000_000_000


def test_records_are_read_whatever_their_producer_compressed_them_with(
    any_broker: str, clickhouse: Settings, tmp_path: Path
) -> None:
    settings = quick_settings(clickhouse, any_broker, tmp_path)
    make_topics(settings)
    asyncio.run(_send(settings))
    with worker(settings) as process:
        eventually(lambda: process.status().get("events_total") == len(CODECS) * EVENTS, "all events are folded")
        assert process.terminate() == 0
    client = connect(settings)
    found = client.query("SELECT agent_id, count(), sum(value) FROM v_metrics GROUP BY agent_id").result_rows
    client.close()
    assert {agent: (count, total) for agent, count, total in found} == {
        str(codec): (EVENTS, sum(range(EVENTS))) for codec in CODECS
    }


async def _send(settings: Settings) -> None:
    """A batch of single events with each codec."""
    for codec in CODECS:
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap, compression_type=codec, linger_ms=500, max_batch_size=1 << 20
        )
        await producer.start()
        for value in range(EVENTS):
            event = {"swarm_id": "s", "agent_id": str(codec), "metric": "m", "value": value, "timestamp": T0_MS + value}
            await producer.send("swarm.metrics", json.dumps(event).encode(), partition=0)
        await producer.stop()
