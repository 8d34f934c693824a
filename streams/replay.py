"""Folds a part of the log again, beside the live workers: same engine, another transport, other stores.

In: settings, the sinks to write to, where to begin. Out: rows in those sinks, the states at the end.
Never: joins the workers' group, commits, touches the live snapshots: what it needs of them is copied first.

A state is a function of the log's prefix, so a replay begins at a snapshot at or before the wished point, or at the
start of the log; from there on its rows are those of a worker that never stopped.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from aiokafka import TopicPartition

from models.clock import Clock
from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.base import Sink
from streams.engine import Engine, Partition
from streams.log_probe import LogPosition, first_record, positions, reader
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import Snapshot, SnapshotHeader, SnapshotStore
from streams.topics import log_ids

POLL_MS: Final = 200
RECORD_TIMEOUT_S: Final = 30.0
SNAPSHOTS_KEPT: Final = 2  # of the replay's own: it continues from the newest
PASSES_MAX: Final = 10  # each pass is shorter than the one before, unless the log grows faster than it is read
PASS_S: Final = 10.0  # a pass as short as this has caught up; the workers of the version do the rest in a moment

OnProgress = Callable[[int, int], None]  # records done, records in all


class ReplayError(Exception):
    """What was asked for cannot be replayed; one line that says why and what can."""


class From(StrEnum):
    """How a point of the log is named."""

    EARLIEST = "earliest"
    OFFSET = "offset"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where to begin: an offset of every partition, an append time in epoch ms, or the start of the log."""

    kind: From
    value: int = 0

    @classmethod
    def parse(cls, text: str) -> StartPoint:
        """`earliest`, `offset:N` or `time:ISO`. Raises ValueError with what to write."""
        if text == From.EARLIEST:
            return cls(From.EARLIEST)
        kind, _, value = text.partition(":")
        if kind == From.OFFSET and re.fullmatch(r"\d{1,18}", value):
            return cls(From.OFFSET, int(value))
        if kind == From.TIME:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                return cls(From.TIME, round(moment.timestamp() * 1000))
        raise ValueError(f"{text!r} is no point of the log: write earliest, offset:N or time:2026-01-31T12:00:00Z")


@dataclass(frozen=True, slots=True)
class Span:
    """What one partition's replay folds: [base, end)."""

    base: int
    end: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was done. The states lie in the replay's own directory."""

    logs: dict[str, str]  # full topic name -> id of its log
    spans: dict[Partition, Span]
    starts: dict[Partition, int]  # where the log of each partition begins, also of those without records


class ReplayLog:
    """`LogPort` over a consumer that belongs to no group."""

    def __init__(self, settings: Settings, consumer: Any, found: Mapping[Partition, LogPosition]) -> None:
        self._settings = settings
        self._consumer = consumer
        self._found = found
        self._checkpoints: dict[Any, int] = {}

    @property
    def checkpoints(self) -> MutableMapping[Any, int]:
        """Nobody commits these."""
        return self._checkpoints

    def key(self, partition: Partition) -> Any:
        """aiokafka's name of a partition."""
        return TopicPartition(partition.topic, partition.number)

    async def seek(self, partition: Partition, offset: int) -> None:
        """Continues reading at `offset`."""
        self._consumer.seek(self.key(partition), offset)

    async def earliest(self, partition: Partition) -> int:
        """Offset of the oldest record when the replay began."""
        return self._found[partition].earliest

    async def end(self, partition: Partition) -> int | None:
        """The log's end when the replay began."""
        return self._found[partition].end

    async def end_now(self, partition: Partition) -> int:
        """The same: a replay ends there."""
        return self._found[partition].end

    async def first_at(self, partition: Partition, offset: int) -> RawRecord | None:
        """The first record at or after `offset`."""
        return await first_record(self._settings, partition.topic, partition.number, offset, timeout_s=RECORD_TIMEOUT_S)


