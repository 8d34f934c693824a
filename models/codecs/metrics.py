"""Metric records -> columns: the hot path.

In: a chunk of raw records, in log order. Out: one `MetricChunk`: numpy columns, their dictionaries, the errors.
Never: raises for bad input, reads a clock, or lets a result depend on how records were cut into chunks.

Two ways lead to the columns. The fast one decodes a whole JSON record into structs and maps over them in C; when
anything in a record is unusual, that record alone is read again by `json_text` and `rules`, which decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from models.codecs import rules
from models.codecs.columns import ColumnReader, Columns, read_batch, row_event, row_payload
from models.codecs.dictionaries import INVALID, Dictionaries, Series, make_label
from models.codecs.envelope import open_envelope
from models.codecs.fast import FastReader
from models.codecs.json_text import read_items
from models.codecs.records import (
    CONTENT_COLUMNS,
    EVENTS_PER_RECORD_MAX,
    WHOLE_RECORD,
    DecodeError,
    EventError,
    ProducerStamp,
    RawRecord,
    error_of,
)
from models.codecs.structs import NO_TAGS, Label, MetricStruct, OpenMetricStruct

_FAST: Final = FastReader(MetricStruct, OpenMetricStruct)

_series_key = attrgetter("swarm_id", "agent_id", "metric")
_label_fields = attrgetter("run_id", "unit", "source", "priority", "category", "provenance")
_tags = attrgetter("tags")
_dimensions = attrgetter("dimensions")
_timestamp = attrgetter("timestamp")
_value = attrgetter("value")
_weight = attrgetter("weight")
_id = attrgetter("id")


@dataclass(slots=True)
class MetricChunk:
    """The valid events of a chunk, in log order, and what was wrong with the others."""

    n: int
    record: npt.NDArray[np.int32]  # index into the decoded records
    idx: npt.NDArray[np.uint32]  # position in the record + 65,536 * leaf of an object value
    timestamp_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    series: list[Series]  # (swarm_id, agent_id, metric); also of other chunks, and it grows: never change it
    series_idx: npt.NDArray[np.int32]
    labels: list[Label]  # likewise
    label_idx: npt.NDArray[np.int32]
    ids: list[str] | None  # None: no event of the chunk carries an id
    errors: list[DecodeError]  # by record, then position
    producers: list[ProducerStamp | None]  # one a record


def decode_metrics(records: Sequence[RawRecord], dictionaries: Dictionaries | None = None) -> MetricChunk:
    """Decodes a chunk of records of the metrics topic.

    `dictionaries` keep what earlier chunks have looked up; None: start with empty ones.
    """
    return _Decoding(records, dictionaries or Dictionaries()).run()


@dataclass(slots=True)
class _Slow:
    """The valid events of one record that was read by the rules."""

    idx: list[int]
    fields: list[rules.Fields]


class _Decoding:
    """One chunk under way. Structs of all JSON records stand in one list, so that columns are cut from it in C."""

    def __init__(self, records: Sequence[RawRecord], dictionaries: Dictionaries) -> None:
        dictionaries.trim()
        self.records = records
        self.series = dictionaries.series
        self.labels = dictionaries.labels
        self.columns = ColumnReader(self.series.__getitem__, self.labels.of_pairs)
        self.errors: list[DecodeError] = []
        self.producers: list[ProducerStamp | None] = [None] * len(records)
        self.events: list[MetricStruct] = []
        self.event_records: list[int] = []  # the records that gave structs, and how many each
        self.event_counts: list[int] = []
        self.bodies: dict[int, tuple[bytes, str]] = {}  # of records whose envelope was not trivial
        self.slow: dict[int, _Slow] = {}

    def run(self) -> MetricChunk:
        for index, record in enumerate(self.records):
            try:
                self._read(index, record)
            except EventError as error:
                self.errors.append(error_of(record, index, WHOLE_RECORD, error, record.value or b""))
        parts = [part for part in (self._struct_part(), self._slow_part(), self._column_part()) if part is not None]
        self.errors.sort(key=lambda error: (error.record, error.idx))
        return self._chunk(_merge(parts))

    def _read(self, index: int, record: RawRecord) -> None:
        content_type, body, self.producers[index] = open_envelope(record)
        if content_type == CONTENT_COLUMNS:
            self.columns.add(index, body)
        else:
            if record.headers:
                self.bodies[index] = (body, content_type)
            found = _FAST.read(body, content_type)
            if found is None:
                self._read_slow(index, body, content_type)
            elif found.__class__ is list:
                self.events += found
                self.event_records.append(index)
                self.event_counts.append(len(found))
            else:
                self.events.append(found)
                self.event_records.append(index)
                self.event_counts.append(1)

    def _read_slow(self, index: int, body: bytes, content_type: str) -> None:
        slow = _Slow([], [])
        for position, item in enumerate(read_items(body, content_type)):
            try:
                if item.error is not None:
                    raise item.error
                found = rules.check_metric(item.value)
            except EventError as error:
                self.errors.append(error_of(self.records[index], index, position, error, item.text.encode()))
                continue
            slow.idx += [position + EVENTS_PER_RECORD_MAX * leaf for leaf in range(len(found))]
            slow.fields += found
        self.slow[index] = slow

    def _struct_part(self) -> Columns | None:
        """Columns of the structs; a record with a series or label that breaks a rule goes the slow way instead."""
        events = self.events
        if not events:
            return None
        series = np.array(list(map(self.series.__getitem__, map(_series_key, events))), dtype=np.int32)
        label_keys = zip(map(_label_fields, events), _texts(_tags, events), _texts(_dimensions, events), strict=True)
        label = np.array(list(map(self.labels.__getitem__, label_keys)), dtype=np.int32)
        counts = np.array(self.event_counts, dtype=np.int64)
        record = np.repeat(np.array(self.event_records, dtype=np.int32), counts)
        n = len(events)
        ids = list(map(_id, events))
        columns = Columns(
            record=record,
            idx=(np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.uint32),
            timestamp_ms=np.fromiter(map(_timestamp, events), np.int64, n),
            value=np.fromiter(map(_value, events), np.float64, n),
            weight=np.fromiter(map(_weight, events), np.float64, n),
            series_idx=series,
            label_idx=label,
            ids=ids if any(ids) else None,
            valid=np.ones(n, dtype=np.bool_),
        )
        if series.min() == INVALID or label.min() == INVALID:
            columns = self._without_refused(columns)
        return columns

    def _without_refused(self, columns: Columns) -> Columns:
        refused = np.unique(columns.record[(columns.series_idx == INVALID) | (columns.label_idx == INVALID)])
        for index in refused.tolist():
            body, content_type = self.bodies.get(index) or (self.records[index].value or b"", "")
            try:
                self._read_slow(index, body, content_type)
            except EventError as error:
                record = self.records[index]
                self.errors.append(error_of(record, index, WHOLE_RECORD, error, record.value or b""))
        return _take(columns, ~np.isin(columns.record, refused))

    def _slow_part(self) -> Columns | None:
        rows = [
            (index, idx, f) for index, slow in self.slow.items() for idx, f in zip(slow.idx, slow.fields, strict=True)
        ]
        if not rows:
            return None
        ids = [f["id"] for _, _, f in rows]
        return Columns(
            record=np.array([index for index, _, _ in rows], dtype=np.int32),
            idx=np.array([idx for _, idx, _ in rows], dtype=np.uint32),
            timestamp_ms=np.array([f["timestamp"] for _, _, f in rows], dtype=np.int64),
            value=np.array([f["value"] for _, _, f in rows], dtype=np.float64),
            weight=np.array([f["weight"] for _, _, f in rows], dtype=np.float64),
            series_idx=np.array(
                [self.series[f["swarm_id"], f["agent_id"], f["metric"]] for _, _, f in rows], dtype=np.int32
            ),
            label_idx=np.array([self.labels.add(_label(f)) for _, _, f in rows], dtype=np.int32),
            ids=ids if any(ids) else None,
            valid=np.ones(len(rows), dtype=np.bool_),
        )

    def _column_part(self) -> Columns | None:
        if not self.columns:
            return None
        columns = self.columns.finish()
        if columns.valid.all():
            return columns
        bad = np.flatnonzero(~columns.valid)
        self._report_rows(columns.record[bad].tolist(), columns.idx[bad].tolist())
        return _take(columns, columns.valid)

    def _report_rows(self, records: list[int], rows: list[int]) -> None:
        batch, last = None, -1
        for index, row in zip(records, rows, strict=True):
            if batch is None or index != last:
                batch, last = read_batch(open_envelope(self.records[index]).body), index
            try:
                rules.check_metric(row_event(batch, row))
            except EventError as error:
                payload = row_payload(batch, row)
                self.errors.append(error_of(self.records[index], index, row, error, payload))
            else:
                raise AssertionError(f"record {index} row {row}: refused by the columns, accepted by the rules")

    def _chunk(self, columns: Columns) -> MetricChunk:
        return MetricChunk(
            n=len(columns.record),
            record=columns.record,
            idx=columns.idx,
            timestamp_ms=columns.timestamp_ms,
            value=columns.value,
            weight=columns.weight,
            series=self.series.entries,
            series_idx=columns.series_idx,
            labels=self.labels.entries,
            label_idx=columns.label_idx,
            ids=columns.ids,
            errors=self.errors,
            producers=self.producers,
        )


def _texts(get: Callable[[MetricStruct], msgspec.Raw], events: list[MetricStruct]) -> Iterable[bytes]:
    """The JSON of each event's tags or dimensions; nearly always none has any, and then nothing is converted."""
    raw = list(map(get, events))
    if raw.count(NO_TAGS) == len(raw):  # compares identities first: the default is one object
        return repeat(bytes(NO_TAGS), len(raw))
    return map(bytes, raw)


