"""What we rely on in Faust. When this fails after an upgrade, read streams/faust_driver.py against the new version."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import GroupCoordinatorNotAvailableError
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from models.clock import SystemClock
from models.settings import Settings, load
from sinks.memory import MemorySink
from streams import progress
from streams.app import COMMIT_INTERVAL_S, build_app, log_end, transport_failure, transport_of
from streams.engine import Engine, Partition
from streams.faust_driver import CheckpointConsumer, CheckpointThread, CheckpointTransport, ChunkScheduler, ChunkSchema
from streams.topics import FETCH_WAIT_MS, log_ids
from streams.worker import PROBE_TIMEOUT_S, _watch_transport, _Worker
from tests.support.brokers import acreate_topics
from tests.support.sim_log import SimConsumer, SimLog
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings

HELD = TP("swarm.metrics", 0)

# Method of Faust's consumer -> (its parameters, whether it is a coroutine, what must still call it).
OVERRIDDEN = {
    "_add_gap": (["self", "tp", "offset_from", "offset_to"], True, "_drain_messages"),
    "_new_offset": (["self", "tp"], False, "_filter_committable_offsets"),
    "_filter_tps_with_pending_acks": (["self", "topics"], False, "force_commit"),
    "_commit_offsets": (["self", "offsets", "start_new_transaction"], True, "_commit_tps"),
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_method_still_has_the_signature_we_answer_to(name: str) -> None:
    parameters, is_coroutine, _ = OVERRIDDEN[name]
    for owner in (driver.Consumer, CheckpointConsumer):
        method = getattr(owner, name)
        assert list(inspect.signature(method).parameters) == parameters, owner
        assert inspect.iscoroutinefunction(method) is is_coroutine, owner


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_fausts_commit_path_still_goes_through_the_overridden_method(name: str) -> None:
    caller = OVERRIDDEN[name][2]
    assert f"self.{name}(" in inspect.getsource(getattr(faust_consumer.Consumer, caller))


def test_every_fetch_still_goes_through_the_method_that_meets_damaged_batches() -> None:
    owners = (driver.AIOKafkaConsumerThread, CheckpointThread)
    theirs, ours = (list(inspect.signature(owner._fetch_records).parameters) for owner in owners)
    assert theirs == ours
    assert inspect.getsource(driver).count("._fetch_records,") == 1
    assert inspect.getsource(driver).count(".fetched_records(") == 1


def test_nothing_else_in_faust_decides_what_is_committed() -> None:
    # A second caller of the private commit would be a way around the checkpoints.
    source = inspect.getsource(faust_consumer) + inspect.getsource(driver)
    assert source.count("self._commit(") == 1
    assert source.count("self._commit_offsets(") == 1
    assert source.count("self._commit_tps(") == 1
    assert source.count("self._new_offset(") == 1


def test_the_scheduler_setting_is_used_by_the_consumer() -> None:
    assert "ConsumerScheduler" in vars(faust.Settings)
    assert "self.app.conf.ConsumerScheduler()" in inspect.getsource(faust_consumer.Consumer.__init__)
    theirs = inspect.signature(DefaultSchedulingStrategy.iterate)
    assert list(inspect.signature(ChunkScheduler.iterate).parameters) == list(theirs.parameters)


@pytest.mark.parametrize("name", ["loads_key", "loads_value"])
def test_the_schema_can_be_called_as_faust_calls_it(name: str) -> None:
    theirs = inspect.signature(getattr(faust.Schema, name)).parameters.values()
    positional = [None for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name: None for p in theirs if p.kind is p.KEYWORD_ONLY}
    assert len(positional) == 3  # self, app, message
    inspect.signature(getattr(ChunkSchema, name)).bind(*positional, **keywords)


def test_a_chunk_goes_through_fausts_own_scheduling_unchanged_and_in_order() -> None:
    class Record:
        timestamp, timestamp_type, topic, partition = 1, 0, "t", 0

        def __init__(self, offset: int) -> None:
            self.offset = offset

    class Two(ChunkScheduler):
        chunk_records_max = 2

    a, b = TP("t", 0), TP("t", 1)
    chunks = list(Two().iterate({a: [Record(n) for n in range(5)], b: [Record(9)]}))
    assert [(tp, [r.offset for r in c.value], c.offset) for tp, c in chunks] == [
        (a, [0, 1], 1),
        (b, [9], 9),
        (a, [2, 3], 3),
        (a, [4], 4),
    ]


def test_the_app_is_built_with_our_scheduler_transport_and_settings(tmp_path: Path) -> None:
    settings = load(home=tmp_path, chunk_records_max=7)
    engine = Engine(settings, sinks=[], log_ids={}, clock=SystemClock())
    app = build_app(settings, engine)
    assert app.conf.ConsumerScheduler is ChunkScheduler
    assert ChunkScheduler.chunk_records_max == 7
    assert isinstance(app.transport, CheckpointTransport)
    assert app.transport.Consumer is CheckpointConsumer
    assert app.conf.stream_wait_empty is False  # manual acknowledgement would hang a stop otherwise
    assert {topic.get_topic_name() for topic in (agent.channel for agent in app.agents.values())} == {
        "swarm.metrics",
        "swarm.activities",
    }


async def test_no_checkpoint_outlives_its_assignment(tmp_path: Path) -> None:
    class Log(SimConsumer):
        def key(self, partition: Partition) -> Any:
            return TP(partition.topic, partition.number)

    here, tp = Partition("swarm.metrics", 0), TP("swarm.metrics", 0)
    sink = MemorySink()
    await sink.start()
    engine = Engine(load(home=tmp_path), sinks=[sink], log_ids={here.topic: "log"}, clock=SystemClock())
    app = build_app(engine.settings, engine)
    log = Log(SimLog([here]))
    log.checkpoints = app.consumer.checkpoints
    log.assign(here)
    log.log.append(here, b"{}", timestamp_ms=1_700_000_000_000)
    await engine.deliver(here, log.log.raw(here), log)
    await app.on_partitions_revoked.send({tp})
    # The last flush saved the state, and so made a checkpoint: kept, it would set back what the next owner commits.
    assert engine.workers[here].snapshot_offset == 1
    assert app.consumer.checkpoints == {}
    app.consumer.checkpoints[tp] = 1
    await app.on_partitions_assigned.send({tp})
    assert app.consumer.checkpoints == {}


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(clickhouse, any_broker, tmp_path, snapshot_interval_ms=300, snapshots_kept=1_000)


@pytest.mark.integration
@pytest.mark.slow
async def test_the_committed_offset_is_the_newest_checkpoint_and_nothing_else(settings: Settings) -> None:
    await acreate_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"])
    worker = WorkerProcess(settings).start()
    try:
        seen: set[int] = set()
        for _ in range(12):
            await _publish(settings, 50)
            committed = await _committed(settings)
            checkpoints = _checkpoints(settings)  # read after: a commit follows its snapshot
            for partition, offset in committed.items():
                assert offset in checkpoints.get(partition, set()), (partition, offset, checkpoints)
            seen.update(committed.values())
            await _until_beyond(settings, sum(committed.values()))
        assert len(seen) > 3
        await asyncio.to_thread(eventually, lambda: _acknowledged(worker) == 4 * 12 * 50)
        assert worker.terminate() == 0, worker.output()[-2_000:]
    finally:
        worker.close()
    ends = dict.fromkeys(range(4), 12 * 50)
    assert {p: max(found) for p, found in _checkpoints(settings).items()} == ends
    assert await _committed(settings) == ends


@pytest.mark.integration
@pytest.mark.slow
async def test_rows_without_a_snapshot_are_not_committed(settings: Settings) -> None:
    settings = settings.model_copy(update={"snapshot_interval_ms": 600_000})
    await acreate_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"])
    worker = WorkerProcess(settings).start()
    try:
        await _publish(settings, 50)
        await asyncio.to_thread(eventually, lambda: _acknowledged(worker) == 4 * 50)
        deadline_s = time.monotonic() + 5 * COMMIT_INTERVAL_S
        while time.monotonic() < deadline_s:
            assert await _committed(settings) == {}
        assert _checkpoints(settings) == {}
        assert worker.terminate() == 0, worker.output()[-2_000:]  # a stop saves and commits
    finally:
        worker.close()
    assert await _committed(settings) == dict.fromkeys(range(4), 50)


@pytest.fixture
async def started(settings: Settings) -> AsyncIterator[tuple[faust.App, Engine]]:
    """An app that owns partitions of the broker, in this process."""
    await acreate_topics(settings.kafka_bootstrap, ["swarm.metrics", "swarm.activities"])
    sink = MemorySink()
    await sink.start()
    engine = Engine(settings, sinks=[sink], log_ids=await log_ids(settings), clock=SystemClock())
    app = build_app(settings, engine)
    await app.start()
    async with asyncio.timeout(60):
        while app.rebalancing or HELD not in app.consumer.assignment():  # noqa: ASYNC110 - Faust offers no event
            await asyncio.sleep(0.05)
    yield app, engine
    await app.stop()


@pytest.mark.integration
async def test_a_commit_of_partitions_that_a_rebalance_took_away_ends_nothing(
    started: tuple[faust.App, Engine], settings: Settings
) -> None:
    app, _ = started
    thread = app.consumer._thread
    assert isinstance(thread, CheckpointThread)
    lost = TP(HELD.topic, 99)
    assert await thread.commit({lost: 5}) is False
    assert await thread.commit({lost: 5, HELD: 3}) is True
    assert transport_failure(app, _done()) is None
    assert await _committed(settings) == {HELD.partition: 3}


@pytest.mark.integration
async def test_a_partition_that_is_only_kept_in_memory_hides_none_that_is_owned(
    started: tuple[faust.App, Engine], settings: Settings
) -> None:
    app, engine = started
    await _publish(settings, 5)
    async with asyncio.timeout(60):
        while sum(w.fold.next_offset for w in engine.workers.values()) < 4 * 5:  # noqa: ASYNC110 - it offers no event
            await asyncio.sleep(0.05)
    here = Partition(HELD.topic, HELD.partition)
    engine.workers[Partition(HELD.topic, 99)] = engine.workers[here]  # as one whose owner is another worker by now
    transport = transport_of(app, engine)
    assert len(transport.assigned) == len(app.consumer.assignment()) >= 4
    assert transport.ends[here] == 5
    assert log_end(app, TP(HELD.topic, 99)) is None, "taken away between two questions"


@pytest.mark.integration
async def test_a_fetch_is_answered_soon_though_other_partitions_are_silent(started: tuple[faust.App, Engine]) -> None:
    # An attribute of the client's that its constructor fills and `start` reads: Faust passes another value.
    consumer = started[0].consumer._thread._consumer
    assert consumer._fetcher._fetch_max_wait_ms == FETCH_WAIT_MS < 1_500


@pytest.mark.integration
async def test_records_of_aborted_transactions_are_not_asked_for(started: tuple[faust.App, Engine]) -> None:
    # As above; Faust sets it only for transactions of its own.
    assert started[0].consumer._thread._consumer._fetcher._isolation_level == READ_COMMITTED


@pytest.mark.integration
async def test_an_offset_the_broker_did_not_take_is_offered_again(
    started: tuple[faust.App, Engine], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = started[0].consumer

    async def refused(_: Any) -> bool:
        return False  # as Faust answers when the group has rebalanced

    with monkeypatch.context() as patched:
        patched.setattr(consumer._thread, "commit", refused)
        consumer.checkpoints[HELD] = 3
        assert await consumer.commit() is False
    async with asyncio.timeout(30):
        while await _committed(settings) != {HELD.partition: 3}:  # noqa: ASYNC110 - Faust offers no event
            await asyncio.sleep(COMMIT_INTERVAL_S)


@pytest.mark.integration
async def test_a_worker_does_not_outlive_its_consumer(started: tuple[faust.App, Engine]) -> None:
    app, engine = started
    thread = app.consumer._thread
    await thread.call_thread(thread.crash, ValueError("{}"))
    watching = asyncio.ensure_future(_watch_transport(engine, app, _done()))
    async with asyncio.timeout(30):
        await engine.failed.wait()
    watching.cancel()
    assert str(engine.failure) == "the Kafka consumer ended and must be started again: ValueError('{}')"


@pytest.mark.integration
async def test_a_worker_whose_consumer_reads_no_more_ends_instead_of_waiting_for_ever(
    started: tuple[faust.App, Engine], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, engine = started
    monkeypatch.setattr(progress, "STALLED_S", 2.0)
    watching = asyncio.ensure_future(_Worker(settings, "worker-1")._watch_progress(engine, app))
    await _publish(settings, 5)
    async with asyncio.timeout(60):
        while sum(w.fold.next_offset for w in engine.workers.values()) < 4 * 5:  # noqa: ASYNC110 - it offers no event
            await asyncio.sleep(0.05)
    looked_until_s = time.monotonic() + 3 * progress.STALLED_S + PROBE_TIMEOUT_S
    while time.monotonic() < looked_until_s:  # an idle log is no fault
        assert engine.failure is None
        await asyncio.sleep(0.2)
    kafka = app.consumer._thread._consumer
    kafka.pause(*kafka.assignment())  # a fetcher that stopped, for whatever reason
    await _publish(settings, 5)
    async with asyncio.timeout(60):
        await engine.failed.wait()
    watching.cancel()
    assert re.search(r"swarm.metrics\[\d\]: the record at offset 5 has been in the log", str(engine.failure))


def _done() -> asyncio.Future[None]:
    """The task of a start that has succeeded."""
    starting = asyncio.get_running_loop().create_future()
    starting.set_result(None)
    return starting


async def _publish(settings: Settings, records: int) -> None:
    """`records` events to each partition of the metrics topic."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
    await producer.start()
    try:
        for n in range(records):
            event = {
                "swarm_id": "s",
                "metric": "queue_depth",
                "value": n,
                "timestamp": int(time.time() * 1000),
            }
            for partition in range(4):
                await producer.send("swarm.metrics", json.dumps(event).encode(), partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def _committed(settings: Settings) -> dict[int, int]:
    """Partition of the metrics topic -> what the group committed, where it did."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        partitions = [TopicPartition("swarm.metrics", p) for p in range(4)]
        deadline_s = time.monotonic() + 60
        while True:
            try:
                found = await admin.list_consumer_group_offsets(settings.app_id, partitions=partitions)
                break
            except GroupCoordinatorNotAvailableError:  # a fresh Kafka has yet to create its offsets topic
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
    return {tp.partition: meta.offset for tp, meta in found.items() if meta.offset >= 0}


async def _until_beyond(settings: Settings, total: int) -> None:
    """Polls until the committed offsets add up to more than `total`."""
    deadline_s = time.monotonic() + 60
    while sum((await _committed(settings)).values()) <= total:
        assert time.monotonic() < deadline_s, "no new commit within 60 s"


def _checkpoints(settings: Settings) -> dict[int, set[int]]:
    """Partition of the metrics topic -> offsets of its snapshots."""
    found: dict[int, set[int]] = {}
    for path in settings.state_dir.glob("*/swarm.metrics-*/*/*.snap"):
        found.setdefault(int(path.parts[-3].rpartition("-")[2]), set()).add(int(path.stem))
    return found


def _acknowledged(worker: WorkerProcess) -> int:
    partitions = worker.status().get("partitions", [])
    return sum(p["acknowledged_offset"] for p in partitions if p["topic"] == "swarm.metrics")
