"""The numeric state of open windows: one slot a (series, window), one array a statistic.

In: slots and values of accepted events, in log order. Out: the statistics of a slot. Never: reorders additions.

`numpy.ufunc.at` applies its additions one after the other in index order, so a slot's float sums come out the same
however the log was cut into chunks. The variance is kept as sums of (x - shift), with the slot's first value as
shift: a scatter-add can keep these, unlike Welford's recurrence, and they do not cancel as sums of squares do
(Chan, Golub, LeVeque 1983, "shifted data algorithm").
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]

_CAPACITY_MIN: Final = 256

# Name -> dtype. `shift` is the first value; d1, d2: weighted sums of (x - shift) and its square.
COLUMNS: Final[dict[str, str]] = {
    "series": "i8",
    "unit": "i8",
    "start_ms": "i8",
    "gen": "i8",
    "events": "i8",
    "weight": "f8",
    "sum": "f8",
    "shift": "f8",
    "d1": "f8",
    "d2": "f8",
    "min": "f8",
    "max": "f8",
    "last": "f8",
    "last_ms": "i8",
    "first_offset": "i8",
    "last_offset": "i8",
}


class SlotArrays:
    """Struct of arrays with a free list; `column(name)[slot]` reads a statistic."""

    __slots__ = ("_columns", "_free", "_used", "dirty", "live")

    def __init__(self) -> None:
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(_CAPACITY_MIN, dtype=dtype) for name, dtype in COLUMNS.items()
        }
        self.live = np.zeros(_CAPACITY_MIN, dtype=bool)
        self.dirty = np.zeros(_CAPACITY_MIN, dtype=bool)
        self._free: list[int] = []
        self._used = 0

    def __len__(self) -> int:
        return self._used - len(self._free)

    def column(self, name: str) -> npt.NDArray[Any]:
        """The whole array of one statistic; entries of free slots are meaningless."""
        return self._columns[name]

    def take(self, count: int) -> Slots:
        """`count` slots, marked live; the caller fills their identity columns."""
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = count - len(reused)
        while self._used + fresh > len(self.live):
            self._grow()
        slots = np.array(reused + list(range(self._used, self._used + fresh)), dtype=np.int64)
        self._used += fresh
        self.live[slots] = True
        self.dirty[slots] = True
        for name, dtype in COLUMNS.items():
            self._columns[name][slots] = np.zeros((), dtype=dtype)
        self._columns["min"][slots] = np.inf
        self._columns["max"][slots] = -np.inf
        self._columns["last_ms"][slots] = np.iinfo(np.int64).min
        return slots

    def free(self, slots: Slots) -> None:
        """Gives slots back; their content is gone."""
        self.live[slots] = False
        self.dirty[slots] = False
        self._free.extend(slots.tolist())

    def accumulate(
        self,
        slots: Slots,
        values: Floats,
        weights: Floats | None,
        timestamps_ms: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
    ) -> None:
        """Folds events into their slots. All arrays are in log order; `weights` None means 1 each."""
        columns = self._columns
        delta = values - columns["shift"][slots]
        np.add.at(columns["events"], slots, 1)
        if weights is None:
            np.add.at(columns["weight"], slots, 1.0)
            np.add.at(columns["sum"], slots, values)
            np.add.at(columns["d1"], slots, delta)
            np.add.at(columns["d2"], slots, delta * delta)
        else:
            np.add.at(columns["weight"], slots, weights)
            np.add.at(columns["sum"], slots, values * weights)
            np.add.at(columns["d1"], slots, delta * weights)
            np.add.at(columns["d2"], slots, delta * delta * weights)
        np.minimum.at(columns["min"], slots, values)
        np.maximum.at(columns["max"], slots, values)
        np.maximum.at(columns["last_ms"], slots, timestamps_ms)
        newest = timestamps_ms == columns["last_ms"][slots]
        columns["last"][slots[newest]] = values[newest]  # of equal times the last in log order stays
        columns["last_offset"][slots] = offsets
        self.dirty[slots] = True

    def first_values(self, slots: Slots, values: Floats, offsets: npt.NDArray[np.int64]) -> None:
        """Sets shift and first offset of newly taken slots; of repeated slots the first entry counts."""
        self._columns["shift"][slots[::-1]] = values[::-1]
        self._columns["first_offset"][slots[::-1]] = offsets[::-1]

    def mean_and_m2(self, slots: Slots) -> tuple[Floats, Floats]:
        """Weighted mean, and weighted sum of squared deviations from it (never negative)."""
        weight, shift, d1, d2 = (self._columns[n][slots].astype(np.float64) for n in ("weight", "shift", "d1", "d2"))
        shifted_mean = d1 / weight
        m2 = np.maximum(d2 - d1 * shifted_mean, 0.0)
        low, high = self._columns["min"][slots], self._columns["max"][slots]
        return np.clip(shift + shifted_mean, low, high), m2

    def _grow(self) -> None:
        more = len(self.live) // 2  # as often as doubling within a factor of two, and a third empty at most
        for name, array in self._columns.items():
            self._columns[name] = np.concatenate([array, np.zeros(more, dtype=array.dtype)])
        self.live = np.concatenate([self.live, np.zeros(more, dtype=bool)])
        self.dirty = np.concatenate([self.dirty, np.zeros(more, dtype=bool)])
