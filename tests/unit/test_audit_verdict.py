"""What an audit calls equal, in flight and different."""

from __future__ import annotations

import pytest

from reports.audit import Gaps, Progress, State, compare, place_rows, verdict
from sinks.clickhouse.audit import EventSum, Offsets, Place, WindowSum

HERE = Place("log", "swarm.metrics", 0)
SIZE = 10_000


def held(events: int) -> WindowSum:
    return WindowSum(rows=3, events=events, open_rows=1, late_rows=0, late_events=0)


def due(events: int, *, in_flight: int = 0, open: int = 0) -> EventSum:
    return EventSum(raw_events=events, events=events, in_flight=in_flight, open=open, folded=90)


def state(window: WindowSum | None, event: EventSum | None, progress: Progress | None = None) -> State:
    windows = {} if window is None else {(HERE, SIZE): window}
    events = {} if event is None else {(HERE, SIZE): event}
    (row,) = compare(1, [SIZE], windows, events, {} if progress is None else {HERE: progress})
    return row.state


@pytest.mark.parametrize(
    ("window", "event", "progress", "expected"),
    [
        (held(10), due(10), None, State.EQUAL),
        (held(9), due(10), None, State.DIFFERENT),
        (held(11), due(10), None, State.DIFFERENT),
        (None, due(10), None, State.DIFFERENT),
        (held(10), None, None, State.DIFFERENT),
        # Nobody says what must be there; 4 of 10 come from offsets no window row rests on yet.
        (held(6), due(10, in_flight=4), None, State.IN_FLIGHT),
        (held(5), due(10, in_flight=4), None, State.DIFFERENT),
        (held(7), due(10, in_flight=4), None, State.DIFFERENT),
        # 4 of 10 need not be there yet; of them those of closed windows are.
        (held(6), due(10, open=4), Progress(committed=90), State.IN_FLIGHT),
        (held(7), due(10, open=4), Progress(shown=90), State.IN_FLIGHT),
        (held(5), due(10, open=4), Progress(committed=90), State.DIFFERENT),
        (held(11), due(10, open=4), Progress(committed=90), State.DIFFERENT),
        # The flush of all of them is known to be over.
        (held(6), due(10, in_flight=4), Progress(committed=91), State.DIFFERENT),
        (held(6), due(10, in_flight=4), Progress(shown=95), State.DIFFERENT),
    ],
)
def test_what_is_missing_must_be_under_way(
    window: WindowSum | None, event: EventSum | None, progress: Progress | None, expected: State
) -> None:
    assert state(window, event, progress) is expected


def test_a_size_without_any_row_is_compared_too() -> None:
    rows = compare(1, [SIZE, 60_000], {(HERE, SIZE): held(10)}, {(HERE, s): due(10) for s in (SIZE, 60_000)}, {})
    assert [(r.window_ms, r.state) for r in rows] == [(SIZE, State.EQUAL), (60_000, State.DIFFERENT)]


def test_the_worst_line_is_the_verdict_and_no_line_is_none() -> None:
    windows = {(HERE._replace(partition=p), SIZE): held(10) for p in range(3)}
    events = {
        (HERE, SIZE): due(10),
        (HERE._replace(partition=1), SIZE): due(12, in_flight=2),
        (HERE._replace(partition=2), SIZE): due(13),
    }
    rows = compare(1, [SIZE], windows, events, {})
    assert verdict(rows, []) is State.DIFFERENT
    assert verdict(rows[:2], []) is State.IN_FLIGHT
    assert verdict(rows[:1], []) is State.EQUAL
    assert verdict([], []) is None


def test_a_record_that_left_no_row_anywhere_is_a_difference() -> None:
    rows = compare(1, [SIZE], {(HERE, SIZE): held(10)}, {(HERE, SIZE): due(10)}, {})
    assert verdict(rows, [Gaps(offsets=5, repeated=3, no_record=2)]) is State.EQUAL
    assert verdict(rows, [Gaps(offsets=5, repeated=4, unexplained=1)]) is State.DIFFERENT


def test_gaps_are_told_with_their_reasons() -> None:
    gaps = Gaps(offsets=12, repeated=10, no_record=2)
    (row,) = place_rows({HERE: Offsets(0, 99, 88)}, {HERE: (7, 1)}, {HERE: gaps}, {HERE: Progress(log_end=100)})
    assert row.gaps == "12: 10 repeated, 2 without record"
    assert (row.dead_letters, row.refused_rows, row.log_end, row.committed) == (7, 1, 100, None)
