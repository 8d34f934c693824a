"""Which records the engine folds, where it resumes, and what it refuses to continue."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sinks.base import PermanentSinkError, RetryableSinkError
from sinks.memory import Fault
from streams.brake import BadInputError
from streams.engine import GAPS_MIN, SEEK_AGAIN_S, SILENT_S, LogError
from streams.snapshots import SnapshotError
from tests.support.engine_bench import HERE, T0, Bench, eventually, straight_state
from tests.support.sim_log import SimLog


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    await bench.sink.start()
    return bench


async def test_what_is_acknowledged_and_saved_may_be_committed_and_nothing_else(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    assert bench.next_offset == 5
    assert bench.consumer.checkpoints == {}
    await bench.save()
    assert bench.consumer.checkpoints == {HERE: 5}
    assert bench.offsets() == [0, 1, 2, 3, 4]


async def test_a_new_process_goes_on_from_the_snapshot_and_skips_what_is_in_it(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.append(3)
    bench.start()
    bench.fetch(at=2)
    await bench.deliver()
    assert bench.next_offset == 8
    assert bench.engine.counters.skipped_records == 3
    assert bench.engine.counters.records == 3


async def test_records_beyond_a_gap_are_not_folded_and_the_gap_is_read_first(bench: Bench) -> None:
    bench.append(10)
    bench.fetch(at=6)
    await bench.deliver()
    assert bench.next_offset == 0
    assert bench.consumer.seeks == [(HERE, 0)]
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.offsets() == list(range(10))


async def test_records_missing_within_a_chunk_are_read_before_what_follows_them(bench: Bench) -> None:
    bench.append(10)
    bench.consumer.hide(HERE, 4, 5)  # appended, and readable a moment later than their neighbours
    bench.fetch()
    await bench.deliver()
    assert (bench.next_offset, bench.consumer.seeks) == (4, [(HERE, 4)])
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.offsets() == list(range(10))
    assert await straight_state(bench) == bench.engine.workers[HERE].fold.state()


async def test_a_log_that_leaves_offsets_out_is_looked_into_only_at_first(bench: Bench) -> None:
    for _ in range(20):
        bench.append(2, gap=1)  # as transactions do
    bench.fetch()
    await bench.deliver()
    bench.append(2, gap=1)
    bench.fetch()
    await bench.deliver()
    assert (bench.next_offset, bench.consumer.seeks) == (bench.log.ends[HERE], [])
    assert bench.consumer.probes == GAPS_MIN + 1, "and the one before the first record"


async def test_chunks_fetched_before_the_seek_are_dropped_without_another_seek(bench: Bench) -> None:
    bench.append(10)
    bench.fetch(2, at=4)
    bench.fetch(2)
    bench.fetch(2)
    for _ in range(3):
        await bench.deliver()
    assert (bench.consumer.seeks, bench.consumer.probes, bench.next_offset) == ([(HERE, 0)], 1, 0)
    bench.fetch()
    await bench.deliver()
    assert bench.next_offset == 10


async def test_a_seek_that_something_undid_is_made_again_after_a_while(bench: Bench) -> None:
    bench.append(10)
    bench.fetch(2, at=4)
    await bench.deliver()
    bench.clock.advance(int(SEEK_AGAIN_S * 1000))
    bench.fetch(2, at=6)
    await bench.deliver()
    assert bench.consumer.seeks == [(HERE, 0), (HERE, 0)]


async def test_offsets_without_records_are_no_gap(bench: Bench) -> None:
    bench.append(3)
    bench.append(1, gap=4)
    bench.fetch(3)
    bench.fetch()
    await bench.deliver()
    await bench.deliver()
    assert (bench.next_offset, bench.consumer.seeks) == (8, [])


async def test_a_seek_to_an_offset_without_a_record_is_answered_by_the_first_one_after_it(
    bench: Bench,
) -> None:
    bench.append(1, gap=3)
    bench.append(4)
    bench.fetch(at=5)
    await bench.deliver()
    assert bench.consumer.seeks == [(HERE, 0)]
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.offsets() == [3, 4, 5, 6, 7]


async def test_a_log_that_starts_late_is_read_from_its_start_when_there_is_no_state(bench: Bench) -> None:
    bench.append(10)
    bench.log.truncate(HERE, 6)
    bench.start()
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.offsets() == [6, 7, 8, 9]


async def test_records_lost_by_retention_stop_the_worker_with_the_way_out(bench: Bench) -> None:
    bench.append(10)
    bench.fetch(4)
    await bench.deliver()
    await bench.save()
    bench.log.truncate(HERE, 7)
    bench.start()
    bench.fetch(at=7)
    with pytest.raises(LogError, match=r"records 4\.\.6 are needed.*MURMUR_FOLD_VERSION") as caught:
        await bench.deliver()
    assert "\n" not in str(caught.value)


async def test_a_log_cut_away_under_damaged_snapshots_is_refused_too(bench: Bench) -> None:
    bench.append(10)
    bench.fetch(4)
    await bench.deliver()
    await bench.save()
    for snapshot in bench.settings.state_dir.rglob("*.snap"):
        snapshot.write_bytes(b"torn")
    bench.log.truncate(HERE, 7)
    bench.start()
    bench.fetch(at=7)
    with pytest.raises(LogError, match=r"records 0\.\.6 are needed"):
        await bench.deliver()


async def test_a_state_ahead_of_the_log_is_refused(bench: Bench) -> None:
    bench.append(10)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.log = SimLog([HERE])
    bench.append(2)
    bench.start()
    bench.fetch()
    with pytest.raises(LogError, match=r"stands at offset 10, the log ends at 2.*/state/1/swarm"):
        await bench.deliver()


async def test_a_topic_made_anew_is_another_log_and_starts_from_nothing(bench: Bench) -> None:
    bench.append(10)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.log = SimLog([HERE])
    bench.append(2)
    bench.start(log_id="another")
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.next_offset == 2
    assert len(bench.offsets()) == 12


async def test_other_settings_are_refused_before_anything_is_folded(bench: Bench) -> None:
    bench.append(2)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.start(windows="5s")
    bench.fetch(at=0)
    with pytest.raises(SnapshotError, match="set MURMUR_FOLD_VERSION to 2"):
        await bench.deliver()
    bench.start(windows="5s", fold_version=2)
    bench.fetch(at=0)
    await bench.deliver()
    assert bench.next_offset == 2


async def test_adopting_a_partition_whose_snapshots_are_lost_reads_it_again(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.lose_snapshots()
    bench.start()
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert HERE not in bench.engine.workers, "nothing is known before the first fetch"
    bench.fetch()
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [(HERE, 0)]
    bench.fetch()
    await bench.deliver()
    assert bench.next_offset == 5


async def test_an_adoption_that_a_rebalance_undid_is_made_again_though_the_log_is_silent(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.lose_snapshots()
    bench.start()
    bench.fetch()
    await bench.engine.adopt(HERE, 5, bench.consumer)
    bench.consumer.positions[HERE] = 5  # a new assignment begins at the group's offset
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [(HERE, 0)], "the first one may still be under way"
    bench.clock.advance(int(SEEK_AGAIN_S * 1000))
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [(HERE, 0), (HERE, 0)]
    bench.fetch()
    await bench.deliver()
    bench.clock.advance(int(SEEK_AGAIN_S * 1000))
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert (bench.next_offset, len(bench.consumer.seeks)) == (5, 2)


async def test_a_log_is_read_from_its_start_although_its_group_has_committed_beyond_its_end(bench: Bench) -> None:
    """A worker that had not noticed yet that its log was replaced has committed offsets of the old one."""
    bench.consumer.positions[HERE] = 5
    bench.fetch()
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [(HERE, 0)]
    bench.append(3)
    bench.fetch()
    await bench.deliver()
    assert bench.next_offset == 3


async def test_so_is_a_log_that_answers_no_fetch_beyond_its_end(bench: Bench) -> None:
    bench.consumer.positions[HERE] = 5
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [], "an answer may still be under way"
    bench.clock.advance(int(SILENT_S * 1000) + 1)
    await bench.engine.adopt(HERE, 5, bench.consumer)
    assert bench.consumer.seeks == [(HERE, 0)]
    bench.append(3)
    bench.fetch()
    await bench.deliver()
    assert bench.next_offset == 3


async def test_a_log_that_is_slow_to_answer_is_left_alone(bench: Bench) -> None:
    bench.append(5)
    for _ in range(3):
        await bench.engine.adopt(HERE, 5, bench.consumer)
        bench.clock.advance(int(SILENT_S * 1000) + 1)
    assert bench.consumer.seeks == []
    assert HERE not in bench.engine.workers


async def test_adopting_a_partition_whose_state_is_there_moves_nothing(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    bench.start()
    bench.fetch()
    for _ in range(2):
        await bench.engine.adopt(HERE, 5, bench.consumer)
    assert (bench.next_offset, bench.consumer.seeks) == (5, [])


async def test_a_revoked_partition_stays_in_memory_when_it_is_safe_on_disk(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.engine.revoke([HERE])
    assert bench.next_offset == 5
    assert [p.stem for p in bench.settings.state_dir.rglob("*.snap")] == [f"{5:020d}"]


async def test_a_revoked_partition_whose_rows_did_not_arrive_is_forgotten(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    bench.sink.fail_next(*[Fault.AWAY] * 50)
    await bench.engine.revoke([HERE], timeout_s=0.01)
    assert HERE not in bench.engine.workers
    assert list(bench.settings.state_dir.rglob("*.snap")) == []


async def test_a_state_that_another_worker_carried_on_replaces_the_own_one(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    await bench.engine.revoke([HERE])
    first, consumer = bench.engine, bench.consumer
    bench.append(5)
    bench.start()
    bench.fetch(at=5)
    await bench.deliver()
    await bench.save()
    bench.append(1, at_ms=T0 + 60_000)
    bench.engine, bench.consumer = first, consumer
    bench.consumer.assign(HERE)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    assert bench.offsets() == list(range(11))
    closed, still_open = bench.sink.rows("windows")
    assert (closed["closed"], closed["events"], closed["sum"]) == (1, 10, 45.0)
    assert (still_open["closed"], still_open["events"]) == (0, 1)
    assert bench.engine.workers[HERE].fold.state() == await straight_state(bench)


async def test_rows_of_a_flush_that_failed_for_good_are_never_passed_over(bench: Bench) -> None:
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    worker = bench.engine.workers[HERE]
    bench.sink.fail_next(Fault.BROKEN)
    with pytest.raises(PermanentSinkError):
        await worker.flush(snapshot=True)
    with pytest.raises(PermanentSinkError):
        await worker.flush(snapshot=True)
    assert (worker.acknowledged, bench.consumer.checkpoints) == (0, {})
    bench.engine.tick()
    assert bench.engine.failed.is_set()
    assert isinstance(bench.engine.failure, PermanentSinkError)


async def test_rows_of_a_flush_that_was_cancelled_are_never_passed_over(bench: Bench) -> None:
    """A rebalance gives its flush up after a while; one that waited behind it must not acknowledge lost rows."""
    bench.append(5)
    bench.fetch()
    await bench.deliver()
    worker = bench.engine.workers[HERE]
    bench.sink.fail_next(*[Fault.AWAY] * 3)
    first = asyncio.ensure_future(worker.flush(snapshot=True))
    await eventually(lambda: bench.sink.writes > 0)
    second = asyncio.ensure_future(worker.flush(snapshot=True))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, second])
    assert (worker.acknowledged, bench.consumer.checkpoints) == (0, {})
    assert bench.offsets() == []


async def test_the_worker_stops_when_nearly_everything_is_invalid(tmp_path: Path) -> None:
    bench = Bench(tmp_path, bad_input_run_min=10)
    for _ in range(12):
        bench.log.append(HERE, b"{poison", timestamp_ms=T0)
    bench.fetch()
    with pytest.raises(BadInputError, match=r"swarm\.metrics: 100% of the last 12 records are invalid"):
        await bench.deliver()


async def test_the_first_failure_is_the_one_that_is_told(bench: Bench) -> None:
    bench.engine.fail(ValueError("first"))
    bench.engine.fail(RetryableSinkError("second"))
    assert str(bench.engine.failure) == "first"
