"""One Kafka record on its way: what it holds, and the stamp that makes a resend recognisable.

In: encoded bytes. Out: `Record`, `Identity`. Never: two different records under one stamp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from murmur.ids import new_id

PRODUCER_HEADER: Final = "murmur-producer"  # `<producer uuid hex>:<epoch>:<seq>`, ASCII
EPOCH: Final = 0  # a producer uuid is never reused, so its epoch never moves
KEYS_CACHED_MAX: Final = 10_000  # partitions of keys remembered; a swarm has far fewer agents


class Stamp(NamedTuple):
    """Where a record goes and its number among its producer's records there. Fixed by the first attempt."""

    partition: int
    producer: str
    seq: int

    def header(self) -> bytes:
        """The stamp as the worker reads it: `<producer>:<epoch>:<seq>`."""
        return f"{self.producer}:{EPOCH}:{self.seq}".encode("ascii")


@dataclass(slots=True)
class Identity:
    """A producer and its next sequence number per topic and partition."""

    producer: str = field(default_factory=new_id)
    next_seq: dict[tuple[str, int], int] = field(default_factory=dict)

    def stamp(self, topic: str, partition: int) -> Stamp:
        """The next stamp of this producer in a partition; each is given once."""
        seq = self.next_seq.get((topic, partition), 0)
        self.next_seq[(topic, partition)] = seq + 1
        return Stamp(partition, self.producer, seq)


@dataclass(slots=True, eq=False)
class Record:
    """`events` counts the events inside. A record from a spool tells its spool when it is done."""

    topic: str
    key: bytes
    value: bytes
    content_type: bytes
    events: int
    stamp: Stamp | None = None
    identity: Identity | None = None  # None: the live producer's
    on_done: Callable[[Record], None] | None = None


@lru_cache(maxsize=KEYS_CACHED_MAX)
def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner: murmur2 of the key, so any Kafka client sends a swarm to the same place."""
    from aiokafka.partitioner import murmur2

    return int(murmur2(key) & 0x7FFFFFFF) % partitions
