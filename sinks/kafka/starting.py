"""Starts an aiokafka client, or asks one question, so that what is cut short leaves no connection behind.

In: the client's coroutine that connects; a request. Out: a started client; a response.
Never: waits longer than START_GRACE_S once cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from models.settings import Settings
from sinks.kafka.security import client_options

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS: Final = 40_000  # aiokafka's own
START_GRACE_S: Final = 1.0  # a broker that is there answers the first question in milliseconds


async def start_whole(starting: Coroutine[Any, Any, Any]) -> None:
    """Awaits `starting`; a cancellation comes through when the start has ended, or after START_GRACE_S.

    aiokafka closes the connection of its first question only when that was answered or has failed; cancelled before,
    it is left open, and closing the client does not reach it.
    """
    task = asyncio.ensure_future(starting)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=START_GRACE_S)
        if not task.done():
            task.cancel()
        elif not task.cancelled():
            task.exception()  # seen: the caller is going anyway
        raise


async def ask_broker(settings: Settings, request: Any, *, request_timeout_ms: int = REQUEST_TIMEOUT_MS) -> Any:
    """The response of any node to one request, over a connection of its own. Raises KafkaError when none answers.

    A cluster goes on naming a node that has died for some seconds, so each is asked until one answers.
    """
    async with question_client(settings, request_timeout_ms=request_timeout_ms) as client:
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        random.shuffle(nodes)
        for node in nodes[:-1]:
            try:
                return await client.send(node, request)
            except KafkaError as error:
                log.debug("broker_node_silent node=%s %r", node, error)
        return await client.send(nodes[-1] if nodes else None, request)


@asynccontextmanager
async def question_client(settings: Settings, *, request_timeout_ms: int) -> AsyncGenerator[AIOKafkaClient]:
    """A client for a question or two, which knows the cluster. Raises KafkaError when no broker answers."""
    client = AIOKafkaClient(
        bootstrap_servers=settings.kafka_bootstrap,
        client_id="murmur-question",
        request_timeout_ms=request_timeout_ms,
        **client_options(settings),
    )
    try:
        await start_whole(client.bootstrap())
        yield client
    finally:
        await client.close()
