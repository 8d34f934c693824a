"""A bounded memory of small structs by key; the key that was not touched for longest leaves first.

In: keys of strings. Out: a mutable struct a key, state for snapshots. Never: more than `keys_max` entries; an order
that depends on anything but the order of the calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
Key = tuple[str, ...]


class Keyed(Generic[S]):
    """Key -> struct. `kind()` makes the struct of a new key."""

    __slots__ = ("_entries", "_keys_max", "_kind")

    def __init__(self, kind: type[S], keys_max: int) -> None:
        self._kind = kind
        self._keys_max = keys_max
        self._entries: OrderedDict[Key, S] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def keys_max(self) -> int:
        """The most keys it holds."""
        return self._keys_max

    def __iter__(self) -> Iterator[tuple[Key, S]]:
        return iter(self._entries.items())

    def of(self, *key: str) -> S:
        """The struct of this key, a new one when it is not known; it counts as touched."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
            return found
        if len(self._entries) >= self._keys_max:
            self._entries.popitem(last=False)
        found = self._entries[key] = self._kind()
        return found

    def get(self, *key: str) -> S | None:
        """The struct of this key if it is known; it does not count as touched."""
        return self._entries.get(key)

    def drop(self, *key: str) -> None:
        """Forgets a key."""
        self._entries.pop(key, None)

    def state(self) -> list[Any]:
        """[[key, struct], ...], longest untouched first; for msgpack."""
        return [[key, struct] for key, struct in self._entries.items()]

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` became on its way through msgpack."""
        self._entries = OrderedDict((tuple(key), msgspec.convert(struct, self._kind)) for key, struct in state)


def memory_of(detector: object) -> tuple[int, int]:
    """How many keys a detector holds, and how many at most; each detector has one such memory."""
    (memory,) = (part for part in vars(detector).values() if isinstance(part, Keyed))
    return len(memory), memory.keys_max
