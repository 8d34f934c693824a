"""Partitions of a worker take turns at the stores: who waits holds its rows once, in the fold, and no snapshot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from streams.turns import Turns
from tests.support.folds import T0, record
from tests.support.partition_workers import SlowSink, worker

EVENT: dict[str, Any] = {"swarm_id": "s", "agent_id": "a", "metric": "cost_usd", "value": 1.0, "timestamp": T0}


async def test_a_partition_that_waits_for_its_turn_has_taken_nothing_and_loses_nothing(tmp_path: Path) -> None:
    sink, checkpoints = SlowSink(), dict[str, int]()
    await sink.start()
    turns = Turns(flushes=1)
    first, second = (worker(n, [sink], checkpoints, tmp_path, turns=turns) for n in (0, 1))
    for each in (first, second):
        await each.add([record(0, msgspec.json.encode(EVENT))])
    flushes = [asyncio.create_task(each.flush(snapshot=True)) for each in (first, second)]
    await sink.asked.wait()
    assert (first.rows_in_flight > 0, first.fold.outputs.rows) == (True, 0)
    assert second.rows_in_flight == 0
    assert second.fold.outputs.rows > 0
    await second.add([record(1, msgspec.json.encode(EVENT))])  # it goes on folding, and its flush takes this along
    sink.may_answer.set()
    await asyncio.gather(*flushes)
    assert checkpoints == {"p0": 1, "p1": 2}
    assert (first.acknowledged, second.acknowledged) == (1, 2)


async def test_a_flush_cancelled_while_it_waits_can_be_tried_again(tmp_path: Path) -> None:
    sink, checkpoints = SlowSink(), dict[str, int]()
    await sink.start()
    turns = Turns(flushes=1)
    one = worker(0, [sink], checkpoints, tmp_path, turns=turns)
    await one.add([record(0, msgspec.json.encode(EVENT))])
    async with turns.of(0):
        flush = asyncio.create_task(one.flush(snapshot=True))
        await asyncio.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
    assert one.failure is None
    sink.may_answer.set()
    await one.flush(snapshot=True)
    assert checkpoints == {"p0": 1}
    assert len(sink.rows("metrics")) == 1


async def test_two_small_flushes_go_side_by_side_and_a_large_one_alone() -> None:
    turns, under_way = Turns(flushes=2, rows=100), asyncio.Event()
    log: list[str] = []

    async def flush(name: str, rows: int) -> None:
        async with turns.of(rows):
            log.append(f"{name} begins")
            await under_way.wait()
            log.append(f"{name} ends")

    small = [asyncio.create_task(flush(name, 50)) for name in ("a", "b", "c")]
    large = asyncio.create_task(flush("large", 1_000))
    last = asyncio.create_task(flush("d", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert log == ["a begins", "b begins"]
    under_way.set()
    await asyncio.gather(*small, large, last)
    assert [line for line in log if "begins" in line] == [f"{n} begins" for n in ("a", "b", "c", "large", "d")]
    assert log.index("large begins") > log.index("c ends")
    assert log.index("d begins") > log.index("large ends")


async def test_who_gives_up_waiting_leaves_its_turn_to_the_next() -> None:
    turns = Turns(flushes=1)

    async def turn() -> str:
        async with turns.of(1):
            return "had its turn"

    async with turns.of(1):
        waits, next_one = asyncio.create_task(turn()), asyncio.create_task(turn())
        for _ in range(3):
            await asyncio.sleep(0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        assert waits.cancelled()
    assert await next_one == "had its turn"
