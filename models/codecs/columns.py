"""The columnar batch: many records at once, one numpy operation a rule and not one Python step an event.

In: bodies of `application/vnd.murmur.columns+msgpack`. Out: columns over all of them, and the rows that break a rule.
Never: judges a row itself; a row that fails a vector test is handed to `models.codecs.rules` for its code and reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.codecs.records import EVENTS_PER_RECORD_MAX, EventError, show
from models.codecs.structs import ColumnBatch, ColumnHeader
from models.error_codes import ErrorCode
from models.events import ID_LENGTH_MAX, SCHEMA_VERSION, TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, VALUE_ABS_MAX, WEIGHT_MAX

_BATCH: Final = msgspec.msgpack.Decoder(ColumnBatch)
_HEADER: Final = msgspec.msgpack.Decoder(ColumnHeader)

LabelKey = tuple[str, str, str, str, str, str, tuple[tuple[str, str], ...]]  # as sent; tags and no dimensions
Lookup = Callable[[Any], int]  # a key -> its index in the chunk's dictionary, or -1 when it breaks a rule


class Columns(NamedTuple):
    """The rows of all batches, record after record."""

    record: npt.NDArray[np.int32]
    idx: npt.NDArray[np.uint32]
    timestamp_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    series_idx: npt.NDArray[np.int32]
    label_idx: npt.NDArray[np.int32]
    ids: list[str] | None
    valid: npt.NDArray[np.bool_]


def read_batch(body: bytes) -> ColumnBatch:
    """One batch with its layout checked: lengths, types, limits. Index ranges are checked by `ColumnReader`."""
    try:
        batch = _BATCH.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _explain(body, error) from None
    n = batch.n
    for name, width in (("series_idx", 4), ("label_idx", 4), ("dt", 4), ("value", 8), ("weight", 8)):
        column = getattr(batch, name)
        if column is not None and len(column) != n * width:
            raise EventError(ErrorCode.COLUMNS, f"{name}: {len(column)} bytes for n={n} events of {width} bytes")
    if batch.ids is not None and len(batch.ids) != n:
        raise EventError(ErrorCode.COLUMNS, f"ids: {len(batch.ids)} entries for n={n} events")
    return batch


def _explain(body: bytes, error: Exception) -> EventError:
    try:
        header = _HEADER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return EventError(ErrorCode.COLUMNS, f"not a columnar batch: {_one_line(error)}")
    if header.v > SCHEMA_VERSION:
        return EventError(
            ErrorCode.VERSION, f"v: {header.v} is newer than {SCHEMA_VERSION}, the version this worker reads"
        )
    if header.n > EVENTS_PER_RECORD_MAX:
        return EventError(
            ErrorCode.RECORD_TOO_MANY_EVENTS,
            f"n: {header.n} events, at most {EVENTS_PER_RECORD_MAX} fit one record",
        )
    return EventError(ErrorCode.COLUMNS, f"not a columnar batch: {_one_line(error)}")


class ColumnReader:
    """Collects the columnar records of a chunk; `finish` computes over all rows together."""

    def __init__(self, series_of: Lookup, label_of: Lookup) -> None:
        self._series_of = series_of
        self._label_of = label_of
        self._records: list[int] = []
        self._batches: list[ColumnBatch] = []
        self._series: list[int] = []  # local index -> index in the chunk's dictionary, all batches one after another
        self._labels: list[int] = []
        self._series_counts: list[int] = []
        self._label_counts: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, record: int, body: bytes) -> None:
        """Raises EventError(COLUMNS) when the layout is broken; then nothing of the record is kept."""
        batch = read_batch(body)
        strings = batch.strings
        try:
            series = [self._series_of((strings[a], strings[b], strings[c])) for a, b, c in batch.series]
            labels = [self._label_of(label_key(strings, label)) for label in batch.labels]
        except IndexError:
            raise EventError(
                ErrorCode.COLUMNS,
                f"series or labels: an index is not below {len(strings)}, the number of strings",
            ) from None
        check_range("series_idx", batch.series_idx, len(series))
        check_range("label_idx", batch.label_idx, len(labels))
        batch.strings, batch.series, batch.labels = [], [], []  # most of its memory, and now in the dictionaries
        self._records.append(record)
        self._batches.append(batch)
        self._series += series
        self._labels += labels
        self._series_counts.append(len(series))
        self._label_counts.append(len(labels))

    def finish(self) -> Columns:
        """All rows, with `valid` false where a row breaks a rule."""
        batches = self._batches
        counts = np.array([batch.n for batch in batches], dtype=np.int64)
        timestamp = np.repeat(np.array([b.t0 for b in batches], dtype=np.int64), counts)
        timestamp += _join([b.dt for b in batches], "<i4")
        value = _join([b.value for b in batches], "<f8").astype(np.float64)
        weight = self._weights()
        series = _remap(self._series, self._series_counts, _join([b.series_idx for b in batches], "<u4"), counts)
        label = _remap(self._labels, self._label_counts, _join([b.label_idx for b in batches], "<u4"), counts)
        valid = (
            (np.abs(value) <= VALUE_ABS_MAX)  # false for NaN and infinity as well
            & (timestamp >= TIMESTAMP_MS_MIN)
            & (timestamp <= TIMESTAMP_MS_MAX)
            & (weight > 0)
            & (weight <= WEIGHT_MAX)
            & (series >= 0)
            & (label >= 0)
        )
        starts = np.cumsum(counts) - counts
        return Columns(
            record=np.repeat(np.array(self._records, dtype=np.int32), counts),
            idx=(np.arange(len(value)) - np.repeat(starts, counts)).astype(np.uint32),
            timestamp_ms=timestamp,
            value=value,
            weight=weight,
            series_idx=series,
            label_idx=label,
            ids=self._ids(valid),
            valid=valid,
        )

    def _weights(self) -> npt.NDArray[np.float64]:
        if all(batch.weight is None for batch in self._batches):
            # One number seen n times: no weight takes no memory until rows are made of it.
            return np.broadcast_to(np.float64(1.0), (sum(batch.n for batch in self._batches),))
        ones = np.ones(max(batch.n for batch in self._batches), dtype="<f8").tobytes()
        parts = [b.weight if b.weight is not None else ones[: b.n * 8] for b in self._batches]
        return _join(parts, "<f8").astype(np.float64)

    def _ids(self, valid: npt.NDArray[np.bool_]) -> list[str] | None:
        """The producer ids of all rows; marks rows with an impossible id as invalid."""
        if all(batch.ids is None for batch in self._batches):
            return None
        ids: list[str] = []
        for batch in self._batches:
            ids += batch.ids if batch.ids is not None else [""] * batch.n
        if "\x00" in "".join(ids) or max(map(len, ids), default=0) > ID_LENGTH_MAX:
            for row, text in enumerate(ids):
                if len(text) > ID_LENGTH_MAX or "\x00" in text:
                    valid[row] = False
        return ids


def row_event(batch: ColumnBatch, row: int) -> dict[str, Any]:
    """One row as the event it would be in JSON; a value that JSON cannot say stays a float."""
    strings = batch.strings
    swarm_id, agent_id, metric = (strings[i] for i in batch.series[int(np.frombuffer(batch.series_idx, "<u4")[row])])
    run_id, unit, source, priority, category, provenance, tags = label_key(
        strings, batch.labels[int(np.frombuffer(batch.label_idx, "<u4")[row])]
    )
    event: dict[str, Any] = {
        "v": batch.v,
        "swarm_id": swarm_id,
        "agent_id": agent_id,
        "run_id": run_id,
        "timestamp": batch.t0 + int(np.frombuffer(batch.dt, "<i4")[row]),
        "metric": metric,
        "value": float(np.frombuffer(batch.value, "<f8")[row]),
        "unit": unit,
        "source": source,
        "priority": priority,
        "category": category,
        "provenance": provenance,
        "tags": dict(tags),
    }
    if batch.weight is not None:
        event["weight"] = float(np.frombuffer(batch.weight, "<f8")[row])
    if batch.ids is not None:
        event["id"] = batch.ids[row]
    return event


def row_payload(batch: ColumnBatch, row: int) -> bytes:
    """One row re-encoded as JSON (with Python's NaN and Infinity tokens, so that the row stays what it was)."""
    return json.dumps(row_event(batch, row), ensure_ascii=False, separators=(",", ":")).encode()


def label_key(strings: list[str], label: tuple[int, int, int, int, int, int, list[tuple[int, int]]]) -> LabelKey:
    """A label's strings, as sent; '' stands for an absent field, so a closed list takes its default."""
    run, unit, source, priority, category, provenance, tags = label
    return (
        strings[run],
        strings[unit],
        strings[source] or "agent",
        strings[priority] or "medium",
        strings[category],
        strings[provenance] or "measured",
        tuple([(strings[k], strings[v]) for k, v in tags]),
    )


def check_range(name: str, column: memoryview, length: int) -> None:
    """Every little-endian u32 of `column` must be below `length`."""
    if not len(column):
        return
    highest = int(np.frombuffer(column, dtype="<u4").max())
    if highest >= length:
        raise EventError(ErrorCode.COLUMNS, f"{name}: index {highest} is not below {length}, the number of entries")


def _join(parts: list[Any], dtype: str) -> npt.NDArray[Any]:
    return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), dtype=dtype)


def _remap(
    table: list[int], table_counts: list[int], local: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Local indexes of each batch -> indexes of the chunk's dictionary."""
    lengths = np.array(table_counts, dtype=np.int64)
    base = np.repeat(np.cumsum(lengths) - lengths, counts)
    if not len(local):
        return np.empty(0, dtype=np.int32)
    return np.array(table, dtype=np.int32)[base + local]


def _one_line(error: Exception) -> str:
    return show(str(error))[1:-1]
