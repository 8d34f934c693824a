"""Small integers for the strings of a partition's open windows.

In: series (swarm, agent, metric), units. Out: ids that index arrays. Never: grows without bound: ids that no open
window uses leave at every snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Series = tuple[str, str, str]  # swarm_id, agent_id ('' = the swarm itself), metric
K = TypeVar("K", bound=Hashable)
E = TypeVar("E")


class DictionaryIds(Generic[E, K]):
    """Positions in a list that only grows -> ids of an interner; each entry is looked up once.

    Another list (the decoder started its dictionaries over) begins anew.
    """

    __slots__ = ("_entries", "_ids", "_interner", "_key_of")

    def __init__(self, interner: Interner[K], key_of: Callable[[E], K]) -> None:
        self._interner = interner
        self._key_of = key_of
        self._entries: Sequence[E] = ()
        self._ids = np.empty(0, dtype=np.int64)

    def ids(self, entries: Sequence[E], positions: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """The id of each entry at `positions`; entries nobody points at get none."""
        if entries is not self._entries:
            self._entries, self._ids = entries, np.empty(0, dtype=np.int64)
        if len(self._ids) < len(entries):
            self._ids = np.concatenate([self._ids, np.full(len(entries) - len(self._ids), -1, dtype=np.int64)])
        found = self._ids[positions]
        if len(found) and found.min() < 0:
            new = np.unique(positions[found < 0])
            self._ids[new] = self._interner.ids([self._key_of(entries[i]) for i in new.tolist()])
            found = self._ids[positions]
        return found

    def renumber(self, new_ids: npt.NDArray[np.int64]) -> None:
        """After the interner was compacted: new_ids[old] is the new one, -1 when it is gone."""
        known = self._ids >= 0
        self._ids[known] = new_ids[self._ids[known]]


class SwarmGroups:
    """Series id -> a number that its swarm and metric share, until the series are renumbered; a cache."""

    __slots__ = ("_groups", "_numbers", "_series")

    def __init__(self, series: Interner[Series]) -> None:
        self._series = series
        self.forget()

    def forget(self) -> None:
        """After the series were renumbered."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._groups = np.empty(0, dtype=np.int64)

    def of_series(self) -> npt.NDArray[np.int64]:
        """The group of every series."""
        new = self._series.keys[len(self._groups) :]
        if new:
            numbers = self._numbers
            found = [numbers.setdefault((swarm, metric), len(numbers)) for swarm, _, metric in new]
            self._groups = np.concatenate([self._groups, np.array(found, dtype=np.int64)])
        return self._groups


class Interner(Generic[K]):
    """Key <-> id, ids in order of arrival until `compact` puts them in the keys' own order."""

    __slots__ = ("_ids", "keys")

    def __init__(self, keys: Iterable[K] = ()) -> None:
        self.keys: list[K] = list(keys)
        self._ids: dict[K, int] = {key: i for i, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def ids(self, keys: Sequence[K]) -> npt.NDArray[np.int64]:
        """The id of each key; new keys get the next ones."""
        known = self._ids
        for key in keys:
            if key not in known:
                known[key] = len(self.keys)
                self.keys.append(key)
        return np.array([known[key] for key in keys], dtype=np.int64)

    def compact(self, used: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Keeps only the `used` ids, renumbered in sorted key order; returns new_ids[old] (-1: gone).

        Sorted order makes equal states equal bytes, whatever order the keys arrived in within a chunk.
        """
        order = sorted(used.tolist(), key=lambda i: self.keys[i])
        new_ids = np.full(len(self.keys), -1, dtype=np.int64)
        new_ids[order] = np.arange(len(order))
        self.keys = [self.keys[i] for i in order]
        self._ids = {key: i for i, key in enumerate(self.keys)}
        return new_ids
