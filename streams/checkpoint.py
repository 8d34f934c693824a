"""One source partition in a worker: fold, flush, snapshot, commit, in this order and no other.

In: chunks of records of one partition. Out: acknowledged rows, snapshots, the offset Faust may commit.
Never: lets an offset be committed whose rows are not acknowledged and whose state is not on disk.

1. fold the chunk (synchronous; nothing else sees a half-folded record);
2. flush: write the rows to every sink and await every acknowledgement, retrying for as long as it takes;
3. snapshot the state as it stood when the flush began, tmp -> fsync -> rename;
4. publish that offset in `checkpoints`; Faust commits it within its interval.

    committed <= snapshot <= shown <= acknowledged <= folded

Folding goes on during a flush; at most one flush of a partition is in flight. When the rows waiting outgrow
`flush_rows_max`, `fold` waits for the flush: that is the back-pressure. Anomalies of a live log go ahead of the flush,
which is acknowledged after them.

A worker that is catching up flushes when many rows wait and not every second: few large inserts cost the stores a
fraction of many small ones. It leaves rows of open windows out of most flushes. `shown` is the offset below which every
record has left all its rows, also those of open windows; a state is saved only together with them.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from models.clock import Clock
from models.codecs.records import RawRecord
from models.error_codes import ErrorCode
from models.rows import DEAD_LETTERS
from models.settings import Settings
from sinks.base import RejectedRow, RetryableSinkError, Sink
from sinks.delivery import deliver
from streams.fold import PartitionFold
from streams.outputs import ANOMALIES
from streams.result_rows import VERSION_SHIFT
from streams.snapshots import SnapshotStore
from streams.turns import Turns

log = logging.getLogger(__name__)

CATCHING_UP_S: Final = 2.0  # a worker that has been behind the log for so long counts as catching up
CATCH_UP_INTERVAL_S: Final = 5.0  # then it flushes this often unless enough rows wait, and open windows only this often
OVERFLOW_TOLD_S: Final = 60.0  # how often a worker says that windows find no room: once a minute is read, more is not
TELLING_MAX: Final = 100  # writes of anomalies while one store is away; what comes then goes with the flush


class PartitionWorker:
    """Owns the fold of one partition. `checkpoints` is Faust's consumer's; `key` is this partition in it.

    `turns` is shared by all partitions of a worker: it bounds what they hold on its way at once.
    """

    def __init__(
        self,
        *,
        key: Any,
        fold: PartitionFold,
        sinks: Sequence[Sink],
        snapshots: SnapshotStore,
        checkpoints: MutableMapping[Any, int],
        settings: Settings,
        clock: Clock,
        turns: Turns,
    ) -> None:
        self.fold = fold
        self.acknowledged = self.shown = fold.next_offset
        self.snapshot_offset = fold.next_offset
        self.error: str | None = None  # of the sink or disk it is waiting for
        self.rows_in_flight = 0  # taken out of the fold for the flush under way
        self._key = key
        self._sinks = sinks
        self._snapshots = snapshots
        self._checkpoints = checkpoints
        self._settings = settings
        self._clock = clock
        self._turns = turns
        self._flush_lock = asyncio.Lock()
        self._flush_task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()  # anomalies on their way, ahead of the flush they belong to
        self._lost: BaseException | None = None  # ended a flush whose rows are now in no memory but the log's
        self._last_flush_s = self._last_snapshot_s = self._last_open_s = clock.monotonic_s()
        self._behind_since_s: float | None = None  # since when the log holds more than is in hand
        self._overflow_events = 0  # since they were last told of
        self._overflow_told_s = -OVERFLOW_TOLD_S

    async def restore(self) -> bool:
        """Loads the newest snapshot if it is ahead of the state in memory; True when it did.

        What is durable may be committed again: the commit of an earlier owner may have been lost in a rebalance, and
        in a silent log no later one would make up for it.
        """
        snapshot = await asyncio.to_thread(self._snapshots.newest)
        ahead = snapshot is not None and snapshot.header.next_offset > self.fold.next_offset
        if snapshot is not None and ahead:
            self.fold.restore(snapshot.state)
            self.acknowledged = self.shown = self.snapshot_offset = self.fold.next_offset
        if self.snapshot_offset:
            self._checkpoints[self._key] = self.snapshot_offset
        return ahead

    async def add(self, records: Sequence[RawRecord], *, behind: int = 0) -> None:
        """Folds a chunk; waits for the sinks when too many rows are waiting.

        `behind`: records of the partition that the log holds after these.
        """
        overflow_events = self.fold.counters.overflow_events
        self.fold.fold(records)
        self._tell_overflow(self.fold.counters.overflow_events - overflow_events)
        if behind <= len(records):  # no more than another such chunk: this is what keeping up looks like
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = self._clock.monotonic_s()
        self._tell_soon()
        waiting = self.fold.outputs.rows
        if waiting >= self._settings.flush_rows_max:
            await self.flush()
        elif self._flush_due() or waiting >= self._settings.flush_rows_max // 2:
            self.flush_soon()

    def _tell_overflow(self, events: int) -> None:
        """Warns of events without room for their windows, as long as it lasts."""
        self._overflow_events += events
        now_s = self._clock.monotonic_s()
        if self._overflow_events and now_s - self._overflow_told_s >= OVERFLOW_TOLD_S:
            log.warning(
                "windows_overflow partition=%s events=%d found no room among the %d windows of a size that may be "
                "open; they count, but in parts that are not scored: look for names made anew for every event, "
                "or raise MURMUR_OPEN_WINDOWS_MAX with a new MURMUR_FOLD_VERSION",
                self._key,
                self._overflow_events,
                self._settings.open_windows_max,
            )
            self._overflow_events, self._overflow_told_s = 0, now_s

    def _tell_soon(self) -> None:
        """Starts writing anomalies that somebody may act on now; on the history of a log nobody does."""
        live = self._behind_since_s is None and self._lost is None
        if self.fold.outputs.urgent and live and len(self._telling) < TELLING_MAX:
            telling = asyncio.get_running_loop().create_task(self._tell())
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            telling.add_done_callback(_log_failure)

    async def _tell(self) -> None:
        """Writes the anomalies that wait. The flush that takes the rest is acknowledged only after this."""
        anomalies = self.fold.outputs.take_anomalies()
        if anomalies is None:
            return
        try:
            await self._write({ANOMALIES: anomalies.unify_dictionaries()})
        except BaseException as error:  # cancellation included
            self._lost = error
            raise

    def flush_soon(self) -> None:
        """Starts a flush in the background unless one is in flight."""
        if self._flush_task is None or self._flush_task.done():
            self._flush_task = asyncio.get_running_loop().create_task(self.flush())
            # An error that no retry can help ends the worker: see Engine.watch.
            self._flush_task.add_done_callback(_log_failure)

    def tick(self) -> None:
        """Called by a timer: writes anomalies, and flushes what has waited for longer than the interval."""
        self._tell_soon()
        if self._flush_due():
            self.flush_soon()

    @property
    def failure(self) -> BaseException | None:
        """The error that ended a flush, if one did. A cancelled flush is none: who cancels it has given us up."""
        if self._lost is not None:
            return self._lost if isinstance(self._lost, Exception) else None
        task = self._flush_task
        if task is None or not task.done() or task.cancelled():
            return None
        return task.exception()

    async def flush(self, *, snapshot: bool = False) -> None:
        """Steps 2 to 4 for everything folded so far. Raises PermanentSinkError, or OSError from nobody's retry.

        A flush that does not finish is this worker's last: acknowledging what comes after its rows would lose them.
        """
        async with self._flush_lock:
            if self._lost is not None:
                raise self._lost
            # Waiting for its turn, a partition holds no second form of what the fold holds anyway.
            async with self._turns.of(self.fold.outputs.rows):
                await self._flush(snapshot=snapshot)

    async def _flush(self, *, snapshot: bool) -> None:
        # Taken before the first await, so that rows, state and offset belong together.
        at = self.fold.next_offset
        self._last_flush_s = self._clock.monotonic_s()
        due = snapshot or self._snapshot_due()
        open_windows = due or self._shows_open_windows()
        if open_windows:
            self._last_open_s = self._last_flush_s
        outputs = self.fold.take_outputs(open_windows=open_windows)
        self.rows_in_flight = outputs.rows
        telling = list(self._telling)
        state = self.fold.state() if due and at > self.snapshot_offset else None
        try:
            if outputs.rows:
                await self._write(await asyncio.to_thread(outputs.batch))
            await asyncio.gather(*telling)
        except BaseException as error:  # cancellation included
            self._lost = error
            raise
        self.acknowledged = at
        if open_windows:
            self.shown = at
        self.rows_in_flight = 0
        if state is None or await self._save(state, at):
            self.error = None

    async def _write(self, batch: Mapping[str, pa.Table]) -> None:
        """To all sinks at once: what goes to a topic does not wait for the inserts, nor for a store that is away."""
        deliveries = [asyncio.ensure_future(self._deliver(sink, batch)) for sink in self._sinks]
        try:
            refused = [row for rows in await asyncio.gather(*deliveries) for row in rows]
        except BaseException:
            for one in deliveries:
                one.cancel()
            raise
        if refused:
            await self._write_rejected(refused)

    async def _deliver(self, sink: Sink, batch: Mapping[str, pa.Table]) -> list[RejectedRow]:
        wanted = {name: table for name, table in batch.items() if name in sink.tables}
        if not wanted:
            return []
        return (await deliver(sink, wanted, on_retry=self._on_retry)).rejected

    async def _write_rejected(self, rejected: Sequence[RejectedRow]) -> None:
        """Rows a store refuses for good become dead letters themselves."""
        letters = pa.Table.from_pylist([_dead_letter(r, self.fold) for r in rejected], schema=DEAD_LETTERS)
        self.fold.counters.dead_letters += len(rejected)
        for sink in self._sinks:
            for refused in await self._deliver(sink, {"dead_letters": letters}):
                log.error("dead_letter_refused sink=%s reason=%s", sink.name, refused.reason)

    async def _save(self, state: bytes, at: int) -> bool:
        """Writes the snapshot and lets Faust commit it; False when the store refuses."""
        try:
            await asyncio.to_thread(self._snapshots.save, state, at)
        except OSError as error:
            # Nothing is wrong but the store: go on folding, do not commit, say so. The next flush tries again.
            self.error = f"snapshot at {at} cannot be written to {self._snapshots.where}: {error}"
            log.error("snapshot_failed partition=%s %s", self._key, self.error)
            return False
        self.snapshot_offset = at
        self._last_snapshot_s = self._clock.monotonic_s()
        self._checkpoints[self._key] = at
        return True

    def _on_retry(self, error: RetryableSinkError, attempts: int, pause_s: float) -> None:
        self.error = str(error)
        log.warning("sink_retry partition=%s attempts=%d pause_s=%.1f %s", self._key, attempts, pause_s, error)

    def _flush_due(self) -> bool:
        age_s = self._clock.monotonic_s() - self._last_flush_s
        due = (
            self.fold.next_offset > self.acknowledged
            or (self.fold.next_offset > self.snapshot_offset and self._snapshot_due())
            or (self.shown < self.acknowledged and self._shows_open_windows())
        )
        interval_s = self._settings.flush_interval_ms / 1_000
        return due and age_s >= (max(interval_s, CATCH_UP_INTERVAL_S) if self._catching_up() else interval_s)

    def _catching_up(self) -> bool:
        return self._behind_since_s is not None and self._clock.monotonic_s() - self._behind_since_s > CATCHING_UP_S

    def _shows_open_windows(self) -> bool:
        """A worker that is catching up shows open windows less often: most are closed before anyone could look."""
        return not self._catching_up() or self._clock.monotonic_s() - self._last_open_s >= CATCH_UP_INTERVAL_S

    def _snapshot_due(self) -> bool:
        age_s = self._clock.monotonic_s() - self._last_snapshot_s
        return age_s * 1000 >= self._settings.snapshot_interval_ms


def _dead_letter(refused: RejectedRow, fold: PartitionFold) -> dict[str, Any]:
    row: dict[str, Any] = {k: v for k, v in refused.row.items() if k != "payload"}
    payload = msgspec.json.encode(row, enc_hook=str)
    if "ver" not in row:  # the row of one event
        offset, idx = row["offset"], row["idx"]
    else:
        # Made of many events, so it has no place in a record. An idx below -1 never takes the place of an event's
        # letter and tells refused rows apart; the same row refused again is the same letter.
        offset, idx = row["ver"] % (1 << VERSION_SHIFT), -2 - (zlib.crc32(payload) >> 2)
    return {
        "topic": fold.origin.topic,
        "partition": fold.origin.partition,
        "offset": offset,
        "idx": idx,
        "log_id": fold.origin.log_id,
        "error_code": str(ErrorCode.SINK_REJECTED),
        "reason": f"table {refused.table}: {refused.reason}"[:500],
        "payload": payload,
        "payload_bytes": len(payload),
        "content_type": "",
        "appended_at": row.get("appended_at"),
    }


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("flush_failed %s", task.exception())
