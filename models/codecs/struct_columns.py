"""Columns of JSON events that were decoded into structs: one map in C a column, and not one Python step an event.

In: structs, record after record. Out: `Columns`. Never: judges an event; the structs and the dictionaries have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import repeat
from operator import attrgetter
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Raw

from models.codecs.columns import Columns
from models.codecs.dictionaries import LabelIndex, SeriesIndex, UnitLabels
from models.codecs.structs import NO_TAGS, MetricStruct, PlainMetric

_series_key = attrgetter("swarm_id", "agent_id", "metric")
_label_fields = attrgetter("run_id", "unit", "source", "priority", "category", "provenance")
_tags = attrgetter("tags")
_dimensions = attrgetter("dimensions")
_timestamp = attrgetter("timestamp")
_value = attrgetter("value")
_weight = attrgetter("weight")
_unit = attrgetter("unit")
_id = attrgetter("id")


S = TypeVar("S")


class StructColumns(ABC, Generic[S]):
    """Events of one struct type, of many records in one list."""

    def __init__(self, series: SeriesIndex) -> None:
        self._series = series
        self._events: list[S] = []
        self._records: list[int] = []  # the records that gave structs, and how many each
        self._counts: list[int] = []

    def add(self, record: int, found: list[S]) -> None:
        """The events of one record."""
        self._events += found
        self._records.append(record)
        self._counts.append(len(found))

    def add_each(self, first: int, found: list[S]) -> None:
        """One event of each record from `first` on."""
        self._events += found
        self._records += range(first, first + len(found))
        self._counts += repeat(1, len(found))

    def finish(self) -> Columns | None:
        """All rows; series and label are INVALID where one breaks a rule. None without events."""
        events = self._events
        if not events:
            return None
        n = len(events)
        counts = np.array(self._counts, dtype=np.int64)
        return Columns(
            record=np.repeat(np.array(self._records, dtype=np.int32), counts),
            idx=(np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.uint32),
            timestamp_ms=np.fromiter(map(_timestamp, events), np.int64, n),
            value=np.fromiter(map(_value, events), np.float64, n),
            weight=self._weights(events),
            series_idx=np.array(list(map(self._series.__getitem__, map(_series_key, events))), dtype=np.int32),
            label_idx=self._labels_of(events),
            ids=self._ids(events),
            valid=np.ones(n, dtype=np.bool_),
        )

    @abstractmethod
    def _labels_of(self, events: list[S]) -> npt.NDArray[np.int32]: ...

    @abstractmethod
    def _weights(self, events: list[S]) -> npt.NDArray[np.float64]: ...

    @abstractmethod
    def _ids(self, events: list[S]) -> list[str] | None: ...


class PlainColumns(StructColumns[PlainMetric]):
    """Of events whose label is their unit."""

    def __init__(self, series: SeriesIndex, labels: UnitLabels) -> None:
        super().__init__(series)
        self._labels = labels

    def _labels_of(self, events: list[PlainMetric]) -> npt.NDArray[np.int32]:
        units = list(map(_unit, events))
        if units.count("") == len(units):
            return np.full(len(units), self._labels[""], dtype=np.int32)
        return np.array(list(map(self._labels.__getitem__, units)), dtype=np.int32)

    def _weights(self, events: list[PlainMetric]) -> npt.NDArray[np.float64]:
        return np.broadcast_to(np.float64(1.0), (len(events),))

    def _ids(self, events: list[PlainMetric]) -> None:
        return None


class FullColumns(StructColumns[MetricStruct]):
    """Of events with any field."""

    def __init__(self, series: SeriesIndex, labels: LabelIndex) -> None:
        super().__init__(series)
        self._labels = labels

    def _labels_of(self, events: list[MetricStruct]) -> npt.NDArray[np.int32]:
        keys = zip(map(_label_fields, events), _texts(_tags, events), _texts(_dimensions, events), strict=True)
        return np.array(list(map(self._labels.__getitem__, keys)), dtype=np.int32)

    def _weights(self, events: list[MetricStruct]) -> npt.NDArray[np.float64]:
        return np.fromiter(map(_weight, events), np.float64, len(events))

    def _ids(self, events: list[MetricStruct]) -> list[str] | None:
        ids = list(map(_id, events))
        return ids if any(ids) else None


def _texts(get: Callable[[MetricStruct], Raw], events: list[MetricStruct]) -> Iterable[bytes]:
    """The JSON of each event's tags or dimensions; nearly always none has any, and then nothing is converted."""
    raw: list[Any] = list(map(get, events))
    if raw.count(NO_TAGS) == len(raw):  # compares identities first: the default is one object
        return repeat(bytes(NO_TAGS), len(raw))
    return map(bytes, raw)
