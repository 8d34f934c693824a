"""From the buffers to the broker: the one loop that batches, sends, resends, and spools.

In: the two buffers. Out: acknowledged records, and a count for everything else.
Never: sends a newer record of the live producer while an older one is in doubt; runs in the agent's thread.

A record's way: buffer -> (spool, while the broker is away or too slow) -> window in flight -> acknowledged.
The spool is always older than the buffer, so it is drained first: oldest first, over restarts too.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from murmur.buffer import Buffer
from murmur.clock import monotonic_s
from murmur.encoder import Encoder
from murmur.options import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    IN_FLIGHT_BYTES_MAX,
    IN_FLIGHT_EVENTS_MAX,
    IN_FLIGHT_RECORDS_MAX,
    Options,
)
from murmur.producer import KafkaProducer, enter, log
from murmur.record import Record
from murmur.spool import Spool
from murmur.stats import Stats

SPILL_AT_RATIO = 0.5  # of a buffer's bound: the other half is the agent's room while a chunk goes to disk
SPOOL_RETRY_S = 5.0  # after the disk refused


class Delivery:
    """Runs on one event loop: that of the publisher's thread, or the caller's own."""

    def __init__(
        self,
        options: Options,
        metrics: Buffer[Any],
        activities: Buffer[Any],
        *,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        self.wake_requested = False  # set by emit(); kept here so that a burst wakes the loop once
        self._counts = Stats()
        self._options = options
        self._metrics = metrics
        self._activities = activities
        self._breathe = breathe  # lets a waiting agent thread run between two records
        self._encoder = Encoder(options)
        self._producer = KafkaProducer(options)
        root, bytes_max = options.spool_dir, options.spool_bytes_max
        self._spool = Spool(Path(root), bytes_max=bytes_max) if root is not None else None
        self._spool_rest_until_s = 0.0
        self._unspooled: deque[Record] = deque()  # the one chunk that a full disk refused
        self._ready: deque[Record] = deque()  # encoded, not sent
        self._window: list[Record] = []  # sent, or about to be; not acknowledged
        self._held_events = 0  # in the three above
        self._wake = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._jitter = random.Random()  # spreads the retries of many agents
        # Metrics of one key fill a record; with a key per agent a longer run fills a record for each of them.
        self._chunk = options.batch_events_max if options.key_by == "swarm" else IN_FLIGHT_EVENTS_MAX

    def wake(self) -> None:
        """A batch is full, or somebody waits: do not wait for the batch age."""
        self._wake.set()

    async def run(self) -> None:
        """Delivers until cancelled; what is left then is for `finish`."""
        enter()
        spiller: asyncio.Task[None] | None = None
        if self._spool is not None:
            self._on_disk(self._spool.adopt)
            spiller = asyncio.create_task(self._spill_forever())
        try:
            while True:
                await self._wait_for_work()
                try:
                    await self._drain(len(self._metrics) + len(self._activities))
                except Exception as error:  # a mistake of ours must not silence the agent for good
                    self._counts.last_error = f"internal error: {error!r}"
                    log.exception("delivery_error")
                    await asyncio.sleep(BACKOFF_MAX_S)
        finally:
            if spiller is not None:
                spiller.cancel()
                await asyncio.gather(spiller, return_exceptions=True)
            await self._producer.abort()

    async def flushed(self) -> None:
        """Returns when every event given before the call is acknowledged, dropped or refused."""
        totals = self.stats()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((totals.emitted + totals.recovered, future))
        self._release_waiters()
        self.wake()
        await future

    def finish(self) -> None:
        """After `run`: keeps what is left in the spool, or counts it as dropped."""
        self._encode(len(self._metrics) + len(self._activities))
        own = [record for record in self._window if record.on_done is None]
        self._held_events -= sum(record.events for record in self._window if record.on_done is not None)
        for record in (*own, *self._unspooled, *self._ready):
            self._held_events -= record.events
            if self._spool is None or not self._on_disk(partial(self._spool_append, record)):
                self._counts.dropped_closed += record.events
        self._window, self._ready, self._unspooled = [], deque(), deque()
        if self._spool is not None:
            self._note_spool()
            self._counts.spool_events += self._spool.unacknowledged_events
            self._on_disk(self._spool.close)
        self._release_waiters()

    def abandon(self) -> None:
        """In a forked child: everything here is the parent's."""
        if self._spool is not None:
            self._spool.abandon()

    def stats(self) -> Stats:
        """The counts of this moment; may be called from any thread."""
        metrics, metrics_waiting, metrics_dropped, metrics_refused = self._metrics.counts()
        activities, activities_waiting, activities_dropped, activities_refused = self._activities.counts()
        encoder = self._encoder
        return replace(
            self._counts,
            emitted=metrics + activities + encoder.expanded,
            dropped_buffer_full=metrics_dropped + activities_dropped,
            dropped_closed=self._counts.dropped_closed + metrics_refused + activities_refused,
            dropped_sampled=encoder.sampled,
            dropped_invalid=self._counts.dropped_invalid + encoder.invalid,
            invalid_reason=encoder.invalid_reason or self._counts.invalid_reason,
            buffered=metrics_waiting + activities_waiting + self._held_events,
            connected=self._producer.connected,
        )

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(self._options.batch_age_ms / 1000):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        self.wake_requested = False

    async def _drain(self, quota: int) -> None:
        """Sends what waits in the spool, then `quota` events of the buffers; later ones wait for company."""
        backoff_s = BACKOFF_MIN_S
        while True:
            quota -= self._fill_window(quota)
            self._release_waiters()
            if not self._window:
                return
            if await self._deliver_window():
                backoff_s = BACKOFF_MIN_S
                continue
            await asyncio.sleep(backoff_s * self._jitter.uniform(0.5, 1.0))
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _fill_window(self, quota: int) -> int:
        """Gathers the next records to send, oldest first. Returns how many buffered events that took."""
        if self._window:
            return 0
        if not self._ready and self._spool is not None:
            self._on_disk(self._read_spool)
            self._ready.extend(self._unspooled)
            self._unspooled.clear()
        used = 0
        waiting = sum(record.events for record in self._ready)
        while used < quota and waiting < IN_FLIGHT_EVENTS_MAX and len(self._ready) < IN_FLIGHT_RECORDS_MAX:
            before = len(self._ready)
            used += self._encode(min(self._chunk, quota - used)) or quota
            waiting += sum(self._ready[i].events for i in range(before, len(self._ready)))
        room_bytes = IN_FLIGHT_BYTES_MAX
        while self._ready and len(self._window) < IN_FLIGHT_RECORDS_MAX and room_bytes > 0:
            record = self._ready.popleft()
            room_bytes -= len(record.value)
            self._window.append(record)
        return used

    def _encode(self, count: int) -> int:
        """Moves up to `count` events from the buffers to `_ready`; returns how many it took."""
        taken = 0
        while taken < count:
            activities = self._activities.take(count - taken)
            metrics = self._metrics.take(min(self._chunk, count - taken - len(activities)))
            if not activities and not metrics:
                break
            taken += len(activities) + len(metrics)
            records = self._encoded(activities, metrics)
            self._ready.extend(records)
            self._held_events += sum(record.events for record in records)
            self._breathe()
        return taken

    def _encoded(self, activities: list[Any], metrics: list[Any]) -> list[Record]:
        """Nothing an agent passes may stop the delivery: what cannot be encoded is counted as invalid."""
        records: list[Record] = []
        for encode, chunk in ((self._encoder.activities, activities), (self._encoder.metrics, metrics)):
            try:
                records.extend(encode(chunk))
            except Exception as error:
                self._counts.dropped_invalid += len(chunk)
                self._counts.invalid_reason = self._counts.invalid_reason or f"cannot be encoded: {error!r}"
        return records

    async def _deliver_window(self) -> bool:
        """One round trip. False when it brought nothing forward."""
        counts = self._counts
        counts.sent_records += len(self._window)
        counts.sent_bytes += sum(len(record.value) for record in self._window)
        outcome = await self._producer.send(self._window)
        for record in outcome.acknowledged:
            counts.acknowledged += record.events
            if record.topic == self._options.activities_topic:
                counts.acknowledged_activities += record.events
            else:
                counts.acknowledged_metrics += record.events
            self._done(record)
        for record, reason in outcome.refused:
            counts.dropped_invalid += record.events
            counts.invalid_reason = counts.invalid_reason or reason
            self._done(record)
        in_doubt = set(map(id, outcome.in_doubt))
        self._window = [record for record in self._window if id(record) in in_doubt]
        counts.retried_records += len(self._window)
        counts.last_error = outcome.error or counts.last_error
        self._release_waiters()
        return bool(outcome.acknowledged or outcome.refused) or not self._window

    def _done(self, record: Record) -> None:
        self._held_events -= record.events
        if record.on_done is not None:
            self._on_disk(partial(record.on_done, record))

    def _release_waiters(self) -> None:
        if not self._waiters:
            return
        totals = self.stats()
        resolved = totals.acknowledged + totals.dropped
        for target, future in self._waiters:
            if resolved >= target and not future.done():
                future.set_result(None)
        self._waiters = [(target, future) for target, future in self._waiters if not future.done()]

    async def _spill_forever(self) -> None:
        """Moves the oldest buffered events to disk: all of them while the broker is away, else above a mark."""
        while True:
            await asyncio.sleep(self._options.batch_age_ms / 1000)
            for buffer in (self._activities, self._metrics):
                mark = 0 if self._producer.failing else int(buffer.bound * SPILL_AT_RATIO)
                while (len(buffer) > mark or self._unspooled) and monotonic_s() >= self._spool_rest_until_s:
                    if not self._unspooled:
                        chunk = buffer.take(min(self._chunk, len(buffer) - mark))
                        kinds = ([], chunk) if buffer is self._metrics else (chunk, [])
                        self._unspooled.extend(self._encoded(*kinds))
                        self._held_events += sum(record.events for record in self._unspooled)
                    self._on_disk(self._spill_chunk)
                    self._breathe()
                    await asyncio.sleep(0)
            self._release_waiters()

    def _spill_chunk(self) -> None:
        while self._unspooled:
            self._spool_append(self._unspooled[0])
            self._held_events -= self._unspooled.popleft().events

    def _spool_append(self, record: Record) -> None:
        assert self._spool is not None
        self._spool.append(record)
        self._note_spool()

    def _read_spool(self) -> None:
        assert self._spool is not None
        if self._spool.unread_events:
            records = self._spool.read(IN_FLIGHT_RECORDS_MAX)
            self._ready.extend(records)
            self._held_events += sum(record.events for record in records)
        self._note_spool()

    def _note_spool(self) -> None:
        spool, counts = self._spool, self._counts
        assert spool is not None
        counts.spooled, counts.recovered = spool.spooled_events, spool.recovered_events
        counts.dropped_spool_full = spool.dropped_events
        counts.dropped_spool_corrupt = spool.corrupt_events
        counts.spool_events, counts.spool_bytes = spool.unread_events, spool.bytes_on_disk

    def _on_disk(self, action: Callable[[], object]) -> bool:
        """Runs a spool action; a disk that refuses is a transport failure, not an exception."""
        try:
            action()
        except OSError as error:
            self._spool_rest_until_s = monotonic_s() + SPOOL_RETRY_S
            self._counts.last_error = f"spool {self._options.spool_dir}: {error.strerror or error}"
            log.warning("spool_unavailable dir=%s error=%s", self._options.spool_dir, error)
            return False
        return True
