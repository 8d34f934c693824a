"""All partitions of one worker: who owns which fold, where each resumes, and when the worker must stop.

In: chunks of records from the transport. Out: `PartitionWorker`s kept in step with the log.
Never: folds over a gap, continues on another log than the one its state belongs to, hides an error of its own.

Resume: the newer of the state in memory and the newest valid snapshot; offsets below its next offset are skipped.
If a delivered offset lies beyond the next one, the records between may be missing: seek back and fold them first. If
the log no longer has them, stop and say so. That holds within a chunk as well: the embedded broker shows records whose
neighbours of lower offsets, appended in the same moment, become readable only milliseconds later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from models.clock import Clock
from models.codecs.records import RawRecord
from models.prices import PriceBook
from models.settings import Settings
from sinks.base import Sink
from streams.activity_source import ActivitySource
from streams.brake import BadInputBrake
from streams.checkpoint import PartitionWorker
from streams.fold import PartitionFold, Source
from streams.fold_config import FoldConfig
from streams.metric_source import MetricSource
from streams.outputs import Counters
from streams.result_rows import Origin
from streams.snapshot_stores import OpenSnapshots, snapshot_stores
from streams.snapshots import FORMAT, SnapshotHeader, SnapshotStore
from streams.topics import METRICS, full_name
from streams.turns import Turns
from streams.whole_read import GAPS_MIN

log = logging.getLogger(__name__)

REVOKE_FLUSH_S: Final = 5.0  # half the shortest rebalance timeout in use: the group must not wait for our sinks
SILENT_S: Final = 5.0  # a fetch is answered within half a second, also when there is nothing to read
ASKED_S: Final = 10.0  # how long the log is asked for its end: a broker that is away is waited for elsewhere
SEEK_AGAIN_S: Final = 5.0  # a rebalance may undo a seek; what was fetched before one arrives within this time
LOSS_SEEN_S: Final = 5.0  # an end told with a fetch may be older than its records; one this old is the log's


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A source partition; equal to Faust's TP by its fields."""

    topic: str
    number: int


class _Seek(NamedTuple):
    """The last seek back of a partition."""

    offset: int
    first: int  # offset of the first record there
    at_s: float


class LogPort(Protocol):
    """What the engine needs of the transport."""

    @property
    def checkpoints(self) -> MutableMapping[Any, int]:
        """Partition key -> next offset to read; what may be committed."""
        ...

    def key(self, partition: Partition) -> Any:
        """The transport's own name of a partition, as used in `checkpoints`."""
        ...

    async def seek(self, partition: Partition, offset: int) -> None:
        """Continues reading at `offset`."""
        ...

    async def earliest(self, partition: Partition) -> int:
        """Offset of the oldest record the log still has."""
        ...

    async def end(self, partition: Partition) -> int | None:
        """Offset the next record will get, as the last fetch said; None before the first fetch."""
        ...

    async def end_now(self, partition: Partition) -> int:
        """Offset the next record will get, asked of the log itself."""
        ...

    async def first_at(self, partition: Partition, offset: int) -> RawRecord | None:
        """The first record at or after `offset`, as offsets may be missing (transaction markers); None: no record."""
        ...


class LogError(Exception):
    """The log is not the one our state belongs to, or has lost records we need; one line that says what to do."""


def runs_of(records: Sequence[RawRecord]) -> list[Sequence[RawRecord]]:
    """The records cut where an offset is left out."""
    if records[-1].offset - records[0].offset == len(records) - 1:
        return [records]
    cuts = [i for i in range(1, len(records)) if records[i].offset > records[i - 1].offset + 1]
    return [records[a:b] for a, b in zip([0, *cuts], [*cuts, len(records)], strict=True)]