async def replay_same_version(
    settings: Settings,
    point: StartPoint,
    *,
    sink: Sink,
    database_id: str,
    state: Path,
    clock: Clock,
    on_progress: OnProgress,
) -> Replayed:
    """Computes the rows of this version again, from the snapshot at or before the point, up to the log's end.

    `database_id`: of the live rows; `state`: an empty directory. Raises ReplayError when the log no longer has what is
    needed.
    """
    logs, found = await _look(settings)
    points = await _points(settings, point, found)
    engine = _engine(settings, sink, logs, clock, state)
    live = Engine(settings, sinks=[], log_ids=logs, clock=clock, database_id=database_id)
    spans: dict[Partition, Span] = {}
    gone: dict[Partition, _GoneError] = {}
    for partition, wished in points.items():
        try:
            base = await asyncio.to_thread(_base, live.snapshots(partition), wished, found[partition])
        except _GoneError as problem:
            gone[partition] = problem
            continue
        if base is not None:
            engine.snapshots(partition).save(base.state, base.header.next_offset)
        spans[partition] = Span(base.header.next_offset if base is not None else 0, found[partition].end)
    if gone:
        raise _gone(gone)
    await _fold(settings, engine, found, spans, on_progress)
    return Replayed(logs, spans, {partition: at.earliest for partition, at in found.items()})


async def replay_new_version(
    settings: Settings, *, sink: Sink, state: Path, clock: Clock, on_progress: OnProgress
) -> Replayed:
    """Computes a version from the start of the log, or on from where an earlier replay of it stopped.

    `state` keeps its snapshots. Passes over what came meanwhile until a pass is short. Raises ReplayError.
    """
    for _ in range(PASSES_MAX):
        began_s = clock.monotonic_s()
        logs, found = await _look(settings)
        engine = _engine(settings, sink, logs, clock, state)
        spans = {}
        for partition, at in found.items():
            if at.end == at.earliest:
                continue
            newest = await asyncio.to_thread(engine.snapshots(partition).newest)
            base = newest.header.next_offset if newest is not None else at.earliest
            spans[partition] = Span(base, at.end)
        await _fold(settings, engine, found, spans, on_progress)
        if clock.monotonic_s() - began_s <= PASS_S:
            return Replayed(logs, spans, {partition: at.earliest for partition, at in found.items()})
    raise ReplayError(
        f"after {PASSES_MAX} passes the log still grows faster than it is read here: run several workers with "
        f"MURMUR_FOLD_VERSION={settings.fold_version} instead; the views change when they have caught up"
    )


def adopt_states(settings: Settings, replayed: Replayed, *, database_id: str, state: Path, clock: Clock) -> None:
    """Gives the states of a replay to the live store, so that workers of the version continue where it stopped."""
    source = _engine(settings, None, replayed.logs, clock, state)
    target = Engine(settings, sinks=[], log_ids=replayed.logs, clock=clock, database_id=database_id)
    for partition in replayed.spans:
        newest = source.snapshots(partition).newest()
        if newest is not None:
            target.snapshots(partition).save(newest.state, newest.header.next_offset)


def _engine(settings: Settings, sink: Sink | None, logs: dict[str, str], clock: Clock, state: Path) -> Engine:
    """An engine like a worker's, with a snapshot store of its own."""

    def open_snapshots(header: SnapshotHeader) -> DirectorySnapshots:
        return DirectorySnapshots(state, header, kept=SNAPSHOTS_KEPT)

    sinks = [] if sink is None else [sink]
    return Engine(settings, sinks=sinks, log_ids=logs, clock=clock, open_snapshots=open_snapshots)


async def _look(settings: Settings) -> tuple[dict[str, str], dict[Partition, LogPosition]]:
    logs = await log_ids(settings, timeout_s=RECORD_TIMEOUT_S)
    found = await positions(settings, group=settings.consumer_group)
    return logs, {Partition(*place): at for place, at in found.items()}


