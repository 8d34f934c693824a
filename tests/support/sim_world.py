"""A whole installation in one thread: broker, members with the real engine, one store, one disk, one clock.

In: faults and steps. Out: the store's rows, compared with an independent recount and a straight fold of the log.
Never: waits, uses the network. The engine, its workers, folds, snapshots and deliveries are the product's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from models.clock import ManualClock
from models.rows import TABLES
from models.settings import Settings
from sinks.base import PermanentSinkError
from sinks.memory import MemorySink
from streams.activity_source import ActivitySource
from streams.engine import Engine, Partition
from streams.fold import PartitionFold
from streams.metric_source import MetricSource
from streams.outputs import Counters
from streams.result_rows import Origin
from tests.support.folds import config
from tests.support.oracle import Tally, recount
from tests.support.sim_log import SimConsumer, SimLog
from tests.support.sim_loop import VirtualLoop
from tests.support.sim_store import Store
from tests.support.traffic import Traffic

METRICS: Final = tuple(Partition("swarm.metrics", n) for n in range(2))
ACTIVITIES: Final = (Partition("swarm.activities", 0),)
PARTITIONS: Final = METRICS + ACTIVITIES
LOG_IDS: Final = {"swarm.metrics": "log-m", "swarm.activities": "log-a"}
TICK_MS: Final = 50  # as the app's timer
SETTINGS: Final[dict[str, Any]] = {
    "windows": "1s,10s",
    "allowed_lateness_ms": 2_000,
    "flush_interval_ms": 100,
    "snapshot_interval_ms": 300,
    "snapshots_kept": 2,
}
SIZES_MS: Final = (1_000, 10_000)  # of these settings
LOOK_MS: Final = 10_000  # as the worker's
DRAIN_ROUNDS_MAX: Final = 60  # of one second each: twice the longest pause of a retry


class Node:
    """One worker process: the real engine, and what its app around it does."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.assigned: set[Partition] = set()
        self.zombie = False
        self._start()

    def _start(self) -> None:
        world = self.world
        self.database_id, ids = world.store.database_id, LOG_IDS
        self.engine = Engine(
            world.settings, sinks=[world.store], log_ids=ids, clock=world.clock, database_id=self.database_id
        )
        self.consumer = SimConsumer(world.log)

    @property
    def is_stale(self) -> bool:
        """Whether its rows went to a database that is no more."""
        return self.database_id != self.world.store.database_id

    def restart(self) -> None:
        """kill -9 and a new process: memory is gone, disk and store are not."""
        self.world.loop.kill(self.name)
        self._start()
        self.assign(self.assigned)

    def assign(self, partitions: set[Partition]) -> None:
        """What the group hands out; every partition is read from the committed offset on."""
        self.assigned = set(partitions)
        self.zombie = False
        for partition in sorted(partitions):
            self.consumer.checkpoints.pop(partition, None)
            self.consumer.assign(partition)

    def revoke(self) -> None:
        """As streams.app does when the group rebalances."""
        self.world.loop.run_as(self.name, self.engine.revoke(sorted(self.assigned)))
        for partition in self.assigned:
            self.consumer.checkpoints.pop(partition, None)
        self.assigned = set()

    def deliver(self, partition: Partition) -> None:
        """The oldest fetched chunk, as the app's agent does."""
        chunk = self.consumer.take(partition)
        if chunk is not None and not self.engine.failed.is_set():
            self.world.loop.run_as(self.name, self._guarded(self.engine.deliver(partition, chunk, self.consumer)))

    def tick(self) -> None:
        """Timers: flush, adopt, commit, and the look at the servers."""
        if self.is_stale and self.world.clock.now_ms() - self.world.store.made_ms >= LOOK_MS:
            self.restart()  # it ends, and the supervisor starts it again
            return
        if self.engine.failed.is_set():
            if not isinstance(self.engine.failure, PermanentSinkError):
                raise AssertionError("the engine failed") from self.engine.failure
            self.world.failures += 1
            self.restart()  # what the supervisor does; a zombie comes back as it was
            return
        self.world.loop.run_as(self.name, self._tick())

    async def _tick(self) -> None:
        self.engine.tick()
        for partition in sorted(self.assigned):
            committed = self.world.log.committed.get(partition, 0)
            await self._guarded(self.engine.adopt(partition, committed, self.consumer))
            checkpoint = self.consumer.checkpoints.get(partition)
            if checkpoint is not None and not self.zombie:  # the broker refuses a zombie's commits
                self.world.log.committed[partition] = checkpoint

    async def _guarded(self, coroutine: Any) -> None:
        try:
            await coroutine
        except Exception as error:  # as in streams.app
            self.engine.fail(error)


