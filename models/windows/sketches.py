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

from models.windows.sketch import KEY_BITS, SKETCH_UNITS

CODE_SHIFT: Final = KEY_BITS + 1
KEY_BIAS: Final = 1 << KEY_BITS
KEY_MASK: Final = (1 << CODE_SHIFT) - 1
PENDING_MAX: Final = 200_000  # additions kept aside: 3 MB; beyond it they are merged at once


class SlotSketches:
    """Counts by (slot, key)."""

    __slots__ = ("_codes", "_counts", "_pending", "_pending_n")

    def __init__(self) -> None:
        self._codes = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)
        self._pending: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]] = []
        self._pending_n = 0

    def __len__(self) -> int:
        self._merge()
        return len(self._codes)

    def add(
        self, slots: npt.NDArray[np.int64], keys: npt.NDArray[np.int32], units: npt.NDArray[np.int64] | None
    ) -> None:
        """Adds `units` to bucket `keys` of `slots`, element by element; None: a weight of 1 each."""
        if not len(slots):
            return
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
        pending, self._pending, self._pending_n = self._pending, [], 0
        distinct, added = _totals(pending)
        at = np.searchsorted(self._codes, distinct)
        known = np.zeros(len(distinct), dtype=bool)
        inside = at < len(self._codes)
        known[inside] = self._codes[at[inside]] == distinct[inside]
        self._counts[at[known]] += added[known]
        if not known.all():
            self._codes = np.insert(self._codes, at[~known], distinct[~known])
            self._counts = np.insert(self._counts, at[~known], added[~known])


def _totals(
    additions: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(distinct codes, ascending; the units added to each)."""
    codes = np.concatenate([c for c, _ in additions])
    if all(units is None for _, units in additions):
        codes.sort()  # sorting plain numbers is vectorised: about 7 ns each, where hashing takes 15 to 45
        first = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
        return codes[first], np.diff(np.append(first, len(codes))) * SKETCH_UNITS
    units = np.concatenate([np.full(len(c), SKETCH_UNITS) if u is None else u for c, u in additions])
    order = np.argsort(codes)
    codes, units = codes[order], units[order]
    first = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return codes[first], np.add.reduceat(units, first)