class Engine:
    """The partitions of this worker. `log_ids`: full topic name -> id of its log."""

    def __init__(
        self,
        settings: Settings,
        *,
        sinks: Sequence[Sink],
        log_ids: dict[str, str],
        clock: Clock,
        database_id: str = "",
        open_snapshots: OpenSnapshots | None = None,
    ) -> None:
        """`database_id`: of the one the rows go to; `open_snapshots`: another store than the one the settings name."""
        self.settings = settings
        self.counters = Counters()
        self.workers: dict[Partition, PartitionWorker] = {}
        self.failed: asyncio.Event = asyncio.Event()
        self.failure: BaseException | None = None
        self._config = FoldConfig.of(settings)
        self._sinks = sinks
        self.log_ids = log_ids
        self._database_id = database_id
        self.clock = clock
        self._open_snapshots = open_snapshots or snapshot_stores(settings)
        self._resuming = asyncio.Lock()
        self._turns = Turns()
        self._adopted: set[Partition] = set()
        self._sought: dict[Partition, _Seek] = {}
        self._short_since_s: dict[Partition, float] = {}  # since when the log ends before our state
        self._silent_since_s: dict[Partition, float] = {}  # since when no fetch was answered
        self._read_to: dict[Partition, int] = {}  # next offset after what was delivered last
        self._gaps: dict[Partition, int] = {}  # offsets between delivered records that turned out to hold none
        self._brake = BadInputBrake(ratio_max=settings.bad_input_ratio_max, run_min=settings.bad_input_run_min)

    @property
    def fingerprint(self) -> str:
        """Identifies everything that shapes this engine's results."""
        return self._config.fingerprint()

    @property
    def prices(self) -> PriceBook:
        """The book model calls are priced with."""
        return self._config.prices

    async def deliver(self, partition: Partition, records: Sequence[RawRecord], log_port: LogPort) -> None:
        """Folds one chunk, or seeks back when records before or within it are missing."""
        worker = self.workers.get(partition)
        if worker is not None:
            self._require_same_log(partition, worker, records)
        for run in [records] if self._has_gaps(partition) else runs_of(records):
            if not await self._deliver_run(partition, run, log_port):
                return  # what follows comes again after the seek

    async def _deliver_run(self, partition: Partition, records: Sequence[RawRecord], log_port: LogPort) -> bool:
        """Folds records without a gap between them; False when those before them must be read first."""
        worker = self.workers.get(partition)
        first = records[0].offset
        in_the_log = worker is not None and worker.fold.next_offset == self._read_to.get(partition)
        if worker is None or (first > worker.fold.next_offset and not (in_the_log and self._has_gaps(partition))):
            async with self._resuming:
                worker = await self._resume(partition, log_port)
                if first > worker.fold.next_offset:
                    if not await self._bridge(partition, worker, first, log_port):
                        return False
                    self._gaps[partition] = self._gaps.get(partition, 0) + in_the_log
        dead_letters = self.counters.dead_letters
        end = await log_port.end(partition)
        await worker.add(records, behind=0 if end is None else end - 1 - records[-1].offset)
        self._read_to[partition] = worker.fold.next_offset
        self._brake.observe(partition.topic, len(records), self.counters.dead_letters - dead_letters)
        return True

    def _has_gaps(self, partition: Partition) -> bool:
        """Whether its log leaves offsets out by nature, so that one more gap says nothing."""
        return self._gaps.get(partition, 0) >= GAPS_MIN

    async def adopt(self, partition: Partition, committed: int, log_port: LogPort) -> None:
        """Looks after an assigned partition that may have nothing new to deliver; called again and again.

        The group's committed offset may lie beyond our state: snapshots were lost, or the fold version is new. Then
        everything after the state is folded again, though the group has read it before. It may lie beyond the log's
        end: it was committed in an earlier log of that name, and nothing would ever be read from there.
        """
        end = await log_port.end(partition)
        if end is None:
            end = await self._end_before(committed, partition, log_port)
            if end is None:
                return
        self._silent_since_s.pop(partition, None)
        worker = self.workers.get(partition)
        if worker is not None:
            await self._watch_end(partition, worker, end, log_port)
        if partition in self._adopted and not self._stands_at_a_seek(partition, committed):
            return
        async with self._resuming:
            self._adopted.add(partition)
            worker = await self._resume(partition, log_port)
            if committed > max(end, worker.fold.next_offset):
                await self._seek(partition, worker.fold.next_offset, worker.fold.next_offset, log_port)
            elif worker.fold.next_offset < committed:
                await self._bridge(partition, worker, committed, log_port)

    async def _end_before(self, committed: int, partition: Partition, log_port: LogPort) -> int | None:
        """The end of a log that has answered no fetch for a while, as some brokers do when asked for what lies beyond
        it; None when it does not lie before `committed`, or is not known."""
        now_s = self.clock.monotonic_s()
        if not committed or now_s - self._silent_since_s.setdefault(partition, now_s) <= SILENT_S:
            return None
        self._silent_since_s[partition] = now_s  # after as long it is asked again
        try:
            async with asyncio.timeout(ASKED_S):
                end = await log_port.end_now(partition)
        except TimeoutError:
            return None
        return end if end < committed else None

    def _stands_at_a_seek(self, partition: Partition, committed: int) -> bool:
        """Nothing came of a seek back: a rebalance may have undone it, and a silent log would not remind us."""
        worker, sought = self.workers.get(partition), self._sought.get(partition)
        return (
            worker is not None
            and sought is not None
            and sought.offset == worker.fold.next_offset < committed
            and self.clock.monotonic_s() - sought.at_s >= SEEK_AGAIN_S
        )

    def fail(self, error: BaseException) -> None:
        """Ends the worker: an error that no retry can help must not be survived half-way."""
        if self.failure is None:
            self.failure = error
            log.error("worker_failed %s", error, exc_info=not isinstance(error, Exception) or None)
        self.failed.set()

    def tick(self) -> None:
        """Timer: flushes what is due, notices what went wrong in the background."""
        for worker in self.workers.values():
            if worker.failure is not None:
                self.fail(worker.failure)
            worker.tick()

    async def revoke(self, partitions: Iterable[Partition], *, timeout_s: float = REVOKE_FLUSH_S) -> None:
        """Brings the partitions to disk if the sinks allow it in time; a state that is not safe is forgotten."""
        partitions = list(partitions)
        self._adopted.difference_update(partitions)
        revoked = [(p, self.workers[p]) for p in partitions if p in self.workers]
        if not revoked:
            return
        tasks = [asyncio.ensure_future(w.flush(snapshot=True)) for _, w in revoked]
        await asyncio.wait(tasks, timeout=timeout_s)
        for (partition, worker), task in zip(revoked, tasks, strict=True):
            self._sought.pop(partition, None)
            self._short_since_s.pop(partition, None)
            self._silent_since_s.pop(partition, None)
            self._read_to.pop(partition, None)
            finished = task.done() and not task.cancelled() and task.exception() is None
            task.cancel()
            # Rows taken out for a flush that did not finish are in no memory but the log's: fold them again.
            if not finished or worker.acknowledged < worker.fold.next_offset:
                self.workers.pop(partition, None)

    async def _resume(self, partition: Partition, log_port: LogPort) -> PartitionWorker:
        worker = self.workers.get(partition)
        if worker is None:
            worker = self._new_worker(partition, log_port)
        if await worker.restore():
            log.info("partition_resumed partition=%s next_offset=%d", partition, worker.fold.next_offset)
            end = await log_port.end(partition)
            if end is not None and worker.fold.next_offset > end:
                await self._require_no_loss(partition, worker, log_port)
            mark = worker.fold.mark
            # Asked only for a record that must be there: of an expired log none would come, and we would wait for it.
            if mark is not None and mark.offset >= await log_port.earliest(partition):
                found = await log_port.first_at(partition, mark.offset)
                self._require_same_log(partition, worker, [] if found is None else [found])
        self.workers[partition] = worker  # not before: a chunk that comes meanwhile waits for the restored state
        return worker

    async def _watch_end(self, partition: Partition, worker: PartitionWorker, end: int, log_port: LogPort) -> None:
        """Raises LogError when the log has ended before our state does for LOSS_SEEN_S."""
        now_s = self.clock.monotonic_s()
        if worker.fold.next_offset <= end:
            self._short_since_s.pop(partition, None)
        elif now_s - self._short_since_s.setdefault(partition, now_s) > LOSS_SEEN_S:
            await self._require_no_loss(partition, worker, log_port)

    async def _require_no_loss(self, partition: Partition, worker: PartitionWorker, log_port: LogPort) -> None:
        """Raises LogError when the log ends before our state does.

        The log itself is asked: what the last fetch said may be older than our state. A worker that was frozen knows
        an end from before, and restores what the one that replaced it has saved since.
        """
        end = await log_port.end_now(partition)
        if worker.fold.next_offset > end:
            raise LogError(
                f"{partition.topic}[{partition.number}]: our state stands at offset {worker.fold.next_offset}, the "
                f"log ends at {end}: {self._lost_log(partition)}"
            )

    def _require_same_log(self, partition: Partition, worker: PartitionWorker, records: Sequence[RawRecord]) -> None:
        """Raises LogError when another record stands where the last one we folded stood."""
        mark = worker.fold.mark
        if mark is None or not records or records[0].offset > mark.offset:
            return
        if any(mark.contradicts(record) for record in records):
            raise LogError(
                f"{partition.topic}[{partition.number}]: the record at offset {mark.offset} is not the one we folded: "
                f"{self._lost_log(partition)}"
            )

    def _lost_log(self, partition: Partition) -> str:
        return (
            "the log lost records or was replaced under the same id. Restore the log, or remove this partition's "
            f"snapshots ({self.snapshots(partition).where}) to start over from what is left."
        )

    async def _bridge(self, partition: Partition, worker: PartitionWorker, first: int, log_port: LogPort) -> bool:
        """True when the chunk at `first` may be folded although it lies beyond the next offset."""
        next_offset = worker.fold.next_offset
        earliest = await log_port.earliest(partition)
        if next_offset < earliest:
            if next_offset > 0 or await asyncio.to_thread(self.snapshots(partition).any):
                raise LogError(
                    f"{partition.topic}[{partition.number}]: records {next_offset}..{earliest - 1} are needed and "
                    "the log no longer has them (retention is shorter than the outage). Results for them cannot be "
                    "made. Set MURMUR_FOLD_VERSION to a new number to recompute from what is left."
                )
            log.warning("log_starts_late partition=%s earliest=%d", partition, earliest)
            worker.fold.next_offset = next_offset = earliest
        now_s = self.clock.monotonic_s()
        sought = self._sought.get(partition)
        if sought is not None and sought.offset == next_offset:
            if first == sought.first:
                return True  # what the seek was for, though it does not stand exactly there
            if now_s - sought.at_s < SEEK_AGAIN_S:
                return False  # a chunk fetched before the seek took effect
        record = None if first == next_offset else await log_port.first_at(partition, next_offset)
        found = first if record is None else record.offset
        if found >= first:
            return True  # the offsets between hold no records
        log.info("seek_back partition=%s from=%d to=%d", partition, first, next_offset)
        await self._seek(partition, next_offset, found, log_port)
        return False

    async def _seek(self, partition: Partition, offset: int, first: int, log_port: LogPort) -> None:
        """Reads on at `offset`, where the record at `first` is the next there is."""
        self._sought[partition] = _Seek(offset, first, self.clock.monotonic_s())
        await log_port.seek(partition, offset)

    def _new_worker(self, partition: Partition, log_port: LogPort) -> PartitionWorker:
        origin = Origin(self.log_ids[partition.topic], partition.topic, partition.number, self.settings.fold_version)
        return PartitionWorker(
            key=log_port.key(partition),
            fold=PartitionFold(origin, self._config, self._source(partition.topic), self.counters),
            sinks=self._sinks,
            snapshots=self.snapshots(partition),
            checkpoints=log_port.checkpoints,
            settings=self.settings,
            clock=self.clock,
            turns=self._turns,
        )

    def snapshots(self, partition: Partition) -> SnapshotStore:
        """The snapshots of a partition of the current log, under this engine's version and configuration."""
        header = SnapshotHeader(
            format=FORMAT,
            fold_version=self.settings.fold_version,
            config=self._config.fingerprint(),
            log_id=self.log_ids[partition.topic],
            topic=partition.topic,
            partition=partition.number,
            next_offset=0,
            database_id=self._database_id,
        )
        return self._open_snapshots(header)

    def _source(self, topic: str) -> Source:
        if topic == full_name(self.settings, METRICS):
            return MetricSource()
        return ActivitySource(self._config.prices)
