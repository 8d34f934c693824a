"""The publisher against the real embedded broker: exactly once, nothing lost beyond the stated counts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from murmur import AsyncPublisher, InvalidEventError, Publisher, Stats
from tests.support.brokers import create_topics, embedded_broker
from tests.support.logs import aread_log, read_log
from tests.support.wire import events_of, headers_of

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
METRICS, ACTIVITIES = "swarm.metrics", "swarm.activities"


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with embedded_broker([]) as address:
        yield address


@pytest.fixture
def prefix(bootstrap: str) -> str:
    """Topics of this test alone."""
    name = f"t{uuid4().hex[:8]}."
    create_topics(bootstrap, [name + METRICS, name + ACTIVITIES])
    return name


def values(records: list[Any]) -> Counter[float]:
    return Counter(event["value"] for record in records for event in events_of(record))


def adds_up(stats: Stats) -> bool:
    return stats.emitted + stats.recovered == stats.acknowledged + stats.dropped + stats.buffered + stats.spool_events


@pytest.mark.parametrize("wire", ["columns", "json", "json-array"])
def test_every_event_arrives_exactly_once_in_each_wire_form(bootstrap: str, prefix: str, wire: Any) -> None:
    with Publisher(bootstrap, swarm_id="s", topic_prefix=prefix, wire=wire, batch_age_ms=20) as publisher:
        for i in range(3_000):
            publisher.emit("cpu_usage", float(i), unit="ratio", agent_id=f"a{i % 5}", tags={"k": "v"})
        assert publisher.flush(20)
        stats = publisher.stats()
    assert (stats.emitted, stats.acknowledged_metrics, stats.dropped) == (3_000, 3_000, 0)
    assert adds_up(stats)
    records = read_log(bootstrap, prefix + METRICS)
    assert values(records) == Counter(float(i) for i in range(3_000))
    assert {(e["metric"], e["unit"], e["swarm_id"]) for r in records for e in events_of(r)} == {
        ("cpu_usage", "ratio", "s")
    }


def test_sequence_numbers_count_up_by_one_in_each_partition(bootstrap: str, prefix: str) -> None:
    with Publisher(bootstrap, swarm_id="s", topic_prefix=prefix, key_by="agent", batch_events_max=10) as publisher:
        for i in range(2_000):
            publisher.emit("x", float(i), agent_id=f"a{i % 20}")
    by_partition: dict[int, list[int]] = {}
    producers = set()
    for record in read_log(bootstrap, prefix + METRICS):
        producer, epoch, seq = headers_of(record)["murmur-producer"].split(":")
        producers.add((producer, epoch))
        by_partition.setdefault(record.partition, []).append(int(seq))
    assert len(producers) == 1
    assert len(by_partition) > 1
    for sequence in by_partition.values():
        assert sequence == list(range(len(sequence)))


async def test_a_swarm_goes_to_the_partition_where_any_kafka_client_would_put_its_key(
    bootstrap: str, prefix: str
) -> None:
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    expected = {}
    for i in range(12):
        sent = await producer.send_and_wait(prefix + METRICS, b"[]", key=f"swarm-{i}".encode())
        expected[f"swarm-{i}"] = sent.partition
    await producer.stop()
    for swarm_id in expected:
        async with AsyncPublisher(bootstrap, swarm_id=swarm_id, topic_prefix=prefix) as publisher:
            publisher.emit("x", 1.0)
    records = [r for r in await aread_log(bootstrap, prefix + METRICS) if r.value != b"[]"]
    assert {r.key.decode(): r.partition for r in records} == expected
    assert len(set(expected.values())) > 1


def test_runs_tasks_and_tools_become_activities_with_their_ends(bootstrap: str, prefix: str) -> None:
    publisher = Publisher(bootstrap, swarm_id="s", agent_id="lead", topic_prefix=prefix, tags={"cluster": "east"})
    with publisher.run(configuration={"agents": 3, "topology": "star"}) as run:
        with publisher.task("good", task_id="t1", role="writer") as task:
            with task.tool("grep", input={"q": 1}):
                pass
            with task.model_call("m-1") as call:
                call.set(output_tokens=7)
            publisher.emit("cpu_usage", 1.0)
        with pytest.raises(KeyError), publisher.task("bad", task_id="t2"):
            raise KeyError("x")
        with publisher.task("soft", task_id="t3") as task:
            task.fail("timeout")
        with pytest.raises(KeyboardInterrupt), publisher.task("gone", task_id="t4"):
            raise KeyboardInterrupt
    assert publisher.close(20)
    found = [a for record in read_log(bootstrap, prefix + ACTIVITIES) for a in events_of(record)]
    last = {a["id"]: a for a in found}
    by_task = {a["task_id"]: a for a in last.values() if a["kind"] == "task"}
    assert {t: a["status"] for t, a in by_task.items()} == {
        "t1": "completed",
        "t2": "failed",
        "t3": "failed",
        "t4": "cancelled",
    }
    assert by_task["t2"]["error_type"] == "KeyError"
    assert by_task["t3"]["error_type"] == "timeout"
    assert by_task["t1"]["tags"] == {"cluster": "east", "name": "good"}
    assert by_task["t1"]["success"] is True
    (tool,) = (a for a in last.values() if a["kind"] == "tool_call")
    assert (tool["tool"], tool["task_id"], tool["role"], len(tool["input_hash"])) == (
        "grep",
        "t1",
        "writer",
        32,
    )
    (call_,) = (a for a in last.values() if a["kind"] == "model_call")
    assert (call_["model"], call_["output_tokens"]) == ("m-1", 7)
    (session,) = (a for a in last.values() if a["kind"] == "session")
    assert session["tags"] == {"cluster": "east", "agents": "3", "topology": "star"}
    assert session["status"] == "completed"
    for activity in last.values():
        assert activity["run_id"] == run.run_id
        assert 0 <= activity["duration_ms"] < 10_000
        assert activity["ended_at"] == activity["started_at"] + round(activity["duration_ms"])
    assert [a["status"] for a in found if a["id"] == session["id"]] == ["running", "completed"]
    (metric,) = (e for r in read_log(bootstrap, prefix + METRICS) for e in events_of(r))
    assert metric["run_id"] == run.run_id


def test_bad_events_are_counted_and_the_others_arrive(bootstrap: str, prefix: str) -> None:
    with Publisher(bootstrap, swarm_id="s", topic_prefix=prefix) as publisher:
        publisher.emit("x", float("nan"))
        publisher.emit("x", "high")  # type: ignore[arg-type]
        publisher.emit("x", 2.0, tags=5)  # type: ignore[arg-type]
        publisher.activity(kind="nap", status="completed")
        publisher.emit("x", 1.0)
        publisher.flush(20)
        stats = publisher.stats()
    assert (stats.emitted, stats.acknowledged, stats.dropped_invalid) == (5, 1, 4)
    assert stats.invalid_reason
    assert adds_up(stats)
    assert values(read_log(bootstrap, prefix + METRICS)) == Counter([1.0])


def test_a_strict_publisher_raises_for_a_bad_event_at_the_call() -> None:
    publisher = Publisher("127.0.0.1:9", swarm_id="s", strict=True)
    with pytest.raises(InvalidEventError, match="finite"):
        publisher.emit("x", float("inf"))
    with pytest.raises(InvalidEventError, match="kind"):
        publisher.activity(kind="nap", status="completed")
    assert publisher.stats().emitted == 0


def test_events_after_close_are_counted_not_kept(bootstrap: str, prefix: str) -> None:
    publisher = Publisher(bootstrap, swarm_id="s", topic_prefix=prefix)
    publisher.emit("x", 1.0)
    assert publisher.close(20)
    publisher.emit("x", 2.0)
    publisher.activity(kind="task", status="completed")
    stats = publisher.stats()
    assert (stats.acknowledged, stats.dropped_closed) == (1, 2)
    assert adds_up(stats)
    assert publisher.close()


async def test_the_async_publisher_delivers_on_the_callers_loop(bootstrap: str, prefix: str) -> None:
    threads = threading.active_count()
    async with AsyncPublisher(bootstrap, swarm_id="s", topic_prefix=prefix, sampling={"low": 0.5}) as publisher:
        for i in range(2_000):
            publisher.emit("x", float(i), priority="low" if i % 2 else "high")
        with publisher.task("t"):
            await asyncio.sleep(0)
        assert await publisher.flush(20)
        assert threading.active_count() == threads
        stats = publisher.stats()
    assert stats.acknowledged_metrics + stats.dropped_sampled == 2_000
    assert stats.acknowledged_activities == 2
    events = [e for r in await aread_log(bootstrap, prefix + METRICS) for e in events_of(r)]
    assert len(events) == stats.acknowledged_metrics
    assert {e["weight"] for e in events if e["priority"] == "low"} == {2.0}


def test_a_script_that_ends_without_closing_still_delivers(bootstrap: str, prefix: str) -> None:
    # A host name, not an address: it is resolved while the interpreter is already shutting down.
    address = bootstrap.replace("127.0.0.1", "localhost")
    done = _script(
        f"""
