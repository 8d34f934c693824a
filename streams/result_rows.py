"""Turns windows and errors of the fold into Arrow tables with the columns of models.rows.

In: window rows, decode errors. Out: Arrow tables. Never: decides anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.codecs.records import DecodeError, RawRecord
from models.rows import DEAD_LETTERS, SWARM_WINDOWS, WINDOWS
from models.windows.operator import WindowRows
from models.windows.rollup import roll_up
from streams.interning import Interner, Series

VERSION_SHIFT: Final = 48  # ver = fold version << 48 | offset: 65,536 fold versions, 2**48 offsets a partition


@dataclass(frozen=True, slots=True)
class Origin:
    """Which log rows come from, and which fold made them."""

    log_id: str
    topic: str
    partition: int
    fold_version: int

    def columns(self, n: int) -> dict[str, pa.Array]:
        """The origin columns, repeated n times."""
        return {
            "log_id": constant(self.log_id, n),
            "topic": constant(self.topic, n),
            "partition": pa.array(np.full(n, self.partition, dtype=np.uint16)),
        }

    def row_id(self, *parts: str) -> str:
        """Names one row of this origin: the same for every reading of the log, 32 hex digits."""
        identity = (self.log_id, self.topic, str(self.partition), str(self.fold_version), *parts)
        return hashlib.blake2b("\0".join(identity).encode(), digest_size=16).hexdigest()

    def fields(self, offset: int) -> dict[str, Any]:
        """Origin and version of one row that rests on the log up to `offset`."""
        return {
            "log_id": self.log_id,
            "topic": self.topic,
            "partition": self.partition,
            "fold_version": self.fold_version,
            "ver": int(self.versions(np.array([offset]))[0]),
        }

    def versions(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """`ver` of rows that rest on the log up to these offsets."""
        return (np.uint64(self.fold_version) << np.uint64(VERSION_SHIFT)) | offsets.astype(np.uint64)


def constant(text: str, n: int) -> pa.DictionaryArray:
    """One string repeated n times."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([text], pa.string()))


def coded(codes: npt.NDArray[Any], texts: Sequence[str]) -> pa.DictionaryArray:
    """Strings by position in `texts`, which may repeat; the dictionary holds each distinct one once."""
    distinct: dict[str, int] = {}
    place = np.array([distinct.setdefault(t, len(distinct)) for t in texts], dtype=np.int32)
    indices = place[codes] if len(texts) else np.empty(0, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(list(distinct), pa.string()))


def times(epoch_ms: npt.NDArray[np.int64]) -> pa.Array:
    """Epoch milliseconds as an Arrow timestamp."""
    return pa.array(epoch_ms.astype(np.int64)).cast(pa.timestamp("ms", tz="UTC"))


def tag_maps(tags: Sequence[Sequence[tuple[str, str]]]) -> pa.Array:
    """One map a row."""
    return pa.array([list(t) for t in tags], type=pa.map_(pa.string(), pa.string()))


def window_rows(
    rows: WindowRows,
    origin: Origin,
    series: Interner[Series],
    units: Interner[str],
    *,
    closed_offsets: npt.NDArray[np.int64] | None,
) -> pa.Table:
    """Rows of `windows`. closed_offsets: per row, the offset that closed it; None for windows still open."""
    c, n = rows.columns, len(rows)
    ids, place = np.unique(c["series"], return_inverse=True)
    names = [series.keys[i] for i in ids.tolist()]
    late = c["gen"] > 0
    # A late generation belongs to a window the watermark has passed: it is closed from its first row on, and its
    # newest row is the one with the newest event.
    last = c["last_offset"] if closed_offsets is None else np.where(late, c["last_offset"], closed_offsets)
    closed = late if closed_offsets is None else np.ones(n, dtype=bool)
    columns = {
        "swarm_id": coded(place, [s[0] for s in names]),
        "agent_id": coded(place, [s[1] for s in names]),
        "metric": coded(place, [s[2] for s in names]),
        "window_ms": pa.array(np.full(n, rows.spec.size_ms, dtype=np.uint32)),
        "window_start": times(c["start_ms"]),
        **origin.columns(n),
        "gen": pa.array(c["gen"].astype(np.uint64)),
        "fold_version": pa.array(np.full(n, origin.fold_version, dtype=np.uint16)),
        "unit": coded(c["unit"], units.keys),
        "events": pa.array(c["events"].astype(np.uint64)),
        "weight_sum": pa.array(c["weight"]),
        **{name: pa.array(c[name]) for name in ("sum", "min", "max", "mean", "m2", "last")},
        "last_at": times(c["last_ms"]),
        "sketch_keys": pa.ListArray.from_arrays(
            pa.array(rows.sketch_offsets.astype(np.int32)), pa.array(rows.sketch_keys)
        ),
        "sketch_counts": pa.ListArray.from_arrays(
            pa.array(rows.sketch_offsets.astype(np.int32)), pa.array(rows.sketch_counts.astype(np.uint64))
        ),
        "closed": pa.array(closed.astype(np.uint8)),
        "ver": pa.array(origin.versions(last)),
    }
    return pa.table([columns[f.name] for f in WINDOWS], schema=WINDOWS)


def swarm_window_rows(
    rows: WindowRows,
    origin: Origin,
    series: Interner[Series],
    units: Interner[str],
    *,
    closed_offset_of_start: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None,
) -> pa.Table:
    """Rows of `swarm_windows` from on-time rows of the swarms' agents, complete groups only.

    closed_offset_of_start: for windows that have closed, the offset that closed the one starting then.
    """
    ids, place = np.unique(rows.columns["series"], return_inverse=True)
    names = [series.keys[i] for i in ids.tolist()]
    groups = sorted({(swarm, metric) for swarm, _, metric in names})
    number = {name: i for i, name in enumerate(groups)}
    group = np.array([number[swarm, metric] for swarm, _, metric in names], dtype=np.int64)
    rank = np.argsort(np.argsort(np.array([f"{s[1]}" for s in names], dtype=object), kind="stable"), kind="stable")
    merged, members = roll_up(rows, group[place], rank[place])
    swarms: Interner[Series] = Interner([(swarm, "", metric) for swarm, metric in groups])
    closed = None if closed_offset_of_start is None else closed_offset_of_start(merged.columns["start_ms"])
    table = window_rows(merged, origin, swarms, units, closed_offsets=closed)
    return table.drop_columns(["agent_id", "gen"]).append_column(
        SWARM_WINDOWS.field("agents"), pa.array(members.astype(np.uint32))
    )


def dead_letter_rows(errors: Sequence[DecodeError], records: Sequence[RawRecord], origin: Origin) -> pa.Table:
    """Rows of `dead_letters`."""
    rows = [
        {
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": records[e.record].offset,
            "idx": e.idx,
            "log_id": origin.log_id,
            "error_code": str(e.code),
            "reason": e.reason,
            "payload": e.payload,
            "payload_bytes": e.payload_bytes,
            "content_type": e.content_type,
            "appended_at": records[e.record].timestamp_ms,
        }
        for e in errors
    ]
    return pa.Table.from_pylist(rows, schema=DEAD_LETTERS)


def record_columns(records: Sequence[RawRecord]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(offset, append time in epoch ms) of each record."""
    return (
        np.array([r.offset for r in records], dtype=np.int64),
        np.array([r.timestamp_ms for r in records], dtype=np.int64),
    )