async def _points(
    settings: Settings, point: StartPoint, found: Mapping[Partition, LogPosition]
) -> dict[Partition, int]:
    """Partition -> the offset named by the point, where it has such a record."""
    found = {partition: at for partition, at in found.items() if at.end > at.earliest}
    if not found:
        raise ReplayError("the log holds no record: there is nothing to replay")
    if point.kind is From.EARLIEST:
        return {partition: at.earliest for partition, at in found.items()}
    if point.kind is From.TIME:
        async with reader(settings) as consumer:
            places = {TopicPartition(p.topic, p.number): p for p in found}
            times = await consumer.offsets_for_times(dict.fromkeys(places, point.value))
        # The embedded broker keeps no index of times: it answers the start of the log, or a time of -1 for none.
        points = {places[place]: int(at.offset) for place, at in times.items() if at is not None and at.timestamp >= 0}
        points = {partition: offset for partition, offset in points.items() if offset < found[partition].end}
        if not points:
            raise ReplayError(f"no record was appended at or after {_time(point.value)}: give an earlier time")
        return points
    points = {partition: point.value for partition, at in found.items() if point.value < at.end}
    if not points:
        ends = ", ".join(f"{p.topic}[{p.number}] {at.end}" for p, at in sorted(found.items()))
        raise ReplayError(f"offset {point.value} lies beyond the log, which ends at: {ends}")
    for partition, at in found.items():
        if partition in points and point.value < at.earliest:
            raise ReplayError(
                f"{_name(partition)}: offset {point.value} is gone, the log begins at {at.earliest} (retention). "
                f"Give --from offset:{at.earliest} or later"
            )
    return points


def _base(live: SnapshotStore, wished: int, at: LogPosition) -> Snapshot | None:
    """The live snapshot to begin with; None: the start of the log, with an empty state. Raises _GoneError."""
    live.newest()  # raises SnapshotError when the live state was made under other settings
    snapshot = live.newest(wished)
    base = snapshot.header.next_offset if snapshot is not None else 0
    if base >= at.earliest:
        return snapshot
    usable, bound = None, at.end
    while (older := live.newest(bound)) is not None and older.header.next_offset >= at.earliest:
        usable, bound = older.header.next_offset, older.header.next_offset - 1
    raise _GoneError(f"records {base}..{at.earliest - 1} are needed and the log begins at {at.earliest}", usable)


class _GoneError(Exception):
    """The log no longer has what a partition's replay needs."""

    def __init__(self, why: str, usable: int | None) -> None:
        super().__init__(why)
        self.usable = usable  # the lowest offset a replay of this partition could begin at


def _gone(problems: Mapping[Partition, _GoneError]) -> ReplayError:
    """All partitions in one line, and one point from which all of them can be done."""
    told = "; ".join(f"{_name(partition)}: {problem}" for partition, problem in sorted(problems.items()))
    usable = [problem.usable for problem in problems.values()]
    if any(offset is None for offset in usable):
        advice = "No snapshot stands after that: only a new --fold-version can compute what is left"
    else:
        advice = f"From the oldest archived snapshots it can be done: give --from offset:{max(o for o in usable if o)}"
    return ReplayError(f"the same rows cannot be computed again from there. {told}. {advice}")


async def _fold(
    settings: Settings,
    engine: Engine,
    found: Mapping[Partition, LogPosition],
    spans: Mapping[Partition, Span],
    on_progress: OnProgress,
) -> None:
    """Everything in the spans through the engine, into its sinks and snapshots."""
    total = sum(span.end - span.base for span in spans.values())
    async with reader(settings) as consumer:
        log_port = ReplayLog(settings, consumer, found)
        places = {log_port.key(partition): partition for partition in spans}
        consumer.assign(list(places))
        for place, partition in places.items():
            consumer.seek(place, max(spans[partition].base, found[partition].earliest))
        waiting = dict(places)
        while waiting:
            batches = await consumer.getmany(*waiting, timeout_ms=POLL_MS, max_records=settings.poll_records_max)
            for place, batch in batches.items():
                await _deliver(settings, engine, places[place], batch, spans[places[place]].end, log_port)
            engine.tick()
            if engine.failure is not None:
                raise engine.failure
            at = {place: await consumer.position(place) for place in places}
            waiting = {place: partition for place, partition in waiting.items() if at[place] < spans[partition].end}
            on_progress(sum(min(at[k], spans[p].end) - spans[p].base for k, p in places.items()), total)
    for worker in engine.workers.values():
        await worker.flush(snapshot=True)
        if worker.error is not None:
            raise ReplayError(worker.error)


async def _deliver(
    settings: Settings, engine: Engine, partition: Partition, batch: Sequence[Any], end: int, log_port: ReplayLog
) -> None:
    records = [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in batch if r.offset < end]
    for start in range(0, len(records), settings.chunk_records_max):
        await engine.deliver(partition, records[start : start + settings.chunk_records_max], log_port)


def _name(partition: Partition) -> str:
    return f"{partition.topic}[{partition.number}]"


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
