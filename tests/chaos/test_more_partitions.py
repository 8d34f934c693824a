"""Partitions are added to a topic while workers read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import installation
from tests.support.kafka import apache_kafka
from tests.support.load import Load
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]


async def _grow(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(partitions)})
    finally:
        await admin.close()


def test_partitions_that_are_added_are_folded_from_their_first_record(
    settings: Settings, figures: Callable[..., None]
) -> None:
    with apache_kafka() as broker:
        settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
        with installation(broker, settings, workers=2) as running:
            traffic = Traffic(scale.SEED)
            with Load(broker.bootstrap, traffic.records, records_per_s=200) as load:
                load.keep_on(4)
            asyncio.run(_grow(broker.bootstrap, "swarm.metrics", 6))
            traffic = Traffic(scale.SEED + 1, partitions=6)
            with Load(broker.bootstrap, traffic.records, records_per_s=200) as load:
                load.keep_on(4)
            verdict = compare_when_drained(settings)
            figures(events=verdict.events, drain_s=verdict.drain_s)
            running.check_alive()
