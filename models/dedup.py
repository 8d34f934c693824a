"""Remembers what producers already sent, within a stated bound.

In: producer stamps of records, ids of events. Out: seen before, or not. Never: forgets inside the bound, grows
beyond it, depends on anything but the order of the log.

A producer cannot know whether a failed send was stored, so it sends again. Records carry (producer, epoch, sequence);
single events may carry an id. Both memories are part of the partition's state and of its snapshots.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

SEQUENCES_REMEMBERED: Final = 4_096  # below a producer's newest; a client has far fewer records in flight or spooled
PRODUCERS_MAX: Final = 100_000  # producers a partition remembers; the one silent for longest leaves first
_SEQUENCE_MASK: Final = (1 << SEQUENCES_REMEMBERED) - 1


class Seen(Enum):
    """What a memory says of a record."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_OLD = "too_old"  # further back than the memory reaches: folded, and counted as not verifiable


@dataclass(slots=True)
class _Sequences:
    newest: int
    bits: int  # bit k: sequence newest - k was seen


class ProducerMemory:
    """Record de-duplication by (producer, epoch, sequence)."""

    __slots__ = ("_producers",)

    def __init__(self) -> None:
        self._producers: OrderedDict[tuple[str, int], _Sequences] = OrderedDict()

    def __len__(self) -> int:
        return len(self._producers)

    def observe(self, producer: str, epoch: int, sequence: int) -> Seen:
        """Notes the stamp of a record and says whether it was there before."""
        key = (producer, epoch)
        known = self._producers.get(key)
        if known is None:
            self._producers[key] = _Sequences(sequence, 1)
            if len(self._producers) > PRODUCERS_MAX:
                self._producers.popitem(last=False)
            return Seen.NEW
        self._producers.move_to_end(key)
        back = known.newest - sequence
        if back < 0:
            shift = min(-back, SEQUENCES_REMEMBERED)  # a jump of 2**60 must not build a number of 2**60 bits
            known.bits = ((known.bits << shift) | 1) & _SEQUENCE_MASK
            known.newest = sequence
            return Seen.NEW
        if back >= SEQUENCES_REMEMBERED:
            return Seen.TOO_OLD
        if known.bits >> back & 1:
            return Seen.DUPLICATE
        known.bits |= 1 << back
        return Seen.NEW

    def state(self) -> list[list[object]]:
        """[[producer, epoch, newest, bits as bytes], ...], longest silent first."""
        return [
            [producer, epoch, s.newest, s.bits.to_bytes((s.bits.bit_length() + 7) // 8, "little")]
            for (producer, epoch), s in self._producers.items()
        ]

    def restore(self, state: list[list[object]]) -> None:
        """Loads what `state` saved."""
        self._producers = OrderedDict()
        for producer, epoch, newest, bits in state:
            assert isinstance(producer, str)
            assert isinstance(epoch, int)
            assert isinstance(newest, int)
            assert isinstance(bits, bytes)
            self._producers[producer, epoch] = _Sequences(newest, int.from_bytes(bits, "little"))


class IdMemory:
    """Event de-duplication by id: two generations of 64-bit hashes.

    At least the newest `ids_max // 2` and at most `ids_max` ids are remembered. Two different ids among them share a
    hash with probability ids_max / 2**64 (5e-14 at one million).
    """

    __slots__ = ("_generation_max", "_new", "_old")

    def __init__(self, ids_max: int) -> None:
        self._generation_max = max(1, ids_max // 2)
        self._new: set[int] = set()
        self._old: set[int] = set()

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def observe(self, *parts: str) -> bool:
        """True when this id was not remembered; it is from now on. The parts together are the id."""
        digest = int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little")
        if digest in self._new or digest in self._old:
            return False
        if len(self._new) >= self._generation_max:
            self._old, self._new = self._new, set()
        self._new.add(digest)
        return True

    def state(self) -> list[bytes]:
        """[new, old] as sorted little-endian 64-bit hashes."""
        return [np.sort(np.fromiter(g, dtype="<u8", count=len(g))).tobytes() for g in (self._new, self._old)]

    def restore(self, state: list[bytes]) -> None:
        """Loads what `state` saved."""
        self._new, self._old = (set(np.frombuffer(part, dtype="<u8").tolist()) for part in state)