def _label(fields: rules.Fields) -> Label:
    return make_label(
        (
            fields["run_id"],
            fields["unit"],
            fields["source"],
            fields["priority"],
            fields["category"],
            fields["provenance"],
        ),
        fields["tags"],
        fields["dimensions"],
    )


def _merge(parts: list[Columns]) -> Columns:
    """All parts in log order. Within a record all events come from one part, already in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _EMPTY
    with_ids = any(part.ids is not None for part in parts)
    ids = [text for p in parts for text in (p.ids or [""] * len(p.record))] if with_ids else None
    together = Columns(
        record=np.concatenate([part.record for part in parts]),
        idx=np.concatenate([part.idx for part in parts]),
        timestamp_ms=np.concatenate([part.timestamp_ms for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        series_idx=np.concatenate([part.series_idx for part in parts]),
        label_idx=np.concatenate([part.label_idx for part in parts]),
        ids=ids,
        valid=np.concatenate([part.valid for part in parts]),
    )
    return _take(together, np.argsort(together.record, kind="stable"))


def _take(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    """The given rows: a boolean mask, or positions."""
    positions = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    ids = None
    if columns.ids is not None:
        ids = [columns.ids[row] for row in positions.tolist()]
        ids = ids if any(ids) else None
    return Columns(
        record=columns.record[positions],
        idx=columns.idx[positions],
        timestamp_ms=columns.timestamp_ms[positions],
        value=columns.value[positions],
        weight=columns.weight[positions],
        series_idx=columns.series_idx[positions],
        label_idx=columns.label_idx[positions],
        ids=ids,
        valid=columns.valid[positions],
    )


_EMPTY: Final = Columns(
    record=np.empty(0, dtype=np.int32),
    idx=np.empty(0, dtype=np.uint32),
    timestamp_ms=np.empty(0, dtype=np.int64),
    value=np.empty(0, dtype=np.float64),
    weight=np.empty(0, dtype=np.float64),
    series_idx=np.empty(0, dtype=np.int32),
    label_idx=np.empty(0, dtype=np.int32),
    ids=None,
    valid=np.empty(0, dtype=np.bool_),
)
