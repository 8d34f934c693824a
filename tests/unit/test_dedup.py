"""What producers repeat is recognised within the published bound, and memory stays within it too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import dedup
from models.dedup import SEQUENCES_REMEMBERED, IdMemory, ProducerMemory, Seen

near = st.integers(0, 60)
far = st.one_of(near, st.integers(0, 3 * SEQUENCES_REMEMBERED), st.sampled_from([2**31, 2**60, 2**60 + 1, 2**63]))
stamps = st.tuples(st.sampled_from("ab"), st.integers(0, 1), far)


class PlainMemory:
    """The same in a plain set, without any cleverness."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, int], set[int]] = {}

    def observe(self, producer: str, epoch: int, sequence: int) -> Seen:
        known = self.seen.setdefault((producer, epoch), set())
        if known and sequence <= max(known) - SEQUENCES_REMEMBERED:
            return Seen.TOO_OLD
        if sequence in known:
            return Seen.DUPLICATE
        known.add(sequence)
        return Seen.NEW


@settings(max_examples=300)
@given(st.lists(stamps, max_size=200), st.integers(0, 200))
def test_the_bitmap_says_what_a_plain_set_says(observed: list[tuple[str, int, int]], restored_at: int) -> None:
    memory, plain = ProducerMemory(), PlainMemory()
    for i, stamp in enumerate(observed):
        if i == restored_at:
            saved = memory.state()
            memory = ProducerMemory()
            memory.restore(saved)
            assert memory.state() == saved
        assert memory.observe(*stamp) is plain.observe(*stamp), (i, stamp)


def test_a_repetition_is_known_up_to_the_bound_and_not_beyond() -> None:
    memory = ProducerMemory()
    for sequence in (0, 1, SEQUENCES_REMEMBERED):
        assert memory.observe("p", 0, sequence) is Seen.NEW
    assert memory.observe("p", 0, 1) is Seen.DUPLICATE
    assert memory.observe("p", 0, 0) is Seen.TOO_OLD


def test_records_that_arrive_out_of_order_are_new_once() -> None:
    memory = ProducerMemory()
    assert [memory.observe("p", 0, s) for s in (5, 3, 4, 3)] == [Seen.NEW, Seen.NEW, Seen.NEW, Seen.DUPLICATE]


def test_a_new_epoch_starts_anew() -> None:
    memory = ProducerMemory()
    assert [memory.observe("p", epoch, 0) for epoch in (0, 1, 0)] == [Seen.NEW, Seen.NEW, Seen.DUPLICATE]


def test_a_jump_of_two_to_the_sixty_costs_no_memory() -> None:
    memory = ProducerMemory()
    for sequence in range(SEQUENCES_REMEMBERED):
        memory.observe("p", 0, sequence)
    assert memory.observe("p", 0, 2**60) is Seen.NEW
    assert memory.observe("p", 0, SEQUENCES_REMEMBERED - 1) is Seen.TOO_OLD
    ((_, _, newest, bits),) = memory.state()
    assert (newest, bits) == (2**60, b"\x01")


def test_a_full_bitmap_is_512_bytes() -> None:
    memory = ProducerMemory()
    for sequence in range(3 * SEQUENCES_REMEMBERED):
        memory.observe("p", 0, sequence)
    ((_, _, _, bits),) = memory.state()
    assert isinstance(bits, bytes)
    assert bits == b"\xff" * (SEQUENCES_REMEMBERED // 8)


def test_of_too_many_producers_the_one_silent_for_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dedup, "PRODUCERS_MAX", 3)
    memory = ProducerMemory()
    for producer in ("a", "b", "c", "a", "d"):
        memory.observe(producer, 0, 0)
    assert len(memory) == 3
    assert [row[0] for row in memory.state()] == ["c", "a", "d"]
    assert memory.observe("b", 0, 0) is Seen.NEW
    assert memory.observe("a", 0, 0) is Seen.DUPLICATE


def test_an_id_is_new_once() -> None:
    memory = IdMemory(1_000)
    assert [memory.observe("s", "m", i) for i in ("1", "2", "1")] == [True, True, False]


def test_the_parts_of_an_id_do_not_run_into_each_other() -> None:
    memory = IdMemory(1_000)
    assert memory.observe("ab", "c", "1")
    assert memory.observe("a", "bc", "1")


@settings(max_examples=200)
@given(st.lists(st.integers(0, 40), max_size=200), st.integers(2, 30), st.integers(0, 200))
def test_ids_are_known_within_the_bound_and_memory_never_outgrows_it(
    ids: list[int], ids_max: int, restored_at: int
) -> None:
    memory = IdMemory(ids_max)
    new: list[int] = []  # in the order they were noted
    for i, number in enumerate(ids):
        if i == restored_at:
            saved = memory.state()
            memory = IdMemory(ids_max)
            memory.restore(saved)
            assert memory.state() == saved
        is_new = memory.observe(str(number))
        if number in new[-(ids_max // 2) :]:
            assert not is_new, "forgotten within the bound"
        if number not in new:
            assert is_new, "taken for a repetition"
        if is_new:
            new.append(number)
        assert len(memory) <= ids_max


def test_the_state_of_ids_does_not_depend_on_the_order_of_a_set() -> None:
    one, other = IdMemory(1_000), IdMemory(1_000)
    for number in range(200):
        one.observe(str(number))
        other.observe(str(199 - number))
    assert one.state() == other.state()
