"""Judges whether the window rows hold exactly the raw rows, place by place and size by size.

In: sums and offsets from sinks.clickhouse.audit, what log and workers say. Out: `AuditRow`s and one verdict.
Never: asks a server; calls something equal that it could not compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sinks.clickhouse.audit import EventSum, Offsets, Place, WindowSum


class State(StrEnum):
    """What one line of an audit says."""

    EQUAL = "equal"
    IN_FLIGHT = "in flight"  # equal up to rows that are not due yet
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the log and its workers stand; None: nobody could say."""

    log_first: int | None = None
    log_end: int | None = None
    committed: int | None = None
    snapshot: int | None = None
    shown: int | None = None

    @property
    def durable(self) -> int | None:
        """Every record below this offset must have left all its rows."""
        known = [offset for offset in (self.committed, self.snapshot, self.shown) if offset is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Offsets between the first and the last row of a place that left no row, and why."""

    offsets: int = 0
    no_record: int = 0  # transaction markers, compaction: the log has nothing there
    repeated: int = 0  # all their events are stored under another offset: dropped as repetitions
    empty: int = 0  # a record without events
    unexplained: int = 0  # a record with events that are stored nowhere
    not_read: int = 0  # the log could not be asked, or there were too many

    def told(self) -> str:
        """`12: 10 repeated, 2 without record`."""
        if not self.offsets:
            return "0"
        reasons = {
            "repeated": self.repeated,
            "without record": self.no_record,
            "empty": self.empty,
            "unexplained": self.unexplained,
            "not looked at": self.not_read,
        }
        return f"{self.offsets}: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One partition of one log: what it left, and where its readers stand. Offsets are inclusive."""

    log_id: str
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    gaps: str
    dead_letters: int
    refused_rows: int  # dead letters that are rows ClickHouse refused: they are missing where they belong
    log_first: int | None
    log_end: int | None
    committed: int | None
    snapshot: int | None
    shown: int | None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One window size of one partition, log and fold version. `expected`: each event as often as it is in a window."""

    fold_version: int
    log_id: str
    topic: str
    partition: int
    window_ms: int
    raw_events: int
    expected: int
    found: int
    in_flight: int
    state: State
    window_rows: int
    open_rows: int
    late_rows: int
    late_events: int


def compare(
    version: int,
    sizes: Iterable[int],
    windows: Mapping[tuple[Place, int], WindowSum],
    events: Mapping[tuple[Place, int], EventSum],
    progress: Mapping[Place, Progress],
) -> list[AuditRow]:
    """One row for each place and size that has raw rows or window rows."""
    places = sorted({place for place, _ in (*windows, *events)}, key=lambda p: (p.topic, p.partition, p.log_id))
    rows = []
    for place in places:
        for size in sorted(sizes):
            held = windows.get((place, size), WindowSum(0, 0, 0, 0, 0))
            due = events.get((place, size), EventSum(0, 0, 0, 0, 0))
            at = progress.get(place, Progress())
            rows.append(
                AuditRow(
                    version,
                    *place,
                    size,
                    due.raw_events,
                    due.events,
                    held.events,
                    _in_flight(due, at),
                    _state(held, due, at),
                    held.rows,
                    held.open_rows,
                    held.late_rows,
                    held.late_events,
                )
            )
    return rows


def place_rows(
    offsets: Mapping[Place, Offsets],
    dead_letters: Mapping[Place, tuple[int, int]],
    gaps: Mapping[Place, Gaps],
    progress: Mapping[Place, Progress],
) -> list[PlaceRow]:
    """One row for each place that left any row."""
    rows = []
    for place, seen in offsets.items():
        at = progress.get(place, Progress())
        letters, refused = dead_letters.get(place, (0, 0))
        told = gaps[place].told() if place in gaps else ""
        rows.append(
            PlaceRow(
                *place,
                seen.first,
                seen.last,
                told,
                letters,
                refused,
                at.log_first,
                at.log_end,
                at.committed,
                at.snapshot,
                at.shown,
            )
        )
    return rows


def verdict(rows: Iterable[AuditRow], gaps: Iterable[Gaps]) -> State | None:
    """The worst of all; None: there was nothing to compare."""
    states = {row.state for row in rows}
    if State.DIFFERENT in states or any(g.unexplained for g in gaps):
        return State.DIFFERENT
    if State.IN_FLIGHT in states:
        return State.IN_FLIGHT
    return State.EQUAL if states else None


def _state(held: WindowSum, due: EventSum, at: Progress) -> State:
    missing = due.events - held.events
    if missing == 0:
        return State.EQUAL
    # A worker that catches up shows closed windows at once and open ones now and then, so less may be missing than is
    # in flight. Where nobody says what must be there, all of it is missing, or something is lost.
    under_way = 0 < missing <= due.open if at.durable is not None else missing == due.in_flight
    return State.IN_FLIGHT if under_way else State.DIFFERENT


def _in_flight(due: EventSum, at: Progress) -> int:
    return due.in_flight if at.durable is None else due.open
