"""Packs events into Kafka records: one swarm, one topic, bounded bytes, bounded span of event time.

In: valid events. Out: records in event-time order. Never: a record above RECORD_BYTES_MAX; splits an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from interfaces.importers.chunk import Event, event_time_ms
from murmur.options import ACTIVITIES_TOPIC, METRICS_TOPIC, RECORD_BYTES_MAX
from murmur.record import Record
from murmur.wire import CONTENT_TYPE_JSON

EVENTS_PER_RECORD = 500  # the publisher's own batch size; the worker's best speed is reached there

_encode = msgspec.json.Encoder().encode


def pack(events: Sequence[Event], *, topic_prefix: str, span_ms: int) -> Iterator[Record]:
    """Records of `events`, oldest first.

    All open records are closed when event time has moved on by `span_ms` (the allowed lateness): swarms that ran side
    by side then interleave in the log as they did in life, and do not make each other's windows late.
    """
    open_records: dict[tuple[str, str], _Open] = {}
    oldest_ms: int | None = None
    for event in sorted(events, key=event_time_ms):
        at_ms = event_time_ms(event)
        if oldest_ms is not None and at_ms - oldest_ms > span_ms:
            yield from (record.close() for record in open_records.values())
            open_records.clear()
            oldest_ms = None
        oldest_ms = at_ms if oldest_ms is None else oldest_ms
        topic = topic_prefix + (METRICS_TOPIC if "metric" in event else ACTIVITIES_TOPIC)
        encoded = _encode(event)
        key = (topic, event["swarm_id"])
        record = open_records.get(key)
        if record is not None and not record.has_room(len(encoded)):
            yield record.close()
            record = None
        if record is None:
            record = open_records[key] = _Open(topic, event["swarm_id"])
        record.add(encoded)
    yield from (record.close() for record in open_records.values())


class _Open:
    """A record that still takes events."""

    __slots__ = ("_bytes", "_encoded", "_swarm_id", "_topic")

    def __init__(self, topic: str, swarm_id: str) -> None:
        self._topic = topic
        self._swarm_id = swarm_id
        self._encoded: list[bytes] = []
        self._bytes = 2  # the brackets

    def has_room(self, event_bytes: int) -> bool:
        return len(self._encoded) < EVENTS_PER_RECORD and self._bytes + event_bytes + 1 <= RECORD_BYTES_MAX

    def add(self, encoded: bytes) -> None:
        self._encoded.append(encoded)
        self._bytes += len(encoded) + 1

    def close(self) -> Record:
        value = b"[" + b",".join(self._encoded) + b"]"
        return Record(self._topic, self._swarm_id.encode(), value, CONTENT_TYPE_JSON, len(self._encoded))
