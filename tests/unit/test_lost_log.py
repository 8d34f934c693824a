"""A broker that lost the end of its log gives its offsets to other records: noticed, never folded over."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.engine import LOSS_SEEN_S, LogError
from tests.support.engine_bench import HERE, T0, Bench
from tests.support.sim_log import SimLog


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """Ten records folded, stored and saved."""
    bench = Bench(tmp_path)
    await bench.sink.start()
    bench.append(10)
    bench.fetch()
    await bench.deliver()
    await bench.save()
    return bench


def lose_and_grow(bench: Bench, *, kept: int, new: int) -> None:
    """The log ends after `kept` records; then others are appended."""
    before = bench.log.records[HERE][:kept]
    bench.log = SimLog([HERE])
    for record in before:
        bench.log.append(HERE, record.value, timestamp_ms=record.timestamp)
    bench.append(new, at_ms=T0 + 1)


@pytest.mark.parametrize("kept", [0, 9])
async def test_other_records_under_the_old_offsets_stop_a_worker_that_starts(bench: Bench, kept: int) -> None:
    lose_and_grow(bench, kept=kept, new=12)
    bench.start()
    bench.fetch(at=10)
    with pytest.raises(LogError, match=r"record at offset 9 is not the one we folded.*/state/1/swarm"):
        await bench.deliver()


async def test_and_one_that_runs_and_reads_them_again(bench: Bench) -> None:
    lose_and_grow(bench, kept=5, new=12)
    bench.consumer.log = bench.log
    bench.fetch(at=0)
    with pytest.raises(LogError, match="record at offset 9 is not the one we folded"):
        await bench.deliver()


async def test_a_log_that_ends_before_the_state_stops_a_worker_that_runs(bench: Bench) -> None:
    lose_and_grow(bench, kept=5, new=0)
    bench.consumer.log = bench.log
    bench.fetch(at=0)
    await bench.engine.adopt(HERE, 10, bench.consumer)
    bench.clock.advance(int(LOSS_SEEN_S * 1_000) + 100)
    with pytest.raises(LogError, match="stands at offset 10, the log ends at 5"):
        await bench.engine.adopt(HERE, 10, bench.consumer)


async def test_an_end_that_was_told_too_early_stops_nobody(bench: Bench) -> None:
    whole = bench.log
    lose_and_grow(bench, kept=5, new=0)
    bench.consumer.log = bench.log
    bench.fetch(at=0)
    await bench.engine.adopt(HERE, 10, bench.consumer)
    bench.consumer.log = whole
    bench.fetch(at=10)
    bench.clock.advance(int(LOSS_SEEN_S * 1_000) + 100)
    await bench.engine.adopt(HERE, 10, bench.consumer)
    bench.clock.advance(int(LOSS_SEEN_S * 1_000) + 100)
    await bench.engine.adopt(HERE, 10, bench.consumer)


async def test_an_end_from_before_the_state_was_saved_stops_nobody(bench: Bench) -> None:
    bench.fetch(at=10)
    frozen = bench.consumer
    bench.start()  # the worker that replaces it
    bench.append(5)
    bench.fetch(at=10)
    await bench.deliver()
    await bench.save()
    bench.start()
    bench.consumer = frozen
    assert await frozen.end(HERE) == 10
    await bench.engine.adopt(HERE, 10, bench.consumer)
    assert bench.next_offset == 15


async def test_the_same_records_again_and_a_log_cut_by_retention_are_no_loss(bench: Bench) -> None:
    bench.fetch(at=3)
    await bench.deliver()
    bench.log.truncate(HERE, 10)  # the record of the mark is gone
    bench.append(3)
    bench.start()
    bench.fetch(at=10)
    await bench.deliver()
    assert bench.next_offset == 13
    assert bench.consumer.probes == 0  # nobody waits for a record that has expired
