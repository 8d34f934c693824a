"""The table of topics, and what the broker makes of it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from models.codecs.records import RECORD_BYTES_MAX
from models.settings import Settings
from streams.topics import (
    MESSAGE_BYTES_MAX,
    SOURCE_TOPICS,
    STATE,
    TOPICS,
    TopicError,
    ensure_topics,
    full_name,
    log_ids,
    topics_of,
)
from tests.support.brokers import apartitions_on, free_port


def settings_of(bootstrap: str = "127.0.0.1:1", *, prefix: str = "", partitions: int = 3) -> Settings:
    changes: dict[str, Any] = {"kafka_bootstrap": bootstrap, "topic_prefix": prefix, "partitions": partitions}
    return Settings(**changes)


def test_the_names_are_those_that_are_published() -> None:
    assert [t.name for t in TOPICS] == [
        "swarm.metrics",
        "swarm.activities",
        "swarm.windows",
        "swarm.anomalies",
        "swarm.control",
        "swarm.alerts",
        "swarm.alert-commands",
        "swarm.dead-letters",
        "<app_id>-state",
    ]
    assert SOURCE_TOPICS == ("swarm.metrics", "swarm.activities")


def test_every_topic_says_its_key_its_value_and_how_long_it_is_kept() -> None:
    for topic in TOPICS:
        assert topic.key
        assert topic.value
        if not topic.state:
            assert topic.config()["retention.ms"] == str(topic.retention_ms)
            assert topic.retention_ms >= 7 * 86_400_000


def test_only_rows_that_replace_each_other_are_compacted() -> None:
    policies = {t.name: t.config()["cleanup.policy"] for t in TOPICS}
    assert policies.pop("swarm.windows") == "compact,delete"
    assert policies.pop("<app_id>-state") == "compact"  # however old: who resumes after a month needs it
    assert set(policies.values()) == {"delete"}


def test_the_broker_stamps_what_is_folded() -> None:
    stamps = {t.name: t.config()["message.timestamp.type"] for t in TOPICS}
    assert {n for n, stamp in stamps.items() if stamp == "LogAppendTime"} == set(SOURCE_TOPICS)


def test_a_record_that_is_too_large_for_the_decoder_still_reaches_the_log() -> None:
    assert MESSAGE_BYTES_MAX > RECORD_BYTES_MAX
    assert {t.config()["max.message.bytes"] for t in TOPICS} == {str(MESSAGE_BYTES_MAX)}


def test_the_prefix_stands_before_every_name() -> None:
    assert full_name(settings_of(prefix="team-a."), "swarm.metrics") == "team-a.swarm.metrics"
    assert full_name(settings_of(prefix="team-a."), STATE) == "team-a.murmur-state"


def test_the_topic_of_snapshots_is_made_only_where_snapshots_go_there() -> None:
    plain = settings_of()
    assert [t.name for t in topics_of(plain)] == [t.name for t in TOPICS if t.name != STATE]
    assert topics_of(plain.model_copy(update={"snapshot_store": "kafka"})) == list(TOPICS)


async def test_a_broker_that_is_away_is_one_line_with_its_address() -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    with pytest.raises(TopicError, match=f"Kafka at {bootstrap}: .*Check MURMUR_KAFKA_BOOTSTRAP") as e:
        await ensure_topics(settings_of(bootstrap))
    assert "\n" not in str(e.value)
    with pytest.raises(TopicError, match=f"Kafka at {bootstrap}: no topic ids"):
        await log_ids(settings_of(bootstrap), timeout_s=0.0)


@pytest.mark.integration
async def test_missing_topics_are_made_and_present_ones_are_left_as_they_are(broker: str) -> None:
    prefix = f"t{os.urandom(3).hex()}."
    await ensure_topics(settings_of(broker, prefix=prefix, partitions=3))
    made = {n: p for n, p in (await apartitions_on(broker)).items() if n.startswith(prefix)}
    assert made == {prefix + t.name: 3 for t in TOPICS if not t.state}
    await ensure_topics(settings_of(broker, prefix=prefix, partitions=5))
    assert {n: p for n, p in (await apartitions_on(broker)).items() if n.startswith(prefix)} == made


@pytest.mark.integration
async def test_workers_that_start_together_do_not_disturb_each_other(broker: str) -> None:
    settings = settings_of(broker, prefix=f"t{os.urandom(3).hex()}.")
    await asyncio.gather(*(ensure_topics(settings) for _ in range(4)))
    identities = await asyncio.gather(*(log_ids(settings) for _ in range(2)))
    assert identities[0] == identities[1]
    assert set(identities[0]) == {full_name(settings, name) for name in SOURCE_TOPICS}


@pytest.mark.integration
async def test_a_topic_made_anew_has_another_identity(broker: str) -> None:
    settings = settings_of(broker)
    await ensure_topics(settings)
    before = await log_ids(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.delete_topics(["swarm.metrics"])
    finally:
        await admin.close()
    await ensure_topics(settings)
    after = await log_ids(settings)
    assert after["swarm.metrics"] != before["swarm.metrics"]
    assert after["swarm.activities"] == before["swarm.activities"]


@pytest.mark.integration
async def test_topics_that_nobody_made_are_named(broker: str) -> None:
    settings = settings_of(broker, prefix="nobody.")
    with pytest.raises(TopicError, match=r"no topic nobody\.swarm\.activities and nobody\.swarm\.metrics"):
        await log_ids(settings, timeout_s=0.0)
