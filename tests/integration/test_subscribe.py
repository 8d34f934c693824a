"""Following a result topic: every record, in order, also of a log that leaves offsets out."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer

from models.settings import Settings
from streams.subscribe import subscribe
from streams.topics import ANOMALIES
from tests.support.brokers import acreate_topics
from tests.support.kafka import apache_kafka

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

TRANSACTIONS = 6  # more than are looked into


async def test_every_record_of_a_log_with_gaps_comes_in_order() -> None:
    with apache_kafka() as node:
        settings = Settings(kafka_bootstrap=node.bootstrap)
        await acreate_topics(node.bootstrap, [ANOMALIES], partitions=1)
        producer = AIOKafkaProducer(bootstrap_servers=node.bootstrap, transactional_id="t")
        await producer.start()
        try:
            for number in range(TRANSACTIONS):  # each ends with a marker that takes an offset
                async with producer.transaction():
                    await producer.send_and_wait(ANOMALIES, json.dumps({"number": number}).encode())
        finally:
            await producer.stop()
        found: list[int] = []
        async with asyncio.timeout(60), aclosing(subscribe(settings, ANOMALIES, from_beginning=True)) as rows:
            async for row in rows:
                found.append(row["number"])
                if len(found) == TRANSACTIONS:
                    break
        assert found == list(range(TRANSACTIONS))
