"""A partition that stands still is told once it has stood long enough, and never for a reason of our own."""

from __future__ import annotations

from streams.engine import Partition
from streams.progress import FROZEN_S, STALLED_S, ProgressWatch

ONE, TWO = Partition("swarm.metrics", 0), Partition("swarm.metrics", 1)
LOOKS = int(STALLED_S)


def test_a_partition_that_does_not_move_is_told_after_the_time_and_not_before() -> None:
    watch = ProgressWatch()
    found = [watch.look({ONE: 7, TWO: second}, second) for second in range(LOOKS + 1)]
    assert found == [*[[]] * LOOKS, [ONE]]


def test_it_is_told_again_only_after_as_long_a_time_when_it_was_forgotten() -> None:
    watch = ProgressWatch()
    told = []
    for second in range(3 * LOOKS):
        for partition in watch.look({ONE: 7}, second):
            watch.forget(partition)
            told.append(second)
    assert told == [LOOKS, 2 * LOOKS + 1]


def test_time_in_which_something_is_known_to_hold_it_up_does_not_count() -> None:
    watch = ProgressWatch()
    assert not any(watch.look({ONE: 7}, second) for second in range(LOOKS))
    assert not watch.look({}, LOOKS)
    assert not any(watch.look({ONE: 7}, LOOKS + second) for second in range(1, LOOKS))


def test_time_in_which_the_process_was_frozen_does_not_count() -> None:
    watch = ProgressWatch()
    watch.look({ONE: 7}, 0)
    asleep_s = 10 * STALLED_S
    assert not watch.look({ONE: 7}, asleep_s)
    assert not watch.look({ONE: 7}, asleep_s + FROZEN_S)
