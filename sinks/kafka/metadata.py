"""What a client of ours asks a broker about its topics: in a way that creates none.

In: an aiokafka client that has not started. Out: the same client, which asks in our way. Never: creates a topic.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

log = logging.getLogger(__name__)


def create_no_topics(client: AIOKafkaClient) -> None:
    """Has `client` ask for metadata without letting the broker create what it asks for; aiokafka has no such setting.

    A broker with `auto.create.topics.enable` would otherwise make a topic that was deleted under a running worker anew
    at once, with the broker's own partitions, retention and time stamps.
    """
    first_question = client._metadata_update

    async def ask(cluster: Any, topics: Iterable[str]) -> bool:
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        if not nodes:  # a cluster that names no broker yet is asked for everything it has, which creates nothing
            return bool(await first_question(cluster, ()))
        request = MetadataRequest(list(topics or ()) or None, allow_auto_topic_creation=False)
        for node in random.sample(nodes, len(nodes)):
            try:
                response = await client.send(node, request)
            except (KafkaError, TimeoutError) as error:
                log.debug("no_metadata node=%s %r", node, error)
                continue
            if not response.brokers:
                return False
            cluster.update_metadata(response)
            return True
        log.error("no_metadata nodes=%s", nodes)
        cluster.failed_update(None)
        return False

    client._metadata_update = ask
