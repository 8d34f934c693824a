"""Apache Kafka from Maven artifacts: alone, and as the broker of a stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.local.supervisor import down, up
from tests.support.kafka import apache_kafka, libs_or_skip
from tests.support.logs import aread_log
from tests.support.stacks import home_of_stack, murmur, processes_of

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.slow]


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def test_apache_kafka_keeps_what_it_acknowledged_through_kill_9() -> None:
    with apache_kafka() as node:
        await _create(node.bootstrap, "t")
        await _send(node.bootstrap, "t", [b"1", b"2", b"3"])
        node.kill()
        node.start()
        await _send(node.bootstrap, "t", [b"4"])
        assert [r.value for r in await aread_log(node.bootstrap, "t")] == [b"1", b"2", b"3", b"4"]


async def test_up_with_apache_kafka_keeps_its_log_over_down_and_up(tmp_path: Path) -> None:
    libs_or_skip(tmp_path)
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        first = up(settings, broker="kafka", workers=0)
        assert (first.broker, first.ready) == ("kafka", True)
        await _create(first.kafka_bootstrap, "kept")
        await _send(first.kafka_bootstrap, "kept", [b"a", b"b"])
        down(settings)
        assert not processes_of(home)
        second = up(settings, broker="kafka", workers=0)
        assert [r.value for r in await aread_log(second.kafka_bootstrap, "kept")] == [b"a", b"b"]


def test_up_says_that_java_is_missing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = murmur("up", "--broker", "kafka", home=tmp_path / "home", settings={"log_level": "info"}, path=str(empty))
    assert done.returncode == 1
    assert done.stderr.startswith("murmur: Apache Kafka needs Java 17 or newer")
    assert done.stderr.count("\n") == 1
    assert not processes_of(tmp_path / "home")
