"""A worker may die at any point of the checkpoint order; the next one continues to the same rows.

Every numbered step of streams.checkpoint and streams.snapshots has its points here. At a point the disk is copied as it
stands, the process "dies", and a new engine starts on the copy and on the store as it is. Longer runs:

    MURMUR_CRASH_SEEDS=20 MURMUR_CRASH_RECORDS=400 .venv/bin/python -m pytest tests/simulation/test_crash_points.py
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from models.codecs.records import RawRecord
from models.rows import TABLES
from sinks.base import Batch, WriteResult
from sinks.memory import MemorySink
from streams.checkpoint import PartitionWorker
from streams.engine import Engine
from streams.fold import PartitionFold
from streams.metric_source import MetricSource
from streams.outputs import Counters, Outputs
from streams.result_rows import Origin
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import FORMAT, SnapshotHeader
from streams.turns import Turns
from tests.support.sim_log import SimConsumer
from tests.support.sim_world import LOG_IDS, METRICS, World

SEEDS = range(int(os.environ.get("MURMUR_CRASH_SEEDS", "2")))
RECORDS = int(os.environ.get("MURMUR_CRASH_RECORDS", "60"))
CHUNK: Final = 10
HERE: Final = METRICS[0]

POINTS: Final = (
    "1a before the fold",
    "1b after the fold",
    "2a before the rows are taken",
    "2b after the rows are taken",
    "2c after the state is taken",
    "2d before the first sink",
    "2e after the first table is stored",
    "2f after all tables are stored, before the answer",
    "2g after the first sink answered, before the second",
    "2h after both sinks answered, before the refused rows",
    "3a before the snapshot",
    "3b half of the temporary file written",
    "3c temporary file written, not yet on disk",
    "3d temporary file on disk, not yet renamed",
    "3e renamed, the directory not yet on disk",
    "3f snapshot on disk, before the answer",
    "4a before the checkpoint is published",
    "4b after the checkpoint is published",
)


F = TypeVar("F", bound=PartitionFold)


class Died(BaseException):
    """The process ended here. No handler of the product may survive it."""


class Trap:
    """Ends the process at its `nth` passing of `point`, and keeps what the disk held at that instant."""

    def __init__(self, point: str, nth: int, disk: Path, image: Path) -> None:
        self.point = point
        self._left = nth
        self._disk = disk
        self._image = image
        self.sprung = False

    def at(self, point: str) -> None:
        if self.sprung:
            raise Died(point)  # a dead process does nothing more
        if point != self.point:
            return
        self._left -= 1
        if self._left == 0:
            self.sprung = True
            if self._disk.exists():
                shutil.copytree(self._disk, self._image)
            raise Died(point)


class TrappedFold(PartitionFold):
    """Traps around the fold, the rows and the state."""

    trap: Trap

    def fold(self, records: Sequence[RawRecord]) -> int:
        self.trap.at("1a before the fold")
        errors = super().fold(records)
        self.trap.at("1b after the fold")
        return errors

    def take_outputs(self, *, open_windows: bool = True) -> Outputs:
        self.trap.at("2a before the rows are taken")
        outputs = super().take_outputs(open_windows=open_windows)
        self.trap.at("2b after the rows are taken")
        return outputs

    def state(self) -> bytes:
        state = super().state()
        self.trap.at("2c after the state is taken")
        return state


class TrappedSink:
    """Traps around a memory sink. `first`: the traps of the first of two sinks."""

    tables = frozenset(TABLES)

    def __init__(self, sink: MemorySink, trap: Trap, *, first: bool) -> None:
        self.name = "first" if first else "second"
        self._sink = sink
        self._trap = trap
        self._first = first

    async def start(self) -> None:
        await self._sink.start()

    async def close(self) -> None:
        await self._sink.close()

    async def health(self) -> None:
        await self._sink.health()

    async def write(self, batch: Batch) -> WriteResult:
        refused_rows = set(batch) == {"dead_letters"}
        if not self._first:
            self._trap.at("2g after the first sink answered, before the second")
            result = await self._sink.write(batch)
            if result.rejected:
                self._trap.at("2h after both sinks answered, before the refused rows")
            return result
        self._trap.at("2d before the first sink")
        if self._trap.point.startswith("2e") and not refused_rows:
            await self._sink.write({name: batch[name] for name in list(batch)[:1]})
            self._trap.at("2e after the first table is stored")
        result = await self._sink.write(batch)
        self._trap.at("2f after all tables are stored, before the answer")
        return result


class TrappedSnapshots(DirectorySnapshots):
    """Traps before and after the real save; those inside it sit in the calls it makes of the system."""

    trap: Trap

    def save(self, state: bytes, next_offset: int) -> int:
        self.trap.at("3a before the snapshot")
        size = super().save(state, next_offset)
        self.trap.at("3f snapshot on disk, before the answer")
        return size


class TrappedCheckpoints(dict[Any, int]):
    """Traps around step 4."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self._trap = trap

    def __setitem__(self, key: Any, offset: int) -> None:
        self._trap.at("4a before the checkpoint is published")
        super().__setitem__(key, offset)
        self._trap.at("4b after the checkpoint is published")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("point", POINTS)
