"""The spool on a real directory: order, bound, damage, ownership, and stamps that survive a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from murmur.record import Record, Stamp
from murmur.spool import Spool

BYTES_MAX = 1 << 20


@pytest.fixture
def opened() -> Iterator[Callable[..., Spool]]:
    """Opens spools and gives up their files at the end, as the end of a process does."""
    spools: list[Spool] = []

    def opener(root: Path, *, bytes_max: int = BYTES_MAX) -> Spool:
        spools.append(Spool(root, bytes_max=bytes_max))
        return spools[-1]

    yield opener
    for spool in spools:
        spool.abandon()


def record(number: int, *, size: int = 10, events: int = 1) -> Record:
    value = f"{number:06}".encode() + b"x" * size
    return Record("swarm.metrics", b"s", value, b"application/json", events)


def numbers(records: list[Record]) -> list[int]:
    return [int(r.value[:6]) for r in records]


def stamp(records: list[Record], partition: int = 0) -> list[Stamp]:
    for r in records:
        if r.stamp is None:
            assert r.identity is not None
            r.stamp = r.identity.stamp(r.topic, partition)
    return [r.stamp for r in records if r.stamp is not None]


def done(records: list[Record]) -> None:
    for r in records:
        assert r.on_done is not None
        r.on_done(r)


def test_records_come_back_oldest_first_and_leave_no_file_once_acknowledged(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    spool = opened(tmp_path)
    for i in range(100):
        spool.append(record(i))
    first, rest = spool.read(40), spool.read(100)
    assert numbers(first) + numbers(rest) == list(range(100))
    stamp(first + rest)
    done(first + rest)
    assert spool.unread_events == 0
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_the_next_process_gets_what_the_last_did_not_finish_under_the_same_stamps(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    dead = opened(tmp_path)
    for i in range(10):
        dead.append(record(i, events=3))
    sent = dead.read(6)
    stamps = stamp(sent)
    done(sent[:2])  # 0 and 1 acknowledged; 2..5 sent with unknown outcome; 6..9 never sent
    dead.abandon()  # the process dies: locks fall, nothing else is written

    heir = opened(tmp_path)
    heir.adopt()
    assert heir.recovered_events == 8 * 3
    again = heir.read(100)
    assert numbers(again) == list(range(2, 10))
    assert stamp(again)[:4] == stamps[2:]
    assert len(set(stamp(again))) == 8
    done(again)
    assert list(tmp_path.iterdir()) == []


def test_acknowledgements_out_of_order_move_the_cursor_over_the_finished_prefix_only(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    dead = opened(tmp_path)
    for i in range(5):
        dead.append(record(i))
    sent = dead.read(5)
    stamp(sent)
    done([sent[0], sent[3], sent[1]])
    dead.abandon()
    heir = opened(tmp_path)
    heir.adopt()
    assert numbers(heir.read(10)) == [2, 3, 4]


def test_a_record_stamped_before_it_was_spooled_keeps_its_stamp(tmp_path: Path, opened: Callable[..., Spool]) -> None:
    spool = opened(tmp_path)
    in_doubt = record(1)
    in_doubt.stamp = Stamp(3, "a" * 32, 41)
    spool.append(in_doubt)
    spool.append(record(2))
    first, second = spool.read(2)
    assert first.stamp == Stamp(3, "a" * 32, 41)
    assert second.stamp is None


def test_above_its_bound_the_spool_drops_the_oldest_with_an_exact_count(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    spool = opened(tmp_path, bytes_max=1 << 16)
    for i in range(300):
        spool.append(record(i, size=1000, events=2))
        assert spool.bytes_on_disk <= 1 << 16
    kept = numbers(spool.read(1000))
    assert kept == list(range(300 - len(kept), 300))
    assert spool.dropped_events == (300 - len(kept)) * 2 > 0


def test_after_a_drop_no_unseen_record_can_carry_a_seen_stamp(tmp_path: Path, opened: Callable[..., Spool]) -> None:
    dead = opened(tmp_path, bytes_max=1 << 16)
    for i in range(20):
        dead.append(record(i, size=1000))
    seen = set(stamp(dead.read(5)))
    for i in range(20, 100):
        dead.append(record(i, size=1000))
    dead.abandon()
    heir = opened(tmp_path, bytes_max=1 << 16)
    heir.adopt()
    later = heir.read(1000)
    assert later
    assert min(numbers(later)) > 5
    assert not seen & set(stamp(later))


def test_a_damaged_record_is_skipped_and_counted_and_the_rest_is_read(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    spool = opened(tmp_path)
    for i in range(3):
        spool.append(record(i, size=100, events=7))
    (segment,) = tmp_path.rglob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    assert numbers(spool.read(10)) == [0, 2]
    assert spool.corrupt_events == 7


def test_a_torn_last_entry_is_as_if_it_had_never_been_written(tmp_path: Path, opened: Callable[..., Spool]) -> None:
    dead = opened(tmp_path)
    for i in range(3):
        dead.append(record(i, size=100))
    dead.abandon()
    (segment,) = tmp_path.rglob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-5])
    heir = opened(tmp_path)
    heir.adopt()
    assert heir.recovered_events == 2
    assert numbers(heir.read(10)) == [0, 1]


def test_a_living_publishers_directory_is_left_alone(tmp_path: Path, opened: Callable[..., Spool]) -> None:
    living = opened(tmp_path)
    living.append(record(1))
    other = opened(tmp_path)
    other.adopt()
    assert other.recovered_events == 0
    assert numbers(living.read(1)) == [1]


def test_a_directory_that_is_no_spool_is_left_alone(tmp_path: Path, opened: Callable[..., Spool]) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "keep.txt").write_text("mine")
    spool = opened(tmp_path)
    spool.adopt()
    spool.close()
    assert (tmp_path / "notes" / "keep.txt").read_text() == "mine"


def test_a_disk_that_refuses_raises_and_keeps_nothing_of_the_record(
    tmp_path: Path, opened: Callable[..., Spool]
) -> None:
    file = tmp_path / "taken"
    file.write_text("a file where the directory should be")
    spool = opened(file / "spool")
    with pytest.raises(OSError, match="Not a directory"):
        spool.append(record(1))
    assert spool.unread_events == 0
    assert spool.spooled_events == 0
