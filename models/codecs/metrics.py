"""Metric records -> columns: the hot path.

In: a chunk of raw records, in log order. Out: one `MetricChunk`: numpy columns, their dictionaries, the errors.
Never: raises for bad input, reads a clock, or lets a result depend on how records were cut into chunks.

Two ways lead to the columns. The fast one decodes whole JSON records into structs, those of one event many at a time,
and maps over them in C; when anything in a record is unusual, that record alone is read again by `json_text` and
`rules`, which decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from models.codecs.struct_columns import FullColumns, PlainColumns
from models.codecs.structs import Label, MetricStruct, OpenMetricStruct, PlainMetric

_FAST: Final = FastReader(MetricStruct, OpenMetricStruct, PlainMetric)
# Records of one event each that are decoded in one go. One that is unusual sends so many to be read one by one.
TOGETHER: Final = 64
TOGETHER_BYTES_MAX: Final = 1 << 20  # below RECORD_BYTES_MAX, so that none of them can be too large


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
    """One chunk under way."""

    def __init__(self, records: Sequence[RawRecord], dictionaries: Dictionaries) -> None:
        dictionaries.trim()
        self.records = records
        self.series = dictionaries.series
        self.labels = dictionaries.labels
        self.columns = ColumnReader(self.series.__getitem__, self.labels.of_pairs)
        self.errors: list[DecodeError] = []
        self.producers: list[ProducerStamp | None] = [None] * len(records)
        self.plain = PlainColumns(self.series, dictionaries.unit_labels)
        self.full = FullColumns(self.series, self.labels)
        self.bodies: dict[int, tuple[bytes, str]] = {}  # of records whose envelope was not trivial
        self.slow: dict[int, _Slow] = {}

    def run(self) -> MetricChunk:
        for start in range(0, len(self.records), TOGETHER):
            group = self.records[start : start + TOGETHER]
            if not self._read_together(start, group):
                self._read_each(start, group)
        parts = [self._checked(self.plain), self._checked(self.full), self._slow_part(), self._column_part()]
        self.errors.sort(key=lambda error: (error.record, error.idx))
        return self._chunk(_merge([part for part in parts if part is not None]))

    def _read_together(self, first: int, group: Sequence[RawRecord]) -> bool:
        """Whether the records are one JSON event each, and nothing is unusual about any of them."""
        if any(record.headers for record in group):
            return False
        bodies = [record.value or b"" for record in group]
        if not all(bodies) or sum(map(len, bodies)) > TOGETHER_BYTES_MAX:
            return False
        found = _FAST.read_together(bodies)
        if found is None:
            return False
        (self.plain if found[0].__class__ is PlainMetric else self.full).add_each(first, found)
        return True

    def _read_each(self, first: int, group: Sequence[RawRecord]) -> None:
        for index, record in enumerate(group, first):
            try:
                self._read(index, record)
            except EventError as error:
                self.errors.append(error_of(record, index, WHOLE_RECORD, error, record.value or b""))

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
                return
            events = found if found.__class__ is list else [found]
            plain = events and events[0].__class__ is PlainMetric
            (self.plain if plain else self.full).add(index, events)

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

    def _checked(self, structs: PlainColumns | FullColumns) -> Columns | None:
        """Columns of the structs; a record with a series or label that breaks a rule goes the slow way instead."""
        columns = structs.finish()
        if columns is None or (columns.series_idx.min() != INVALID and columns.label_idx.min() != INVALID):
            return columns
        return self._without_refused(columns)

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
