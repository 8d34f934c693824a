"""Looks up, in the log, why some of its offsets left no row.

In: ranges of offsets of one partition. Out: their records, and of each record with events one event to look for.
Never: folds, commits, reads more than RECORDS_MAX records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition

from models.codecs import decode_metrics
from models.codecs.records import RawRecord
from models.settings import Settings
from streams.log_probe import readable_ends, reader

RECORDS_MAX: Final = 10_000  # records of gaps that one audit reads: about a second
POLL_MS: Final = 200


class FirstEvent(NamedTuple):
    """What identifies an event that was sent twice."""

    swarm_id: str
    agent_id: str
    metric: str
    timestamp_ms: int
    value: float


class GapRecords(NamedTuple):
    """What stands at offsets without rows. `read_to`: offsets from here on were not looked at."""

    first_events: dict[int, FirstEvent]  # offset -> its first valid event
    empty: int  # records that hold nothing to count
    absent: int  # offsets without a record
    read_to: int


async def read_gaps(settings: Settings, topic: str, partition: int, ranges: Sequence[tuple[int, int]]) -> GapRecords:
    """The records in these ranges (ends inclusive, ascending) of a metrics topic. Raises BrokerAwayError."""
    place = TopicPartition(topic, partition)
    found: list[RawRecord] = []
    looked = read_to = 0
    async with reader(settings) as consumer:
        end = (await readable_ends(consumer, [place]))[place]
        for first, last in ranges:
            if first >= end or len(found) >= RECORDS_MAX:
                break
            looked += last - first + 1
            read_to = last + 1
            found += await _read(consumer, place, first, min(last + 1, end))
    firsts: dict[int, FirstEvent] = {}
    for record in found:
        chunk = decode_metrics([record])
        if len(chunk.timestamp_ms):
            series = chunk.series[int(chunk.series_idx[0])]
            firsts[record.offset] = FirstEvent(*series, int(chunk.timestamp_ms[0]), float(chunk.value[0]))
    return GapRecords(firsts, len(found) - len(firsts), looked - len(found), read_to)


async def _read(consumer: Any, place: TopicPartition, first: int, end: int) -> list[RawRecord]:
    """The records of [first, end)."""
    consumer.seek(place, first)
    found: list[RawRecord] = []
    while await consumer.position(place) < end:
        for batch in (await consumer.getmany(place, timeout_ms=POLL_MS)).values():
            found += [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in batch if r.offset < end]
    return found
