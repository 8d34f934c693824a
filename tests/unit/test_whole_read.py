"""A record that becomes readable later than its neighbours is read all the same, and gaps by nature cost little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streams.whole_read import GAPS_MIN, Gaps

HERE = "swarm.anomalies-0"


class Record(NamedTuple):
    offset: int


def records(*offsets: int) -> list[Record]:
    return [Record(offset) for offset in offsets]


def offsets(taken: Sequence[Record]) -> list[int]:
    return [record.offset for record in taken]


def test_what_follows_a_gap_waits_until_the_gap_was_looked_into() -> None:
    gaps = Gaps({HERE: 0})
    taken, missing = gaps.take(HERE, records(0, 1, 3, 4))
    assert (offsets(taken), missing) == ([0, 1], 2)
    taken, missing = gaps.take(HERE, records(2, 3, 4, 5))
    assert (offsets(taken), missing) == ([2, 3, 4, 5], None)


def test_a_gap_before_the_first_record_is_looked_into_when_the_beginning_is_known() -> None:
    gaps = Gaps()
    assert offsets(gaps.take(HERE, records(7, 8))[0]) == [7, 8]
    gaps = Gaps({HERE: 6})
    assert gaps.take(HERE, records(7, 8)) == ([], 6)


def test_records_that_come_again_after_a_seek_are_taken_once() -> None:
    gaps = Gaps()
    gaps.take(HERE, records(0, 1, 2))
    assert offsets(gaps.take(HERE, records(1, 2, 3))[0]) == [3]


def test_a_log_with_gaps_by_nature_is_looked_into_a_few_times_only() -> None:
    gaps = Gaps()
    looks = 0
    left = records(*range(0, 40, 2))
    taken: list[Record] = []
    while left:
        more, missing = gaps.take(HERE, left)
        taken += more
        looks += missing is not None
        left = left[len(more) :]
    assert offsets(taken) == list(range(0, 40, 2))
    assert looks == GAPS_MIN


@given(st.sets(st.integers(0, 30)), st.lists(st.integers(0, 30), max_size=10))
def test_whatever_becomes_readable_within_the_look_is_read_once_and_in_order(late: set[int], cuts: list[int]) -> None:
    gaps = Gaps({HERE: 0})
    readable = (set(range(30)) - late) | {30}
    position, taken = 0, []
    ends = iter(sorted(cuts) + [30] * 40)
    while position <= 30:
        end = max(next(ends), position)
        chunk = [offset for offset in sorted(readable) if position <= offset <= end]
        more, missing = gaps.take(HERE, records(*chunk))
        taken += offsets(more)
        if missing is None:
            position = end + 1 if chunk else position
            if not chunk:
                readable |= late
        else:
            readable |= late  # by the time of the second look everything is readable
            position = missing
    assert taken == list(range(31))
