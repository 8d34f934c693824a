"""Turns the accepted events of a flush into one Arrow table of `metrics`, in the table's own order.

In: accepted events as the fold kept them, chunk by chunk. Out: an Arrow table. Never: decides anything, drops a row.

The rows leave sorted by the sorting key of the table: ClickHouse notices and does not sort them again, which would
cost more than everything else it does with a row (docs/adr/0010-rows-leave-sorted.md). The order is found on integers
made from the few distinct series, and never on strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.codecs.structs import Label
from models.rows import METRICS
from streams.accepted import AcceptedEvents
from streams.interning import Series
from streams.result_rows import Origin, coded, tag_maps, times

HOUR_MS: Final = 3_600_000  # of toStartOfHour(timestamp) in the sorting key
_MS_BITS: Final = HOUR_MS.bit_length()
_KEY_BITS: Final = 63

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Accepted events of one chunk, and what is known of their records; about 40 bytes an event."""

    events: AcceptedEvents
    offsets: Ints  # of each record
    appended_ms: Ints  # likewise
    unit: npt.NDArray[np.int32]  # position of each event's unit in `units`
    units: Sequence[str]

    def __len__(self) -> int:
        return len(self.events)


def metric_rows(stored: Sequence[StoredEvents], origin: Origin) -> pa.Table:
    """Rows of `metrics` of all chunks, sorted as far as their chunks share dictionaries (nearly always)."""
    tables = [_table(run, origin) for run in _runs(stored)]
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _runs(stored: Sequence[StoredEvents]) -> Iterator[list[StoredEvents]]:
    """Consecutive chunks whose positions point into the same lists."""

    def lists(chunk: StoredEvents) -> tuple[int, int, int]:
        return id(chunk.events.series), id(chunk.events.labels), id(chunk.units)

    for _, run in groupby(stored, key=lists):
        yield list(run)


def _table(run: list[StoredEvents], origin: Origin) -> pa.Table:
    series_idx = _joined(run, lambda c: c.events.series_idx)
    timestamp_ms = _joined(run, lambda c: c.events.timestamp_ms)
    names, rank = _ranked(run[0].events.series, series_idx)
    order = _order(names, rank, timestamp_ms)
    rank, timestamp_ms = rank[order], timestamp_ms[order]
    n = len(order)

    def column(get: Callable[[StoredEvents], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return _joined(run, get)[order]

    labels, label = _used(run[0].events.labels, column(lambda c: c.events.label_idx))

    def by_label(get: Callable[[Label], str]) -> pa.DictionaryArray:
        return coded(label, [get(one) for one in labels])

    units, unit = _used(run[0].units, column(lambda c: c.unit))
    columns = {
        "swarm_id": coded(rank, [s[0] for s in names]),
        "agent_id": coded(rank, [s[1] for s in names]),
        "run_id": by_label(lambda one: one.run_id),
        "metric": coded(rank, [s[2] for s in names]),
        "timestamp": times(timestamp_ms),
        "value": pa.array(column(lambda c: c.events.value)),
        "unit": coded(unit, units),
        "tags": _tags(labels, label),
        "weight": pa.array(column(lambda c: c.events.weight)),
        "source": by_label(lambda one: one.source),
        "priority": by_label(lambda one: one.priority),
        "category": by_label(lambda one: one.category),
        "provenance": by_label(lambda one: one.provenance),
        "event_id": _event_ids(run, order),
        "appended_at": times(column(lambda c: c.appended_ms[c.events.record])),
        **origin.columns(n),
        "offset": pa.array(column(lambda c: c.offsets[c.events.record]).astype(np.uint64)),
        "idx": pa.array(column(lambda c: c.events.idx)),
    }
    return pa.table([columns[f.name] for f in METRICS], schema=METRICS)


def _ranked(series: Sequence[Series], series_idx: npt.NDArray[np.int32]) -> tuple[list[Series], Ints]:
    """(names of the used series in sorting order, each event's position among them)."""
    used = np.flatnonzero(np.bincount(series_idx, minlength=1))
    names = [series[i] for i in used.tolist()]
    # Code points sort as their UTF-8 bytes do, and so as ClickHouse compares strings.
    order = sorted(range(len(names)), key=lambda i: (names[i][0], names[i][2], names[i][1]))
    rank = np.zeros(int(used[-1]) + 1, dtype=np.int64)
    rank[used[order]] = np.arange(len(order))
    return [names[i] for i in order], rank[series_idx]


def _order(names: Sequence[Series], rank: Ints, timestamp_ms: Ints) -> Ints:
    """Positions in the order of (swarm, metric, hour, agent, timestamp, place in the log)."""
    hour, ms = np.divmod(timestamp_ms, HOUR_MS)
    group, groups = rank, len(names)
    if hour.min() != hour.max():
        kind = {name: i for i, name in enumerate(dict.fromkeys((s[0], s[2]) for s in names))}
        swarm_metric = np.array([kind[s[0], s[2]] for s in names], dtype=np.int64)[rank]
        by_hour = np.lexsort((rank, hour, swarm_metric))
        changes = (np.diff(rank[by_hour]) != 0) | (np.diff(hour[by_hour]) != 0)
        group = np.empty(len(rank), dtype=np.int64)
        group[by_hour] = np.concatenate([[0], np.cumsum(changes)])
        groups = int(group.max()) + 1
    place_bits = len(rank).bit_length()
    if groups.bit_length() + _MS_BITS + place_bits > _KEY_BITS:
        order: Ints = np.lexsort((timestamp_ms, group))
        return order
    # One number an event with its place in the lowest bits: sorting numbers is many times faster than an argsort.
    keys = (group << (_MS_BITS + place_bits)) | (ms << place_bits) | np.arange(len(rank))
    keys.sort()
    return keys & ((1 << place_bits) - 1)


def _used(entries: Sequence[Any], positions: npt.NDArray[Any]) -> tuple[list[Any], Ints]:
    """The entries that are pointed at, and the positions among them."""
    used = np.flatnonzero(np.bincount(positions, minlength=1))
    place = np.zeros(int(used[-1]) + 1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return [entries[i] for i in used.tolist()], place[positions]


def _tags(labels: Sequence[Label], label: Ints) -> pa.Array:
    if any(one.tags for one in labels):
        return tag_maps([one.tags for one in labels]).take(pa.array(label))
    nothing = pa.array([], pa.string())
    return pa.MapArray.from_arrays(pa.array(np.zeros(len(label) + 1, dtype=np.int32)), nothing, nothing)


def _event_ids(run: list[StoredEvents], order: Ints) -> pa.Array:
    if all(chunk.events.ids is None for chunk in run):
        zeros = pa.py_buffer(np.zeros(len(order) + 1, dtype=np.int32))
        return pa.Array.from_buffers(pa.string(), len(order), [None, zeros, pa.py_buffer(b"")])
    ids = [text for chunk in run for text in (chunk.events.ids or [""] * len(chunk))]
    return pa.array([ids[i] for i in order.tolist()], pa.string())


def _joined(run: list[StoredEvents], get: Callable[[StoredEvents], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return get(run[0]) if len(run) == 1 else np.concatenate([get(chunk) for chunk in run])
