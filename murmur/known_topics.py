"""What a client knows of its topics: asked without creating any, forgotten with the connection it was told on.

In: an aiokafka client. Out: the same client, which asks in our way. Never: creates a topic, answers from an old log.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiokafka.client import AIOKafkaClient


class KnownTopics:
    """Replaces how `client` asks for metadata; it has no setting for either of these.

    aiokafka allows the broker to create the topics it asks for, with the broker's own retention, partitions and time
    stamps; ours are created by a worker. And what comes back behind an address may be another log: the embedded broker
    acknowledges a record of a topic that does not exist yet, and loses it when the topic is created.
    """

    def __init__(self, client: AIOKafkaClient) -> None:
        self.answered = True  # the last question
        self._client = client
        self._first_question = client._metadata_update
        self._told_closed = client._on_connection_closed
        client._metadata_update = self._ask
        client._on_connection_closed = self._closed

    async def _ask(self, cluster: Any, topics: Iterable[str]) -> bool:
        from aiokafka.errors import KafkaError
        from aiokafka.protocol.metadata import MetadataRequest

        nodes = [broker.nodeId for broker in self._client.cluster.brokers()]
        if not nodes:  # a cluster that names no broker yet is asked for everything it has, which creates nothing
            self.answered = await self._first_question(cluster, ())
            return self.answered
        request = MetadataRequest(list(topics) or None, allow_auto_topic_creation=False)
        self.answered = False
        for node in random.sample(nodes, len(nodes)):
            try:
                response = await self._client.send(node, request)
            except (KafkaError, TimeoutError):
                continue
            if response.brokers:
                cluster.update_metadata(response)
                self.answered = True
                return True
        cluster.failed_update(None)
        return False

    def _closed(self, connection: Any, reason: Any) -> None:
        self._client.cluster._partitions.clear()
        self._told_closed(connection, reason)