class World:
    """Everything outside the engines, and the verdict."""

    def __init__(self, home: Path, seed: int, *, leaves_offsets_out: bool = True) -> None:
        self.settings = Settings(**({"home": home} | SETTINGS))
        self.config = config(**SETTINGS)
        self.random = random.Random(seed)
        # One broker leaves offsets out, another shows records before their neighbours: with both, nobody could tell a
        # gap from a record that is yet to be readable.
        self.leaves_offsets_out = leaves_offsets_out
        self.traffic = Traffic(seed, partitions=len(METRICS), poison_ratio=0.05, late_ratio=0.1)
        self.clock = ManualClock()
        self.loop = VirtualLoop(self.clock)
        self.log = SimLog(PARTITIONS)
        self.store = Store()
        self.loop.run_until_complete(self.store.start())
        self.failures = 0  # engines ended by a permanent error of the store
        self.saved: dict[Partition, int] = {}  # highest offset of any snapshot ever seen on disk
        self._proven: dict[Partition, int] = {}
        self._proven_shown: dict[Partition, int] = {}
        self.nodes = [Node(self, f"node-{i}") for i in range(2)]
        self.share(PARTITIONS)

    def close(self) -> None:
        for node in self.nodes:
            self.loop.kill(node.name)
        self.loop.close()

    def share(self, order: Any) -> None:
        """Hands the partitions, in this order, to the members in turn; zombies get none and know nothing of it."""
        members = [n for n in self.nodes if not n.zombie]
        for i, node in enumerate(members):
            node.assign({p for j, p in enumerate(order) if j % len(members) == i})

    def rebalance(self, order: Any) -> None:
        """Eager: all members give everything up, then it is handed out again."""
        for node in self.nodes:
            if not node.zombie:
                node.revoke()
        self.share(order)

    def append(self, count: int) -> None:
        """Traffic on every partition."""
        for number, headers, value in self.traffic.records(self.clock.now_ms(), count):
            self._append(METRICS[number], value, headers)
        for _ in range(count // 3):
            self._append(ACTIVITIES[0], self._activities(), ())

    def make_database_again(self) -> None:
        """The store loses everything; members notice when they look."""
        self.loop.run_until_complete(self.store.make_again(self.clock.now_ms()))
        self._proven.clear()
        self._proven_shown.clear()

    def elapse(self, delta_ms: int) -> None:
        """Time passes; every node's timers run."""
        step_ms = max(TICK_MS, delta_ms // 10)
        for _ in range(-(-delta_ms // step_ms)):
            self.loop.run_until_complete(asyncio.sleep(step_ms / 1000))
            for node in self.nodes:
                node.tick()

    def snapshots(self) -> list[Path]:
        """Snapshot files, oldest first within a partition."""
        return sorted(self.settings.state_dir.rglob("*.snap"))

    def check(self) -> None:
        """committed <= snapshot <= shown <= acknowledged <= folded, and acknowledged rows are in the store."""
        for partition in PARTITIONS:
            offsets = [int(p.stem) for p in self.snapshots() if p.parent.parent.name == _folder(partition)]
            self.saved[partition] = max([self.saved.get(partition, 0), *offsets])
            assert self.log.committed.get(partition, 0) <= self.saved[partition], partition
        for node in self.nodes:
            for partition, worker in node.engine.workers.items():
                place = (node.name, partition)
                assert worker.snapshot_offset <= worker.shown <= worker.acknowledged <= worker.fold.next_offset, place
                assert node.consumer.checkpoints.get(partition, 0) <= self.saved[partition], place
                if partition in METRICS and not node.is_stale:
                    self._prove(partition, worker.acknowledged)
                    self._prove_shown(partition, worker.shown)

    def drain(self) -> None:
        """Ends all faults and lets the members finish; fails when they do not."""
        self.store.before_ms = self.store.after_ms = 0
        self.store.faults.clear()
        for node in self.nodes:
            if node.zombie:
                node.revoke()
                node.zombie = False
            if node.is_stale:
                node.restart()
        self.rebalance(PARTITIONS)
        for _ in range(DRAIN_ROUNDS_MAX):
            self.elapse(1_000)
            for node in self.nodes:
                for partition in sorted(node.assigned):
                    node.consumer.fetch(partition, 500)
                    node.deliver(partition)
            if not self.behind():
                return
        raise AssertionError(f"not drained: {self.behind()}")

    def behind(self) -> list[str]:
        """Partitions whose owner has not shown the whole log."""
        late = []
        for node in self.nodes:
            for partition in sorted(node.assigned):
                records = self.log.records[partition]
                worker = node.engine.workers.get(partition)
                at = worker.shown if worker is not None else 0
                if records and at <= records[-1].offset:
                    late.append(f"{node.name} {partition} at {at} of {records[-1].offset + 1}: {node.engine.failure}")
        return late

    def verify(self) -> None:
        """The store holds what the oracle counts and what a straight fold gives, row by row."""
        self.compare_with_the_oracle(self.store.sink)
        states, rows = self.straight_fold()
        for table in TABLES:
            difference = _difference(self.store.sink.rows(table), rows[table])
            assert not difference, (table, difference)
        for node in self.nodes:
            for partition in node.assigned:
                worker = node.engine.workers.get(partition)
                if worker is not None:
                    assert worker.fold.state() == states[partition], partition

    def digest(self) -> bytes:
        """Identifies the log, the final rows and the clock: what a replay must come to again."""
        rows = {table: self.store.sink.rows(table) for table in TABLES}
        return hashlib.sha256(repr((self.log.records, rows, self.clock.now_ms())).encode()).digest()

    def compare_with_the_oracle(self, sink: MemorySink, partitions: Sequence[Partition] = METRICS) -> None:
        """Windows, events and dead letters of the metrics topic against an independent recount."""
        records = [r for p in partitions for r in self.log.records[p]]
        windows, dead, events = recount(records, SIZES_MS, self.settings.future_skew_ms)
        rows = {
            table: [r for r in sink.rows(table) if r["topic"] == "swarm.metrics"]
            for table in ("metrics", "windows", "dead_letters")
        }
        assert {(r["partition"], r["offset"], r["idx"]) for r in rows["metrics"]} == events
        assert {(r["partition"], r["offset"], r["idx"]) for r in rows["dead_letters"]} == dead
        found: dict[Any, list[Any]] = defaultdict(list)
        for row in rows["windows"]:
            start_ms = int(row["window_start"].timestamp() * 1000)
            found[row["swarm_id"], row["agent_id"], row["metric"], row["window_ms"], start_ms].append(row)
        assert {k: _merged(v) for k, v in found.items()} == {k: _exact(v) for k, v in windows.items()}

    def straight_fold(self) -> tuple[dict[Partition, bytes], dict[str, list[dict[str, Any]]]]:
        """State of each partition and final rows when nothing ever goes wrong: one fold, one flush."""
        sink, states = MemorySink(), {}
        self.loop.run_until_complete(sink.start())
        for partition in PARTITIONS:
            source = MetricSource() if partition in METRICS else ActivitySource(self.config.prices)
            origin = Origin(LOG_IDS[partition.topic], partition.topic, partition.number, self.settings.fold_version)
            fold = PartitionFold(origin, self.config, source, Counters())
            fold.fold(self.log.raw(partition))
            batch = fold.take_outputs().batch()
            self.loop.run_until_complete(sink.write({t: rows for t, rows in batch.items() if t in sink.tables}))
            states[partition] = fold.state()
        return states, {table: sink.rows(table) for table in TABLES}

    def _prove(self, partition: Partition, acknowledged: int) -> None:
        """Acknowledged means stored: every event and dead letter below the offset was acknowledged by the store."""
        if acknowledged <= self._proven.get(partition, 0):
            return
        self._proven[partition] = acknowledged
        records = [r for r in self.log.records[partition] if r.offset < acknowledged]
        _, dead, events = recount(records, (), self.settings.future_skew_ms)
        stored = {
            table: {place[1:] for place in self.store.acknowledged[table] if _is(place, partition, acknowledged)}
            for table in ("metrics", "dead_letters")
        }
        assert stored["metrics"] == events, (partition, acknowledged)
        assert stored["dead_letters"] == dead, (partition, acknowledged)

    def _prove_shown(self, partition: Partition, shown: int) -> None:
        """Shown means: every event below the offset is in the newest rows of its windows, also of open ones."""
        if shown <= self._proven_shown.get(partition, 0):
            return
        self._proven_shown[partition] = shown
        records = [r for r in self.log.records[partition] if r.offset < shown]
        due = sum(
            len(tally.values) for tally in recount(records, SIZES_MS, self.settings.future_skew_ms).windows.values()
        )
        here = (partition.topic, partition.number)
        rows = self.store.sink.rows("windows")
        held = sum(row["events"] for row in rows if (row["topic"], row["partition"]) == here)
        assert held >= due, (partition, shown, held, due)

    def _append(self, partition: Partition, value: bytes, headers: Any) -> None:
        gap = self.random.choice([0, 0, 0, 1, 7]) if self.leaves_offsets_out else 0
        self.log.append(partition, value, timestamp_ms=self.clock.now_ms(), headers=headers, gap=gap)

    def _activities(self) -> bytes:
        now_ms, random = self.clock.now_ms(), self.random
        status = random.choice(["running", "completed", "failed", "nonsense"])
        return json.dumps(
            [
                {
                    "id": f"a{random.randrange(30)}",
                    "swarm_id": "s",
                    "agent_id": random.choice(["", "x"]),
                    "kind": random.choice(["session", "task", "model_call", "tool_call"]),
                    "status": status,
                    "started_at": now_ms - 500,
                    "ended_at": None if status == "running" else now_ms,
                    "duration_ms": None if status == "running" else random.randrange(1_000),
                    "model": random.choice(["claude-opus-4-6", "unheard-of"]),
                    "input_tokens": random.randrange(1_000),
                }
                for _ in range(random.choice([1, 4]))
            ]
        ).encode()


def _difference(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[Any]:
    """The first few rows that stand in one list only."""
    if found == expected:
        return []
    unexpected: list[Any] = [("unexpected", row) for row in found if row not in expected]
    missing: list[Any] = [("missing", row) for row in expected if row not in found]
    return (unexpected + missing)[:4] or [("as often", len(found), len(expected))]


def _folder(partition: Partition) -> str:
    return f"{partition.topic}-{partition.number}"


def _is(place: tuple[str, int, int, int], partition: Partition, below: int) -> bool:
    return place[0] == partition.topic and place[1] == partition.number and place[2] < below


def _merged(generations: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Generations of one window as one; the values are integers, so the sums are exact."""
    return (
        sum(r["events"] for r in generations),
        sum(r["sum"] for r in generations),
        min(r["min"] for r in generations),
        max(r["max"] for r in generations),
    )


def _exact(tally: Tally) -> tuple[Any, ...]:
    return tally.row()[:4]
