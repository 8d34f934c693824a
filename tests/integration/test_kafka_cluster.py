"""Three nodes of Apache Kafka, one of them dead."""

from __future__ import annotations

import asyncio

import pytest

from models.settings import Settings
from streams.topics import ensure_topics, log_ids, partitions_of
from tests.support.kafka_cluster import REPLICAS, kafka_cluster

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

QUESTIONS = 12  # one that went to any of the three would fail in 1 of 3; all of twelve would pass once in 130 runs


def test_every_question_is_answered_while_a_node_is_dead_that_the_others_still_name() -> None:
    with kafka_cluster() as cluster:
        settings = Settings(kafka_bootstrap=cluster.bootstrap, replication_factor=REPLICAS)
        asyncio.run(ensure_topics(settings))
        known = asyncio.run(log_ids(settings))
        cluster.nodes[2].kill()

        async def ask() -> None:
            for _ in range(QUESTIONS):
                assert await log_ids(settings, timeout_s=0) == known
                assert set(await partitions_of(settings, list(known))) == set(known)

        asyncio.run(ask())
