"""What is read, and how, where a record batch does not fit its checksum."""

from __future__ import annotations

from streams.damaged_batches import CAREFUL_S, LOOK_AGAIN_S, DamagedBatches

BOTH = {"a", "b"}


def test_after_a_first_failure_records_are_taken_one_at_a_time_from_where_reading_stood() -> None:
    batches: DamagedBatches[str] = DamagedBatches()
    assert not batches.careful
    assert not batches.met("a", 0, 1.0)
    assert batches.careful
    assert batches.certain == {}, "the batch may lie anywhere in what was fetched"
    assert batches.readable(BOTH, 1.0) == BOTH


def test_a_batch_that_fails_twice_at_one_offset_is_damaged_told_once_and_holds_up_no_other() -> None:
    batches: DamagedBatches[str] = DamagedBatches()
    batches.met("a", 0, 1.0)
    assert not batches.met("a", 7, 2.0), "seven records came before it"
    assert batches.met("a", 7, 3.0)
    assert batches.certain == {"a": 7}
    assert not batches.careful
    assert batches.readable(BOTH, 3.0) == {"b"}
    assert batches.readable(BOTH, 3.0 + LOOK_AGAIN_S) == BOTH
    assert not batches.met("a", 7, 9.0), "known already"
    assert batches.certain == {"a": 7}
    assert batches.readable(BOTH, 9.0) == {"b"}


def test_a_batch_that_is_whole_when_it_is_fetched_again_is_forgotten() -> None:
    batches: DamagedBatches[str] = DamagedBatches()
    batches.met("a", 7, 1.0)
    batches.met("a", 7, 2.0)
    batches.came(["b"], 3.0)
    assert batches.certain == {"a": 7}
    batches.came(["a"], 8.0)
    assert batches.certain == {}
    assert not batches.careful


def test_care_ends_when_nothing_fails_any_more() -> None:
    batches: DamagedBatches[str] = DamagedBatches()
    batches.met("a", 0, 1.0)
    batches.came(["a"], 1.0 + CAREFUL_S)
    assert batches.careful
    batches.came(["a"], 1.1 + CAREFUL_S)
    assert not batches.careful


def test_partitions_that_are_no_longer_ours_are_forgotten() -> None:
    batches: DamagedBatches[str] = DamagedBatches()
    for place in BOTH:
        batches.met(place, 7, 1.0)
        batches.met(place, 7, 2.0)
    batches.keep({"b"})
    assert batches.certain == {"b": 7}
