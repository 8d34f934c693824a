"""Snapshots: whole or not at all, checked when read, never mistaken for another's."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.snapshot_directory import TMP_DEAD_S, DirectorySnapshots
from streams.snapshots import FORMAT, SnapshotError, SnapshotHeader, decode, encode

HEADER = SnapshotHeader(
    format=FORMAT,
    fold_version=1,
    config="c0ffee",
    log_id="log",
    topic="swarm.metrics",
    partition=0,
    next_offset=0,
)
FILE = encode(msgspec.structs.replace(HEADER, next_offset=7), b"the state" * 20)


def store(directory: Path, *, kept: int = 3, **header: object) -> DirectorySnapshots:
    return DirectorySnapshots(directory, msgspec.structs.replace(HEADER, **header), kept=kept)


def files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.is_file())


def test_what_was_saved_is_the_newest(tmp_path: Path) -> None:
    snapshots = store(tmp_path)
    assert (snapshots.newest(), snapshots.any()) == (None, False)
    snapshots.save(b"older", 5)
    snapshots.save(b"newer", 10)
    snapshot = store(tmp_path).newest()
    assert snapshot is not None
    assert (snapshot.state, snapshot.header.next_offset) == (b"newer", 10)
    assert snapshots.any()


def test_offsets_are_compared_as_numbers_not_as_texts(tmp_path: Path) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"larger", 2**53)
    snapshots.save(b"smaller", 9)
    snapshot = snapshots.newest()
    assert snapshot is not None
    assert snapshot.state == b"larger"


@given(st.binary(max_size=2_000), st.integers(0, 2**62))
def test_any_state_comes_back_as_it_was(state: bytes, next_offset: int) -> None:
    snapshot = decode(encode(msgspec.structs.replace(HEADER, next_offset=next_offset), state))
    assert (snapshot.state, snapshot.header.next_offset) == (state, next_offset)


@given(st.integers(0, len(FILE) * 8 - 1))
def test_no_flipped_bit_goes_unnoticed(bit: int) -> None:
    data = bytearray(FILE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="damaged"):
        decode(bytes(data))


@given(st.integers(0, len(FILE) - 1))
def test_no_torn_file_is_taken_for_a_whole_one(length: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode(FILE[:length])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a snapshot"):
        decode(data)


def test_a_format_this_build_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}, this build reads {FORMAT}"):
        decode(encode(msgspec.structs.replace(HEADER, format=FORMAT + 1), b"state"))


@pytest.mark.parametrize("damage", [b"", b"torn", FILE[:-1], b"\x80\x04\x95"])
def test_a_damaged_newest_snapshot_is_passed_over_counted_and_left_for_a_look(tmp_path: Path, damage: bytes) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"good", 5)
    snapshots.save(b"lost", 10)
    newest = files(tmp_path)[-1]
    newest.write_bytes(damage)
    snapshot = snapshots.newest()
    assert snapshot is not None
    assert (snapshot.state, snapshots.corrupt) == (b"good", 1)
    assert newest.read_bytes() == damage


def test_only_damaged_snapshots_are_none_but_not_forgotten(tmp_path: Path) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"lost", 10)
    files(tmp_path)[-1].write_bytes(b"torn")
    assert (snapshots.newest(), snapshots.any(), snapshots.corrupt) == (None, True, 1)


def test_a_snapshot_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"good", 5)
    (files(tmp_path)[-1].parent / f"{10:020d}.snap").mkdir()
    snapshot = snapshots.newest()
    assert snapshot is not None
    assert snapshot.state == b"good"


def test_another_configuration_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    store(tmp_path).save(b"state", 5)
    with pytest.raises(
        SnapshotError, match=r"c0ffee, now decaf.*Restore the settings, or set MURMUR_FOLD_VERSION to 2"
    ):
        store(tmp_path, config="decaf").newest()


def test_another_fold_version_or_log_or_partition_or_database_has_its_own_place(tmp_path: Path) -> None:
    store(tmp_path).save(b"state", 5)
    for other in (
        {"fold_version": 2, "config": "decaf"},
        {"log_id": "new"},
        {"database_id": "new"},
        {"partition": 1},
        {"topic": "t"},
    ):
        assert store(tmp_path, **other).newest() is None


def test_a_snapshot_moved_to_the_folder_of_another_is_refused(tmp_path: Path) -> None:
    mine = store(tmp_path)
    mine.save(b"mine", 5)
    store(tmp_path, partition=1).save(b"foreign", 10)
    own, foreign = files(tmp_path)
    foreign.rename(own.parent / foreign.name)
    with pytest.raises(SnapshotError, match=r"belongs to .*, 1, 1\), not to .*, 0, 1\); move it back"):
        mine.newest()


@pytest.mark.parametrize("kept", [2, 3])
def test_only_the_newest_few_and_the_first_of_each_hour_are_kept(tmp_path: Path, kept: int) -> None:
    snapshots = store(tmp_path, kept=kept)
    hour_s = time.time() // 3_600 * 3_600 - 7_200
    for offset in range(1, 8):
        snapshots.save(b"state", offset)
        (saved,) = tmp_path.rglob(f"{offset:020d}.snap")
        at_s = hour_s + offset * 1_000  # 1, 2, 3 in one hour, 4 to 7 in the next
        os.utime(saved, (at_s, at_s))
    assert [int(f.stem) for f in files(tmp_path)] == sorted({1, 4} | set(range(8 - kept, 8)))


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_leaves_the_last_snapshot_and_no_rubbish(
    tmp_path: Path, owner: object, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"good", 5)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        with pytest.raises(OSError, match="No space left"):
            snapshots.save(b"lost", 10)
    assert [f.name for f in files(tmp_path)] == [f"{5:020d}.snap"]
    snapshots.save(b"after", 10)
    snapshot = snapshots.newest()
    assert snapshot is not None
    assert snapshot.state == b"after"


def test_what_a_killed_worker_left_half_written_is_removed_and_a_write_under_way_is_not(tmp_path: Path) -> None:
    snapshots = store(tmp_path)
    snapshots.save(b"older", 5)
    (folder,) = {f.parent for f in files(tmp_path)}
    left, under_way = folder / f"{7:020d}.11-aa.tmp", folder / f"{8:020d}.12-bb.tmp"
    for tmp in (left, under_way):
        tmp.write_bytes(b"half")
    long_ago_s = under_way.stat().st_mtime - TMP_DEAD_S - 1
    os.utime(left, (long_ago_s, long_ago_s))
    snapshots.save(b"newer", 10)
    assert [f.name for f in files(tmp_path)] == [f"{5:020d}.snap", under_way.name, f"{10:020d}.snap"]


def test_two_workers_with_one_process_id_never_share_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    replace = Path.replace

    def remembered(self: Path, target: Path) -> Path:
        written.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", remembered)
    for _ in range(2):  # containers: every worker is process 1 of its own
        store(tmp_path).save(b"state", 5)
    assert len(set(written)) == 2


def test_writers_and_readers_at_the_same_time_never_see_half_a_snapshot(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    corrupt: list[int] = []

    def guarded(work: object) -> threading.Thread:
        def run() -> None:
            try:
                work()  # type: ignore[operator]  # a callable without arguments
            except BaseException as error:
                errors.append(error)

        return threading.Thread(target=run)

    def write(start: int) -> None:
        for offset in range(start, 120, 3):
            store(tmp_path, kept=2).save(f"state {offset}".encode() * 500, offset)

    def read() -> None:
        reader = store(tmp_path)
        for _ in range(150):
            snapshot = reader.newest()
            if snapshot is not None:
                assert snapshot.state == f"state {snapshot.header.next_offset}".encode() * 500
        corrupt.append(reader.corrupt)

    threads = [guarded(lambda start=start: write(start)) for start in range(3)] + [guarded(read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (errors, corrupt) == ([], [0])
    snapshot = store(tmp_path).newest()
    assert snapshot is not None
    assert snapshot.header.next_offset == 119
    assert all(f.suffix == ".snap" for f in files(tmp_path))
