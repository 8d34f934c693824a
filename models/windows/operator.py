"""The windows of one kind in one partition: add events, advance the watermark, read rows, save and restore.

In: columns of accepted events in log order, with the watermark that stood before each event's record.
Out: `WindowRows` (open and dirty, or just closed). Never: drops a late event, depends on chunk boundaries.

A window closes when the watermark reaches its end + allowed lateness. A late event after that opens a new
generation of the same window: its own slot and row, merged with the others where rows are read. A generation stays
open for LATE_HOLD_OFFSETS offsets of the log, so that a bulk import of history costs one row a window, not one an
event. An event that is on time and finds no room for its window (see `room`) goes the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.windows.assign import WindowSpec
from models.windows.room import Filling, Overflow, Room, Windows
from models.windows.sketch import keys_of, units_of
from models.windows.sketches import SlotSketches
from models.windows.slots import COLUMNS, SlotArrays, Slots

LATE_HOLD_OFFSETS: Final = 4_096  # offsets a late generation stays open: minutes of a quiet log, an import's whole run
LATE_OPEN_MAX: Final = 100_000  # open late generations a partition; the oldest closes first (about 20 MB of state)
_TAKEN_AT_ONCE: Final = 1_024  # slots for generations; those left over are given back
_KEY_SHIFT: Final = 33  # window ordinals are < 2**33 (ms since 1970 up to 2100, steps >= 1 s), series ids < 2**30
_NONE: Final = -1  # no slot
NO_START: Final = int(np.iinfo(np.int64).max)  # of no window: later than every start

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EventColumns:
    """Accepted events of a chunk, in log order. `series` are the partition's ids; `weight` None means 1 each."""

    series: Ints
    timestamp_ms: Ints
    value: Floats
    weight: Floats | None
    unit: Ints  # the partition's ids of the units; a window keeps the unit of its first event
    offset: Ints  # of the event's record
    watermark_before_ms: Ints  # the watermark before the event's record

    @cached_property
    def sketch_keys(self) -> npt.NDArray[np.int32]:
        """The sketch bucket of each value, computed once for all kinds of windows."""
        return keys_of(self.value)

    def repeat(self, times: int) -> EventColumns:
        """Each event `times` times in a row."""
        return EventColumns(
            series=np.repeat(self.series, times),
            timestamp_ms=np.repeat(self.timestamp_ms, times),
            value=np.repeat(self.value, times),
            weight=None if self.weight is None else np.repeat(self.weight, times),
            unit=np.repeat(self.unit, times),
            offset=np.repeat(self.offset, times),
            watermark_before_ms=np.repeat(self.watermark_before_ms, times),
        )


@dataclass(frozen=True, slots=True)
class WindowRows:
    """Rows of windows, one array a column, plus the sketches as (offsets, keys, counts) runs.

    Columns: those of `slots.COLUMNS` without `shift`, `d1`, `d2`, and with `mean` and `m2`.
    """

    spec: WindowSpec
    columns: dict[str, npt.NDArray[Any]]
    sketch_offsets: Ints
    sketch_keys: npt.NDArray[np.int32]
    sketch_counts: Ints

    def __len__(self) -> int:
        return len(self.columns["series"])

    def keep(self, mask: npt.NDArray[np.bool_]) -> WindowRows:
        """The rows where `mask` is true."""
        if mask.all():
            return self
        lengths = np.diff(self.sketch_offsets)
        entries = np.repeat(mask, lengths)
        return WindowRows(
            self.spec,
            {name: column[mask] for name, column in self.columns.items()},
            np.concatenate([[0], np.cumsum(lengths[mask])]),
            self.sketch_keys[entries],
            self.sketch_counts[entries],
        )