def test_the_next_worker_reaches_the_same_rows(
    point: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "first-life", seed)
    try:
        _fill(world)
        image = tmp_path / "second-life"
        trap = Trap(point, 1 + seed % 3, world.settings.state_dir, image / "state")
        stores = [MemorySink(reject=_reject), MemorySink(reject=_reject)]
        committed = _first_life(world, trap, stores, monkeypatch)
        assert trap.sprung, f"never reached: {point}"
        _second_life(world, image, stores, committed)
        expected = _undisturbed(world)
        for store in stores:
            for table in TABLES:
                assert store.rows(table) == expected.rows(table), (store, table)
        world.compare_with_the_oracle(_undisturbed(world, reject=None), [HERE])
    finally:
        world.close()


def _reject(table: str, row: Any) -> str | None:
    """Some rows the store refuses for good."""
    return "refused by the test" if table == "metrics" and row["value"] % 10 == 7 else None


def _fill(world: World) -> None:
    """A log of one partition over half a minute."""
    while len(world.log.records[HERE]) < RECORDS:
        world.append(5)
        world.clock.advance(world.random.choice([0, 100, 2_000]))


def _first_life(
    world: World, trap: Trap, stores: Sequence[MemorySink], monkeypatch: pytest.MonkeyPatch
) -> dict[Any, int]:
    """Folds and flushes chunk after chunk until the trap springs; returns what was published until then."""
    fold = _fold(TrappedFold, world)
    fold.trap = trap
    header = SnapshotHeader(FORMAT, 1, world.config.fingerprint(), LOG_IDS[HERE.topic], HERE.topic, HERE.number, 0)
    snapshots = TrappedSnapshots(world.settings.state_dir, header, kept=2)
    snapshots.trap = trap
    checkpoints = TrappedCheckpoints(trap)
    worker = PartitionWorker(
        key=HERE,
        fold=fold,
        sinks=[TrappedSink(store, trap, first=i == 0) for i, store in enumerate(stores)],
        snapshots=snapshots,
        checkpoints=checkpoints,
        settings=world.settings,
        clock=world.clock,
        turns=Turns(),
    )

    async def live() -> None:
        for store in stores:
            await store.start()
        records = world.log.raw(HERE)
        for start in range(0, len(records), CHUNK):
            await worker.add(records[start : start + CHUNK])
            await worker.flush(snapshot=True)

    with monkeypatch.context() as patch:
        _trap_the_system(patch, trap)
        with pytest.raises(Died):
            world.loop.run_as("first", live())
    world.loop.kill("first")
    assert all(offset <= worker.snapshot_offset for offset in checkpoints.values())
    return dict(checkpoints)


def _trap_the_system(patch: pytest.MonkeyPatch, trap: Trap) -> None:
    """The operating system's own calls: the disk may stop in the middle of a save."""
    fsync, replace = os.fsync, Path.replace

    def trapped_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            trap.at("3e renamed, the directory not yet on disk")
            fsync(descriptor)
            return
        if trap.point.startswith("3b"):
            os.ftruncate(descriptor, path.stat().st_size // 2)
        trap.at("3b half of the temporary file written")
        trap.at("3c temporary file written, not yet on disk")
        fsync(descriptor)

    def trapped_replace(self: Path, target: Path) -> Path:
        trap.at("3d temporary file on disk, not yet renamed")
        return replace(self, target)

    patch.setattr(os, "fsync", trapped_fsync)
    patch.setattr(Path, "replace", trapped_replace)


def _second_life(world: World, image: Path, stores: Sequence[MemorySink], committed: dict[Any, int]) -> None:
    """A new engine on the disk as it was left, reading on from what the group had committed."""
    settings = world.settings.model_copy(update={"home": image})
    engine = Engine(settings, sinks=stores, log_ids=LOG_IDS, clock=world.clock)
    world.log.committed = committed
    consumer = SimConsumer(world.log)
    consumer.assign(HERE)

    async def live() -> None:
        for _ in range(2 * RECORDS):
            consumer.fetch(HERE, CHUNK)
            chunk = consumer.take(HERE)
            if chunk is None:
                break
            await engine.deliver(HERE, chunk, consumer)
        worker = engine.workers[HERE]
        await worker.flush(snapshot=True)
        assert consumer.checkpoints[HERE] == world.log.records[HERE][-1].offset + 1

    world.loop.run_as("second", live())


def _undisturbed(world: World, *, reject: Any = _reject) -> MemorySink:
    """The store when nothing goes wrong."""
    sink = MemorySink(reject=reject)
    fold = _fold(PartitionFold, world)
    checkpoints: dict[Any, int] = {}
    header = SnapshotHeader(FORMAT, 1, world.config.fingerprint(), "calm", HERE.topic, HERE.number, 0)
    worker = PartitionWorker(
        key=HERE,
        fold=fold,
        sinks=[sink],
        snapshots=DirectorySnapshots(world.settings.home / "calm", header, kept=2),
        checkpoints=checkpoints,
        settings=world.settings,
        clock=world.clock,
        turns=Turns(),
    )

    async def live() -> None:
        await sink.start()
        fold.fold(world.log.raw(HERE))
        await worker.flush()

    world.loop.run_as("calm", live())
    return sink


def _fold(kind: type[F], world: World) -> F:
    origin = Origin(LOG_IDS[HERE.topic], HERE.topic, HERE.number, world.settings.fold_version)
    return kind(origin, world.config, MetricSource(), Counters())
