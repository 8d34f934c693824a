"""What a worker writes while it is behind the log: closed windows as always, open ones now and then, all in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.checkpoint import CATCH_UP_INTERVAL_S, CATCHING_UP_S
from tests.support.engine_bench import HERE, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    await bench.sink.start()
    return bench


async def test_a_worker_that_catches_up_shows_open_windows_less_often_and_in_the_end_all(bench: Bench) -> None:
    def shown() -> int:
        """Events in the newest rows of windows."""
        return sum(row["events"] for row in bench.sink.rows("windows"))

    async def fold(count: int, after_s: float) -> None:
        bench.clock.advance(int(after_s * 1000))
        bench.fetch(count)
        await bench.deliver()
        await bench.engine.workers[HERE].flush()

    bench.append(100)
    await fold(10, after_s=1)
    assert shown() == 10  # behind, but not for long
    await fold(10, after_s=CATCHING_UP_S + 1)
    assert shown() == 10  # catching up
    await fold(10, after_s=CATCH_UP_INTERVAL_S)
    assert shown() == 30
    await fold(30, after_s=1)
    assert shown() == 30
    await fold(40, after_s=1)
    assert shown() == 100  # nothing is left in the log
    assert len(bench.sink.rows("metrics")) == 100


async def test_a_worker_that_catches_up_flushes_every_few_seconds_and_at_once_when_it_has_caught_up(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, flush_interval_ms=1_000)
    await bench.sink.start()
    bench.append(100)

    async def fold(count: int) -> None:
        """Folds `count` records a second later and lets a flush that has begun end."""
        bench.clock.advance(1_000)
        bench.fetch(count)
        await bench.deliver()
        if (flush := bench.engine.workers[HERE]._flush_task) is not None:
            await flush

    stored = []
    for _ in range(9):
        await fold(10)
        stored.append(len(bench.sink.rows("metrics")))
    # Every second while it may be a hiccup, then after five more, and again when nothing is left.
    assert stored == [0, 20, 30, 30, 30, 30, 30, 80, 90]


async def test_a_state_is_saved_only_together_with_the_rows_of_its_open_windows(tmp_path: Path) -> None:
    """So that below a committed offset every record has left all its rows, also of a worker that catches up."""
    bench = Bench(tmp_path, snapshot_interval_ms=int(CATCHING_UP_S * 2_300))
    await bench.sink.start()
    bench.append(100)
    seen = []
    for _ in range(4):
        bench.fetch(10)
        await bench.deliver()
        bench.clock.advance(int(CATCHING_UP_S * 600))
        worker = bench.engine.workers[HERE]
        await worker.flush()
        shown = sum(row["events"] for row in bench.sink.rows("windows"))
        seen.append((bench.consumer.checkpoints.get(HERE, 0), shown, worker.shown, worker.acknowledged))
    assert seen == [(0, 10, 10, 10), (0, 10, 10, 20), (0, 10, 10, 30), (40, 40, 40, 40)]