class WindowOperator:
    """All windows of one spec in one partition."""

    def __init__(self, spec: WindowSpec, *, allowed_lateness_ms: int, open_max: int) -> None:
        """`open_max`: windows that are open on time at once; the events of others become generations."""
        self.spec = spec
        self._lateness_ms = allowed_lateness_ms
        self.slots = SlotArrays()
        self._sketches = SlotSketches()
        self._open: dict[int, int] = {}  # series << 33 | ordinal -> slot
        self._room = Room(open_max, span_ms=spec.size_ms + allowed_lateness_ms)
        self._late: OrderedDict[int, int] = OrderedDict()  # the same for generations, in order of opening
        self._closing: list[int] = []  # generations that gave way within the current chunk
        self._earliest_ms = NO_START  # no window that is open on time starts before this

    def __len__(self) -> int:
        return len(self._open) + len(self._late)

    @property
    def generations(self) -> int:
        """How many of the open windows are generations; at most LATE_OPEN_MAX and those of one record."""
        return len(self._late)

    def add(self, events: EventColumns) -> Overflow:
        """Folds the events into every window that holds them."""
        starts = self.spec.newest_starts(events.timestamp_ms)
        hops = self.spec.windows_per_event
        if hops > 1:
            # Every event once a window, event by event: a slot must see its events in log order.
            starts = np.repeat(starts, hops) - np.tile(np.arange(hops)[::-1] * self.spec.step_ms, len(starts))
            events = events.repeat(hops)
        overflow = Overflow()
        slots = self._assign(events, starts, overflow)
        self.slots.accumulate(slots, events.value, events.weight, events.timestamp_ms, events.offset)
        self._sketches.add(slots, events.sketch_keys, None if events.weight is None else units_of(events.weight))
        return overflow

    def is_late(self, events: EventColumns) -> npt.NDArray[np.bool_]:
        """Whether the newest window of each event had closed before the event's record."""
        ends = self.spec.newest_starts(events.timestamp_ms) + (self.spec.size_ms + self._lateness_ms)
        return ends <= events.watermark_before_ms

    def close(self, watermark_ms: int, next_offset: int) -> WindowRows | None:
        """Takes out every window the watermark has passed and every late generation whose hold is over."""
        over = self._over(watermark_ms)
        for key in self._keys(over):
            del self._open[key]
        self._room.forget_passed(watermark_ms)
        self._expire_late(next_offset)
        late = np.array(self._closing, dtype=np.int64)
        self._closing = []
        slots = np.concatenate([over, late])
        if not len(slots):
            return None
        # A late generation's row is final as soon as it stands: it is written again only when it changed.
        changed = np.concatenate([over, late[self.slots.dirty[late]]])
        rows = self._rows(changed[self._canonical_order(changed)])
        self._sketches.drop(slots)
        self.slots.free(slots)
        return rows

    def _over(self, watermark_ms: int) -> Slots:
        """Slots of the windows on time that the watermark has passed; most chunks pass none, and look at none."""
        last_start_ms = watermark_ms - self.spec.size_ms - self._lateness_ms
        if self._earliest_ms > last_start_ms:
            return np.empty(0, dtype=np.int64)
        on_time = self._on_time()
        starts = self.slots.column("start_ms")[on_time]
        over = starts <= last_start_ms
        self._earliest_ms = int(starts[~over].min(initial=NO_START))
        return on_time[over]

    def dirty_rows(self) -> WindowRows | None:
        """Rows of open windows that changed since the last call; they count as clean afterwards."""
        slots = np.flatnonzero(self.slots.dirty & self.slots.live)
        if not len(slots):
            return None
        self.slots.dirty[slots] = False
        return self._rows(slots)

    def groups_of_dirty(self, group_of_series: Ints) -> WindowRows | None:
        """All on-time rows of every (group, window) in which an open window changed; nothing is marked clean."""
        on_time = self._on_time()
        series, starts = self.slots.column("series")[on_time], self.slots.column("start_ms")[on_time]
        keys = (group_of_series[series] << _KEY_SHIFT) | (starts // self.spec.step_ms)
        changed = np.isin(keys, keys[self.slots.dirty[on_time]])
        return self._rows(on_time[changed]) if changed.any() else None

    def in_use(self, column: str) -> Ints:
        """Distinct ids in the `series` or `unit` column of open windows."""
        return np.unique(self.slots.column(column)[self.slots.live]).astype(np.int64)

    def renumber(self, *, series: Ints, unit: Ints) -> None:
        """Replaces ids: series[old] is the new one; for the owner's tables after they were compacted."""
        live = self.slots.live
        for name, new_ids in (("series", series), ("unit", unit)):
            column = self.slots.column(name)
            column[live] = new_ids[column[live]]
        for table in (self._open, self._late):
            slots = list(table.values())
            table.clear()
            if slots:
                table.update(zip(self._keys(np.array(slots, dtype=np.int64)), slots, strict=True))

    def state(self) -> dict[str, object]:
        """Canonical state: rows in canonical order as little-endian bytes. Equal prefixes give equal bytes."""
        slots = np.flatnonzero(self.slots.live)
        slots = slots[self._canonical_order(slots)]
        offsets, keys, counts = self._sketches.runs(slots)
        place = {int(slot): i for i, slot in enumerate(slots)}
        return {
            "size_ms": self.spec.size_ms,
            "step_ms": self.spec.step_ms,
            "columns": {n: self.slots.column(n)[slots].tobytes() for n in COLUMNS},
            "late": [place[slot] for slot in self._late.values()],
            "full": self._room.state(),
            "sketch_offsets": offsets.astype("<i8").tobytes(),
            "sketch_keys": keys.astype("<i4").tobytes(),
            "sketch_counts": counts.astype("<i8").tobytes(),
        }

    def restore(self, state: dict[str, object]) -> None:
        """Loads what `state` saved in place of what is there: a live worker takes over what another carried on.

        The windows count as changed: rows of open ones may not have been written when the snapshot was taken.
        """
        self.slots, self._sketches, self._closing = SlotArrays(), SlotSketches(), []
        columns = state["columns"]
        assert isinstance(columns, dict)  # written by state(), checksummed by the snapshot
        arrays = {n: np.frombuffer(columns[n], dtype=self.slots.column(n).dtype) for n in COLUMNS}
        slots = self.slots.take(len(arrays["series"]))
        for name, array in arrays.items():
            self.slots.column(name)[slots] = array
        offsets = np.frombuffer(_bytes(state["sketch_offsets"]), dtype="<i8")
        self._sketches.add(
            np.repeat(slots, np.diff(offsets)),
            np.frombuffer(_bytes(state["sketch_keys"]), dtype="<i4").astype(np.int32),
            np.frombuffer(_bytes(state["sketch_counts"]), dtype="<i8").astype(np.int64),
        )
        late = state["late"]
        assert isinstance(late, list)
        late_slots = [int(slots[i]) for i in late]
        late_set = set(late_slots)
        self._late = OrderedDict(zip(self._keys(np.array(late_slots, dtype=np.int64)), late_slots, strict=True))
        self._room.restore(state["full"])
        on_time = np.array([s for s in slots.tolist() if s not in late_set], dtype=np.int64)
        self._earliest_ms = int(self.slots.column("start_ms")[on_time].min(initial=NO_START))
        self._open = dict(zip(self._keys(on_time), on_time.tolist(), strict=True))

    def _on_time(self) -> Slots:
        """The slots of windows that are open on time."""
        return np.flatnonzero(self.slots.live & (self.slots.column("gen") == 0))

    def _assign(self, events: EventColumns, starts: Ints, overflow: Overflow) -> Slots:
        late = starts + (self.spec.size_ms + self._lateness_ms) <= events.watermark_before_ms
        keys = (events.series << _KEY_SHIFT) | (starts // self.spec.step_ms)
        slots = np.full(len(keys), _NONE, dtype=np.int64)
        on_time = np.flatnonzero(~late) if late.any() else np.arange(len(keys))
        if len(on_time):
            slots[on_time] = self._assign_on_time(events, starts, keys, on_time, overflow)
        elsewhere = np.flatnonzero(slots == _NONE)
        if len(elsewhere):
            slots[elsewhere] = self._assign_generations(events, starts, keys, elsewhere)
        overflow.events = len(elsewhere) - (len(keys) - len(on_time))
        return slots

    def _assign_on_time(self, events: EventColumns, starts: Ints, keys: Ints, at: Ints, overflow: Overflow) -> Slots:
        """Slots of the events at positions `at`, _NONE without room; windows seen for the first time are opened."""
        encoded = pa.array(keys[at]).dictionary_encode()
        distinct = encoded.dictionary.to_numpy()
        index = encoded.indices.to_numpy()
        find = self._open.get
        slot_of = np.array([find(key, _NONE) for key in distinct.tolist()], dtype=np.int64)
        missing = np.flatnonzero(slot_of == _NONE)
        if len(missing):
            first = np.full(len(distinct), len(at), dtype=np.int64)
            np.minimum.at(first, index, np.arange(len(at)))
            opening = at[first[missing]]
            if not self._room.is_ample(len(self._open) + len(missing)):
                opens = self._admit(events, starts, opening, overflow)
                missing, opening = missing[opens], opening[opens]
        if len(missing):
            slot_of[missing] = self._open_slots(events, starts, opening)
            self._earliest_ms = min(self._earliest_ms, int(starts[opening].min()))
            self._open.update(zip(distinct[missing].tolist(), slot_of[missing].tolist(), strict=True))
        slots: Slots = slot_of[index]
        return slots

    def _admit(self, events: EventColumns, starts: Ints, opening: Ints, overflow: Overflow) -> npt.NDArray[np.bool_]:
        """Which windows may open; `opening` are the positions of their first events."""
        order = np.argsort(opening)
        at = opening[order]
        open_slots = self._on_time()
        now_open = Windows(self.slots.column("start_ms")[open_slots], self.slots.column("series")[open_slots])
        admitted, fillings = self._room.admit(
            now_open, Windows(starts[at], events.series[at]), events.watermark_before_ms[at]
        )
        hops = self.spec.windows_per_event
        overflow.fillings = [Filling(int(at[filling.at]) // hops, filling.series) for filling in fillings]
        opens = np.empty(len(opening), dtype=bool)
        opens[order] = admitted
        return opens

    def _assign_generations(self, events: EventColumns, starts: Ints, keys: Ints, at: Ints) -> Slots:
        """Event by event, because a generation may have to give way to the next within the chunk."""
        gens, late, spare = self.slots.column("gen"), self._late, list[int]()
        found, opened = list[int](), list[int]()
        for i, (key, offset) in enumerate(zip(keys[at].tolist(), events.offset[at].tolist(), strict=True)):
            slot = late.get(key)
            if slot is not None and offset >= int(gens[slot]) - 1 + LATE_HOLD_OFFSETS:
                self._closing.append(late.pop(key))
                slot = None
            if slot is None:
                # One of the same record stays: the same window may come again, and would get the same number.
                if len(late) >= LATE_OPEN_MAX and int(gens[next(iter(late.values()))]) != offset + 1:
                    self._closing.append(late.popitem(last=False)[1])
                if not spare:
                    spare = self.slots.take(min(_TAKEN_AT_ONCE, len(at) - i)).tolist()
                    gens = self.slots.column("gen")
                slot = spare.pop()
                gens[slot] = offset + 1  # 0 means on time, so offset 0 becomes generation 1
                late[key] = slot
                opened.append(i)
            found.append(slot)
        self.slots.free(np.array(spare, dtype=np.int64))
        slots = np.array(found, dtype=np.int64)
        new = np.array(opened, dtype=np.int64)
        self._identify(slots[new], events, starts, at[new])
        return slots

    def _open_slots(self, events: EventColumns, starts: Ints, at: Ints) -> Slots:
        slots = self.slots.take(len(at))
        self._identify(slots, events, starts, at)
        return slots

    def _identify(self, slots: Slots, events: EventColumns, starts: Ints, at: Ints) -> None:
        """Says whose windows the new slots hold, by the events at positions `at` that opened them."""
        self.slots.column("series")[slots] = events.series[at]
        self.slots.column("start_ms")[slots] = starts[at]
        self.slots.column("unit")[slots] = events.unit[at]
        self.slots.first_values(slots, events.value[at], events.offset[at])

    def _expire_late(self, next_offset: int) -> None:
        gens = self.slots.column("gen")
        over = []
        for key, slot in self._late.items():
            if next_offset < int(gens[slot]) - 1 + LATE_HOLD_OFFSETS:
                break  # in order of opening: the rest is younger
            over.append(key)
        self._closing += map(self._late.pop, over)

    def _rows(self, slots: Slots) -> WindowRows:
        names = (
            "series",
            "unit",
            "start_ms",
            "gen",
            "events",
            "weight",
            "sum",
            "min",
            "max",
            "last",
            "last_ms",
        )
        columns = {n: self.slots.column(n)[slots] for n in (*names, "first_offset", "last_offset")}
        columns["mean"], columns["m2"] = self.slots.mean_and_m2(slots)
        return WindowRows(self.spec, columns, *self._sketches.runs(slots))

    def _canonical_order(self, slots: Slots) -> Ints:
        column = self.slots.column
        order: Ints = np.lexsort((column("gen")[slots], column("series")[slots], column("start_ms")[slots]))
        return order

    def _keys(self, slots: Slots) -> Iterator[int]:
        series = self.slots.column("series")[slots].astype(np.int64)
        starts = self.slots.column("start_ms")[slots].astype(np.int64)
        return iter(((series << _KEY_SHIFT) | (starts // self.spec.step_ms)).tolist())


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)  # written by state(), checksummed by the snapshot
    return value
