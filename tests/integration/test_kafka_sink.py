"""The Kafka sink when the broker freezes, goes or refuses: an error within its time, and nothing half-said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.settings import Settings
from sinks.base import RetryableSinkError
from sinks.kafka.sink import RECORD_BYTES_MAX, KafkaSink
from tests.support.brokers import EmbeddedBroker, acreate_topics
from tests.support.logs import aread_log
from tests.support.result_rows import row, table

pytestmark = pytest.mark.integration
TOPICS = {"windows": "w", "anomalies": "a"}


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    started = EmbeddedBroker().start()
    yield started
    started.stop()


def sink_on(broker: EmbeddedBroker) -> KafkaSink:
    return KafkaSink(Settings(kafka_bootstrap=broker.bootstrap), TOPICS, request_timeout_ms=2_000)


def windows(count: int, **columns: object) -> dict[str, object]:
    return {"windows": table("windows", [row("windows", gen=n, **columns) for n in range(count)])}


async def test_a_frozen_broker_asks_for_a_retry_and_the_retry_stores_every_row(
    broker: EmbeddedBroker,
) -> None:
    await acreate_topics(broker.bootstrap, TOPICS.values())
    sink = sink_on(broker)
    await sink.start()
    await sink.write(windows(3))
    broker.pause()
    with pytest.raises(RetryableSinkError, match="topic w"):
        await sink.write(windows(500))
    broker.resume()
    assert (await sink.write(windows(500))).rows == 500
    await sink.health()
    keys = {record.key for record in await aread_log(broker.bootstrap, "w")}
    assert len(keys) == 500
    await sink.close()


async def test_a_broker_that_is_gone_is_not_healthy(broker: EmbeddedBroker) -> None:
    await acreate_topics(broker.bootstrap, TOPICS.values())
    sink = sink_on(broker)
    await sink.start()
    broker.kill()
    with pytest.raises(RetryableSinkError, match=r"Kafka 127\.0\.0\.1"):
        await sink.health()
    with pytest.raises(RetryableSinkError):
        await sink.write(windows(2))
    await sink.close()


async def test_many_rows_larger_than_one_batch_arrive_once_each_and_one_key_stays_in_one_partition(
    broker: EmbeddedBroker,
) -> None:
    await acreate_topics(broker.bootstrap, TOPICS.values(), partitions=3)
    sink = sink_on(broker)
    await sink.start()
    heavy = {"unit": "x" * 20_000}  # 20 KB of JSON a row
    for _ in range(2):
        assert (await sink.write(windows(300, **heavy))).rows == 300
    found = await aread_log(broker.bootstrap, "w")
    assert len(found) == 600
    placed = {(record.key, record.partition) for record in found}
    assert len(placed) == len({key for key, _ in placed}) == 300
    assert len({partition for _, partition in placed}) == 3
    await sink.close()


async def test_a_row_larger_than_a_record_may_be_is_rejected_alone(broker: EmbeddedBroker) -> None:
    await acreate_topics(broker.bootstrap, TOPICS.values())
    sink = sink_on(broker)
    await sink.start()
    reasons = ["short", "x" * RECORD_BYTES_MAX, "y" * (RECORD_BYTES_MAX // 2)]
    rows = [row("anomalies", anomaly_id=f"n{n}", reason=text) for n, text in enumerate(reasons)]
    result = await sink.write({"anomalies": table("anomalies", rows)})
    assert (result.rows, [r.row["anomaly_id"] for r in result.rejected]) == (2, ["n1"])
    assert "the limit is 1000000" in result.rejected[0].reason
    await sink.close()


def test_a_table_without_a_kafka_form_is_refused_when_the_sink_is_made() -> None:
    with pytest.raises(ValueError, match=r"no Kafka form .*\['metrics'\]"):
        KafkaSink(Settings(), {"metrics": "m"})
