"""Anomalies of a live log do not wait for the rest of a flush, and nothing is committed without them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sinks.base import Batch, PermanentSinkError, WriteResult
from sinks.memory import MemorySink
from tests.support.detecting import activity, records_of
from tests.support.partition_workers import SlowSink, worker

# The same tool call again and again: the detector of loops speaks.
CIRCLE = records_of([activity(n, tool="Bash", input_hash="same") for n in range(1, 40)])
ACTIVITIES = "swarm.activities"


class Refusing(MemorySink):
    """A store that no retry helps."""

    async def write(self, batch: Batch) -> WriteResult:
        raise PermanentSinkError("no such table")


async def told(sink: MemorySink) -> list[str]:
    """Ids of the anomalies a sink has, when everything that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return sorted(row["anomaly_id"] for row in sink.rows("anomalies"))


async def test_an_anomaly_is_told_while_another_store_is_away_and_committed_only_with_it(tmp_path: Path) -> None:
    away, topic, checkpoints = SlowSink(), MemorySink(), dict[str, int]()
    await away.start()
    await topic.start()
    one = worker(0, [away, topic], checkpoints, tmp_path, topic=ACTIVITIES)
    await one.add(CIRCLE)
    found = await told(topic)
    assert found
    assert not topic.rows("activities")  # they come with the flush
    flush = asyncio.create_task(one.flush(snapshot=True))
    await away.asked.wait()
    await told(topic)
    assert checkpoints == {}
    away.may_answer.set()
    await flush
    assert checkpoints == {"p0": len(CIRCLE)}
    assert await told(away) == await told(topic) == found
    assert len(away.rows("activities")) == len(CIRCLE)


async def test_anomalies_of_the_history_of_a_log_wait_for_their_flush(tmp_path: Path) -> None:
    topic = MemorySink()
    await topic.start()
    one = worker(0, [topic], {}, tmp_path, topic=ACTIVITIES)
    await one.add(CIRCLE, behind=100_000)
    assert await told(topic) == []
    await one.flush()
    assert await told(topic)


async def test_after_an_anomaly_that_cannot_be_stored_nothing_is_acknowledged(tmp_path: Path) -> None:
    checkpoints: dict[str, int] = {}
    one = worker(0, [Refusing()], checkpoints, tmp_path, topic=ACTIVITIES)
    await one.add(CIRCLE)
    for _ in range(20):
        await asyncio.sleep(0)
    assert isinstance(one.failure, PermanentSinkError)
    with pytest.raises(PermanentSinkError):
        await one.flush(snapshot=True)
    assert (checkpoints, one.acknowledged) == ({}, 0)
