"""Sends what a person says about alerts to the alerter.

In: settings, a `Command`. Out: a record of `swarm.alert-commands`, acknowledged. Never: changes an alert itself.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.alerts.command import Command
from models.settings import Settings
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.security import client_options
from streams.topics import ALERT_COMMANDS, broker_error, ensure_topics, full_name

SEND_TIMEOUT_MS: Final = 10_000  # a person waits for it


async def send_command(settings: Settings, command: Command) -> None:
    """Returns when all replicas have the command. Raises BrokerAwayError, TopicError.

    Every command goes to partition 0, so that they are carried out in the order they were given.
    """
    await ensure_topics(settings)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        enable_idempotence=False,
        request_timeout_ms=SEND_TIMEOUT_MS,
        **client_options(settings),
    )
    create_no_topics(producer.client)
    try:
        await producer.start()
        value = msgspec.json.encode(command)
        await producer.send_and_wait(full_name(settings, ALERT_COMMANDS), value, partition=0)
    except (KafkaError, OSError) as error:
        raise await broker_error(settings, error) from error
    finally:
        await producer.stop()
