"""Reads the identity of a log: the topic's UUID (Kafka Metadata API, version 10, KIP-516).

In: settings, topic names. Out: name -> UUID in hexadecimal. Never: invents an identity.

aiokafka speaks the Metadata API up to version 5, which has no ids, so the version-10 request is declared here with
aiokafka's own protocol types. Field order: the Kafka protocol guide, MetadataRequest/Response version 10.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from models.settings import Settings
from sinks.kafka.starting import ask_broker

REQUEST_TIMEOUT_MS: Final = 10_000  # the answer is small; a broker that needs longer counts as away
_NONE = uuid.UUID(int=0)


class _Uuid:
    """16 bytes, big-endian."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: uuid.UUID) -> str:
        return str(value)


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka is not followed
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 10
    SCHEMA: ClassVar[Any] = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestV10(RequestStruct):  # type: ignore[misc]  # as above
    FLEXIBLE_VERSION: ClassVar[bool] = True
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 10
    RESPONSE_TYPE: ClassVar[type[Response]] = _MetadataResponse
    SCHEMA: ClassVar[Any] = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV10]):  # type: ignore[misc]  # as above
    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        return request_struct_class([(_NONE, name, {}) for name in self._topics], False, False, False, {})


async def read_topic_ids(settings: Settings, topics: Sequence[str]) -> dict[str, str]:
    """Topic name -> 32 hexadecimal digits; a topic the broker does not know (yet) is absent.

    Raises KafkaError when no broker answers or the broker is older than Kafka 2.8 (no topic ids).
    """
    response = await ask_broker(settings, _MetadataRequest(topics), request_timeout_ms=REQUEST_TIMEOUT_MS)
    return {
        name: topic_id.hex
        for error_code, name, topic_id, *_ in response.topics
        if error_code == 0 and topic_id != _NONE
    }
