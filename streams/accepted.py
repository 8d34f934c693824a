"""Accepted metric events of one chunk, as columns: the common form of published metrics and projected ones.

In: decoded metric events, or metrics projected from activities. Out: columns in log order.
Never: an event that was refused or seen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.codecs.structs import Label
from streams.interning import Series


@dataclass(slots=True)
class AcceptedEvents:
    """Columns in log order. `series` and `labels` are dictionaries; other chunks may share them, and they grow."""

    record: npt.NDArray[np.int32]  # index into the chunk's records
    idx: npt.NDArray[np.uint32]
    timestamp_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    series: Sequence[Series]
    series_idx: npt.NDArray[np.int32]
    labels: Sequence[Label]
    label_idx: npt.NDArray[np.int32]
    ids: Sequence[str] | None

    def __len__(self) -> int:
        return len(self.record)

    def keep(self, mask: npt.NDArray[np.bool_]) -> AcceptedEvents:
        """The events where `mask` is true."""
        if mask.all():
            return self
        ids = None if self.ids is None else [i for i, kept in zip(self.ids, mask.tolist(), strict=True) if kept]
        return AcceptedEvents(
            self.record[mask],
            self.idx[mask],
            self.timestamp_ms[mask],
            self.value[mask],
            self.weight[mask],
            self.series,
            self.series_idx[mask],
            self.labels,
            self.label_idx[mask],
            ids,
        )
