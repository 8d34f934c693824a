"""Follows one of our result topics from outside the worker: the terminal, the demo, a dashboard.

In: settings, a result topic. Out: its JSON rows as they arrive. Never: joins the workers' group or commits offsets.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from models.settings import Settings
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.security import client_options
from sinks.kafka.starting import start_whole
from streams.topics import FETCH_WAIT_MS, broker_error, full_name, partition_count
from streams.whole_read import Gaps, read_whole

POLL_MS: Final = 1_000  # records that are there come at once


async def subscribe(settings: Settings, topic: str, *, from_beginning: bool = False) -> AsyncGenerator[dict[str, Any]]:
    """Yields each JSON object of `topic` (a name of streams.topics) until the caller stops.

    Use it inside contextlib.aclosing: a loop that is left early must close the connection.

    Raises TopicError when no broker answers, it refuses us, or nobody has made the topic yet.

    Records whose value is not a JSON object (dead letters carry the original bytes) are yielded as
    {"value": bytes, "headers": {...}}.
    """
    await partition_count(settings, topic)  # a topic that is not there is told at once
    consumer = AIOKafkaConsumer(
        full_name(settings, topic),
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=None,
        auto_offset_reset="earliest" if from_beginning else "latest",
        enable_auto_commit=False,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        **client_options(settings),
    )
    create_no_topics(consumer._client)
    try:
        await start_whole(consumer.start())
    except (KafkaError, OSError) as error:
        await consumer.stop()
        raise await broker_error(settings, error) from error
    try:
        gaps = Gaps()
        while True:
            for records in (await read_whole(consumer, gaps, timeout_ms=POLL_MS)).values():
                for record in records:
                    yield _decode(record)
    finally:
        await consumer.stop()


def _decode(record: Any) -> dict[str, Any]:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers or ()}
    if "error_code" not in headers:
        try:
            row = msgspec.json.decode(record.value)
            if isinstance(row, dict):
                return row
        except (msgspec.DecodeError, TypeError):
            pass
    return {"value": record.value, "headers": headers}
