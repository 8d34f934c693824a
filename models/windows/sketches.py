"""The percentile sketches of all open windows of one partition, as one pair of sorted arrays.

In: (slot, key, units) triples in any order. Out: the sketch of a slot; canonical state.
Never: depends on the order of additions: counts are integers.

A code is slot << CODE_SHIFT | (key + KEY_BIAS); codes are sorted, so a slot's sketch is one contiguous run with
ascending keys. Additions are kept aside and merged when they are read or when they outgrow the bound.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.windows.sketch import KEY_BITS

CODE_SHIFT: Final = KEY_BITS + 1
KEY_BIAS: Final = 1 << KEY_BITS
KEY_MASK: Final = (1 << CODE_SHIFT) - 1
PENDING_MAX: Final = 1_000_000  # additions kept aside: 16 MB; beyond it they are merged at once


class SlotSketches:
    """Counts by (slot, key)."""

    __slots__ = ("_codes", "_counts", "_pending", "_pending_n")

    def __init__(self) -> None:
        self._codes = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)
        self._pending: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        self._pending_n = 0

    def __len__(self) -> int:
        self._merge()
        return len(self._codes)

    def add(self, slots: npt.NDArray[np.int64], keys: npt.NDArray[np.int32], units: npt.NDArray[np.int64]) -> None:
        """Adds `units` to bucket `keys` of `slots`, element by element."""
        self._pending.append(((slots << CODE_SHIFT) | (keys.astype(np.int64) + KEY_BIAS), units))
        self._pending_n += len(slots)
        if self._pending_n > PENDING_MAX:
            self._merge()

    def runs(
        self, slots: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """(offsets, keys, counts): the sketch of slots[i] is keys[offsets[i]:offsets[i + 1]], ascending."""
        self._merge()
        first = np.searchsorted(self._codes, slots << CODE_SHIFT)
        last = np.searchsorted(self._codes, (slots + 1) << CODE_SHIFT)
        lengths = last - first
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        take = np.repeat(first - offsets[:-1], lengths) + np.arange(offsets[-1])
        keys = ((self._codes[take] & KEY_MASK) - KEY_BIAS).astype(np.int32)
        return offsets, keys, self._counts[take]

    def drop(self, slots: npt.NDArray[np.int64]) -> None:
        """Forgets the sketches of these slots."""
        self._merge()
        if not len(slots) or not len(self._codes):
            return
        gone = np.zeros(int(max(slots.max(), self._codes[-1] >> CODE_SHIFT)) + 1, dtype=bool)
        gone[slots] = True
        keep = ~gone[self._codes >> CODE_SHIFT]
        self._codes, self._counts = self._codes[keep], self._counts[keep]

    def _merge(self) -> None:
        if not self._pending:
            return
        codes = np.concatenate([c for c, _ in self._pending])
        units = np.concatenate([u for _, u in self._pending])
        self._pending, self._pending_n = [], 0
        # Hashing first: the additions of a second fall into far fewer buckets than there are events, and sorting
        # the distinct codes is cheaper than sorting all.
        encoded = pa.array(codes).dictionary_encode()
        distinct = encoded.dictionary.to_numpy()
        added = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(added, encoded.indices.to_numpy(), units)
        order = np.argsort(distinct, kind="stable")
        distinct, added = distinct[order], added[order]
        at = np.searchsorted(self._codes, distinct)
        known = np.zeros(len(distinct), dtype=bool)
        inside = at < len(self._codes)
        known[inside] = self._codes[at[inside]] == distinct[inside]
        self._counts[at[known]] += added[known]
        if not known.all():
            self._codes = np.insert(self._codes, at[~known], distinct[~known])
            self._counts = np.insert(self._counts, at[~known], added[~known])