from murmur import Publisher
publisher = Publisher({address!r}, swarm_id="s", topic_prefix={prefix!r})
publisher.emit("x", 5.0)
"""
    )
    assert done.stderr == ""
    assert values(read_log(bootstrap, prefix + METRICS)) == Counter([5.0])


def test_a_forked_child_starts_afresh_and_nothing_is_sent_twice(bootstrap: str, prefix: str) -> None:
    done = _script(
        f"""
import os
from murmur import Publisher
p = Publisher({bootstrap!r}, swarm_id="s", topic_prefix={prefix!r}, batch_age_ms=300)
p.emit("x", 1.0)
p.flush(20)
p.emit("x", 2.0)  # waits in the parent's buffer while the child is born
child = os.fork()
if child == 0:
    p.emit("x", 3.0)
    ok = p.close(20) and p.stats().emitted == 1
    os._exit(0 if ok else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
p.emit("x", 4.0)
assert p.close(20)
"""
    )
    assert done.stderr == ""
    records = read_log(bootstrap, prefix + METRICS)
    assert values(records) == Counter([1.0, 2.0, 3.0, 4.0])
    producers = {headers_of(r)["murmur-producer"].split(":")[0] for r in records}
    assert len(producers) == 2


def test_a_forked_multiprocessing_child_that_does_not_close_still_delivers(bootstrap: str, prefix: str) -> None:
    done = _script(
        f"""
import multiprocessing
from murmur import Publisher
p = Publisher({bootstrap!r}, swarm_id="s", topic_prefix={prefix!r})

def work(number):
    p.emit("x", number)

p.emit("x", 0.0)
children = [multiprocessing.get_context("fork").Process(target=work, args=(float(i),)) for i in (1, 2, 3)]
for child in children:
    child.start()
for child in children:
    child.join(20)
    assert child.exitcode == 0
"""
    )
    assert done.stderr == ""
    assert values(read_log(bootstrap, prefix + METRICS)) == Counter([0.0, 1.0, 2.0, 3.0])


def _script(code: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == expect, done.stderr
    return done
