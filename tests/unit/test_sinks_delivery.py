"""Delivery with retries, and the scripted faults of the memory sink it is tested with."""

from __future__ import annotations

import asyncio

import pytest

from sinks.base import PermanentSinkError, RetryableSinkError
from sinks.delivery import BACKOFF_S_MAX, BACKOFF_S_MIN, backoff_s, deliver
from sinks.memory import Fault, MemorySink
from tests.support.result_rows import one_of_each, row, table


async def started() -> MemorySink:
    sink = MemorySink()
    await sink.start()
    return sink


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.AMBIGUOUS, Fault.PARTIAL])
async def test_whatever_a_passing_fault_leaves_behind_the_final_rows_are_the_same(fault: Fault) -> None:
    undisturbed, disturbed = await started(), await started()
    disturbed.fail_next(fault, fault, None)
    batch = one_of_each()
    await deliver(undisturbed, batch)
    result = await deliver(disturbed, batch)
    assert result.rows == 6
    assert disturbed.writes == 3
    for name in batch:
        assert disturbed.rows(name) == undisturbed.rows(name) != []


async def test_an_ambiguous_write_is_stored_and_a_refused_one_is_not() -> None:
    sink = await started()
    sink.fail_next(Fault.AWAY, Fault.PARTIAL, Fault.AMBIGUOUS)
    seen = []
    for _ in range(3):
        with pytest.raises(RetryableSinkError):
            await sink.write(one_of_each())
        seen.append((len(sink.rows("metrics")), len(sink.rows("dead_letters"))))
    assert seen == [(0, 0), (1, 0), (1, 1)]


async def test_each_retry_is_told_with_its_error_and_its_pause() -> None:
    sink = await started()
    sink.fail_next(Fault.AWAY, Fault.AWAY)
    told: list[tuple[str, int, float]] = []
    await deliver(sink, one_of_each(), on_retry=lambda e, n, pause_s: told.append((str(e), n, pause_s)))
    assert [(n, pause_s) for _, n, pause_s in told] == [(1, BACKOFF_S_MIN), (2, 2 * BACKOFF_S_MIN)]
    assert all("away" in text for text, *_ in told)


async def test_a_permanent_error_passes_through_at_once() -> None:
    sink = await started()
    sink.fail_next(Fault.BROKEN)
    with pytest.raises(PermanentSinkError, match="broken"):
        await deliver(sink, one_of_each())
    assert sink.writes == 1


async def test_cancelled_while_it_waits_it_ends_without_another_attempt() -> None:
    sink = await started()
    sink.fail_next(*[Fault.AWAY] * 50)
    third = asyncio.Event()

    def at_third(_: RetryableSinkError, attempts: int, __: float) -> None:
        if attempts == 3:
            third.set()

    delivery = asyncio.create_task(deliver(sink, one_of_each(), on_retry=at_third))
    await third.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert sink.writes == 3


def test_pauses_grow_from_the_sinks_own_wish_to_the_bound_and_stay_there() -> None:
    pauses = [backoff_s(n, 1.0) for n in range(1, 9)]
    assert pauses == [1, 2, 4, 8, 16, BACKOFF_S_MAX, BACKOFF_S_MAX, BACKOFF_S_MAX]
    assert backoff_s(1_000_000, 5.0) == BACKOFF_S_MAX
    assert backoff_s(1, 0.0) == BACKOFF_S_MIN


async def test_the_memory_sink_does_not_hand_out_its_own_rows() -> None:
    sink = await started()
    await sink.write(one_of_each())
    sink.rows("windows")[0]["sum"] = 99.0
    assert sink.rows("windows")[0]["sum"] == 1.0


async def test_the_memory_sink_rejects_by_its_rule_and_says_why() -> None:
    sink = MemorySink(reject=lambda name, r: "too high" if name == "metrics" and r["value"] > 5 else None)
    await sink.start()
    rows = [row("metrics", offset=n, value=float(n)) for n in range(10)]
    result = await sink.write({"metrics": table("metrics", rows)})
    assert (result.rows, len(result.rejected)) == (6, 4)
    assert {(r.table, r.reason) for r in result.rejected} == {("metrics", "too high")}
    assert [r["offset"] for r in sink.rows("metrics")] == list(range(6))


async def test_a_sink_that_is_not_started_asks_for_a_retry() -> None:
    with pytest.raises(RetryableSinkError, match="not started"):
        await MemorySink().write(one_of_each())
