"""One worker process: start, readiness, watch, graceful stop with one shared deadline.

In: settings. Out: exit code 0 after SIGTERM or SIGINT, 1 for an error no retry can help (printed as one line).
Never: stays half-alive: whatever fails for good ends the process, and the supervisor starts it from its snapshots.

    python -m streams.worker [--name worker-1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import faust

from models.anomaly import load_river
from models.clock import SystemClock
from models.control.policy import PolicyError
from models.prices import PriceBook, PriceFileError
from models.settings import Settings, SettingsError, load
from sinks.base import PermanentSinkError, RetryableSinkError, Sink, SinkError
from sinks.clickhouse import folds
from sinks.clickhouse.prices import publish_prices
from sinks.clickhouse.sink import ClickHouseSink, DatabaseReplacedError
from sinks.control import read_policy
from sinks.delivery import backoff_s
from sinks.registry import build
from streams import allocators, logs
from streams.activation import until_caught_up
from streams.app import (
    TransportError,
    assignment,
    build_app,
    committed_offset,
    damage,
    damage_told,
    member_id,
    transport_failure,
    transport_of,
)
from streams.brake import BadInputError
from streams.engine import Engine, LogError, Partition
from streams.log_probe import first_record
from streams.membership import Membership
from streams.progress import STALLED_S, ProgressWatch
from streams.snapshots import SnapshotError
from streams.status import head, snapshot_of, status_path, write_status
from streams.topics import (
    ANOMALIES,
    CONTROL,
    DEAD_LETTERS,
    WINDOWS,
    BrokerAwayError,
    TopicError,
    ensure_topics,
    full_name,
    log_ids,
)
from streams.worker_name import WorkerNameError, claim

log = logging.getLogger("streams.worker")

STOP_S: Final = 9.0  # everything a graceful stop may take: orchestrators kill after 10 s
FLUSH_ON_STOP_S: Final = 5.0
STATUS_INTERVAL_S: Final = 1.0
START_RETRY_S: Final = 1.0  # first pause while the broker is away; doubles up to sinks.delivery.BACKOFF_S_MAX
PROBE_TIMEOUT_S: Final = 2.0  # a record that lies in the log is there at once
WATCH_INTERVAL_S: Final = 10.0  # how soon a replaced log, or a server that is away, is noticed
# Python's default is a garbage pass every 700 allocations, which tripled the cost of a consumed record: 0.34 us against
# 1.1 us. Records are no part of cycles; 50,000 containers that were bound at most some 25 MB of garbage.
GC_ALLOCATIONS: Final = 50_000
GC_GENERATIONS: Final = (20, 50)  # passes of a generation before the next older one is looked at
SINK_TOPICS: Final = {
    "windows": WINDOWS,
    "swarm_windows": WINDOWS,
    "anomalies": ANOMALIES,
    "dead_letters": DEAD_LETTERS,
    "advisories": CONTROL,
}
EXPECTED: Final = (
    SinkError,
    TopicError,
    LogError,
    TransportError,
    SnapshotError,
    BadInputError,
    SettingsError,
    PriceFileError,
    PolicyError,
)


def run(settings: Settings, name: str) -> int:
    """Runs until told to stop; returns the exit code."""
    logs.configure(settings.log_level)
    allocators.settle()
    load_river()
    gc.freeze()  # what is loaded by now lives as long as the process: no pass needs to look at it
    gc.set_threshold(GC_ALLOCATIONS, *GC_GENERATIONS)
    try:
        claim(settings.home, name)
    except (WorkerNameError, OSError) as error:
        print(f"murmur worker: {error}", file=sys.stderr)  # noqa: T201 - the one line the operator reads
        return 2 if isinstance(error, WorkerNameError) else 1
    try:
        import uvloop

        PriceBook.load(settings.prices_file)  # a mistake in it is told before anything is waited for
        if settings.control_policy_file is not None:
            read_policy(settings.control_policy_file)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Worker(settings, name).main())
    except EXPECTED as error:
        reason = "; ".join(str(error).splitlines())
        print(f"murmur worker: {reason}", file=sys.stderr)  # noqa: T201 - as above
        return 1


class _Worker:
    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._clock = SystemClock()
        self._stop = asyncio.Event()
        self._membership = Membership(settings, name)
        self._identities: dict[str, str] = {}  # full topic name -> id of its log
        self._unreachable: str | None = None  # what the last look at broker and sinks found wrong

    async def main(self) -> int:
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._stop.set)
        if not await self._until_up("Kafka", self._prepare_log):
            return 0
        await self._membership.end_last()
        sinks = build(self._settings, {t: full_name(self._settings, n) for t, n in SINK_TOPICS.items()})
        for sink in sinks:
            if not await self._until_up(sink.name, sink.start):
                return 0
        identities = self._identities
        try:
            engine = Engine(
                self._settings,
                sinks=sinks,
                log_ids=identities,
                clock=self._clock,
                database_id="".join(sink.database_id for sink in sinks if isinstance(sink, ClickHouseSink)),
            )
            config = engine.fingerprint
            shown = await asyncio.to_thread(folds.announce, self._settings, config=config, logs=identities)
            now_ms = self._clock.now_ms()
            await asyncio.to_thread(publish_prices, self._settings, engine.prices, now_ms=now_ms)
        except Exception:
            for sink in sinks:  # else their clients complain after the reason, which shall be the last line
                await sink.close()
            raise
        app = build_app(self._settings, engine)
        starting = asyncio.ensure_future(app.start())
        watchers = [
            asyncio.ensure_future(self._report(engine, app)),
            asyncio.ensure_future(_watch_transport(engine, app, starting)),
            asyncio.ensure_future(self._watch_progress(engine, app)),
            asyncio.ensure_future(self._watch_servers(engine, identities, sinks)),
            asyncio.ensure_future(_watch_memory()),
        ]
        if not shown:
            watchers.append(asyncio.ensure_future(self._activate_when_caught_up(engine)))
        for watcher in watchers:
            watcher.add_done_callback(partial(_must_not_fail, engine))
        stop, failed = asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(engine.failed.wait())
        await asyncio.wait([stop, failed], return_when=asyncio.FIRST_COMPLETED)
        for task in (stop, failed, *watchers):
            task.cancel()
        clean = engine.failure is None
        await self._shut_down(engine, app, starting, sinks, flush=clean)
        if engine.failure is not None:
            if isinstance(engine.failure, EXPECTED):
                print(f"murmur worker: {engine.failure}", file=sys.stderr)  # noqa: T201 - as above
            else:
                log.error("worker_crashed", exc_info=engine.failure)
        # Everything is durable by now; Faust's threads must not hold the process any longer.
        os._exit(0 if clean else 1)

    async def _prepare_log(self) -> None:
        await ensure_topics(self._settings)
        self._identities = await log_ids(self._settings)

    async def _until_up(self, what: str, start: Callable[[], Awaitable[None]]) -> bool:
        """Tries until `start` succeeds and says why it waits; False when told to stop meanwhile."""
        attempts = 0
        while not self._stop.is_set():
            try:
                await start()
                return True
            except (RetryableSinkError, BrokerAwayError) as error:
                attempts += 1
                pause_s = backoff_s(attempts, getattr(error, "retry_after_s", START_RETRY_S))
                log.warning("waiting_for what=%s pause_s=%.1f %s", what, pause_s, error)
                self._write_waiting(str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause_s)
        return False

    def _write_waiting(self, error: str) -> None:
        status = head(name=self._name, state="stalled", error=error, clock=self._clock)
        write_status(status_path(self._settings.home, self._name), status)

    async def _report(self, engine: Engine, app: faust.App) -> None:
        """Rewrites the status file every second."""
        path = status_path(self._settings.home, self._name)
        while True:
            try:
                status = snapshot_of(
                    engine,
                    name=self._name,
                    transport=transport_of(app, engine),
                    clock=self._clock,
                    unreachable=self._unreachable or damage_told(app),
                )
                write_status(path, status)
                self._membership.note(member_id(app))
            except OSError as error:
                log.warning("status_not_written %s", error)
            await asyncio.sleep(STATUS_INTERVAL_S)

    async def _activate_when_caught_up(self, engine: Engine) -> None:
        """A new fold version is shown when its group has caught up with every partition of the log."""
        await until_caught_up(self._settings, self._clock)
        attempts = 0
        while True:
            try:
                config, logs = engine.fingerprint, self._identities
                await asyncio.to_thread(folds.activate, self._settings, config=config, logs=logs)
            except RetryableSinkError as error:
                attempts += 1
                log.warning("fold_not_activated %s", error)
                await asyncio.sleep(backoff_s(attempts, error.retry_after_s))
                continue
            log.info("fold_activated version=%d", self._settings.fold_version)
            return

    async def _watch_servers(self, engine: Engine, identities: dict[str, str], sinks: list[Sink]) -> None:
        """Looks at broker and sinks now and then, so that the status tells of a fault also while nothing is written."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            looks = (self._watch_identity(engine, identities), *(sink.health() for sink in sinks))
            found = await asyncio.gather(*looks, return_exceptions=True)
            for replaced in (e for e in found if isinstance(e, DatabaseReplacedError)):
                engine.fail(replaced)
            # Not a PermanentSinkError: what a write does not mind (a schema already newer than us) stalls nobody, and
            # what it does mind ends the worker.
            faults = [e for e in found if isinstance(e, Exception) and not isinstance(e, PermanentSinkError)]
            fault = " ".join(str(faults[0]).split()) if faults else None
            if fault is not None and self._unreachable is None:
                log.warning("server_fault %s", fault)
            self._unreachable = fault

    async def _watch_progress(self, engine: Engine, app: faust.App) -> None:
        """Ends the worker when a record waits in the log, nothing is known to be wrong, and it is not folded."""
        watch = ProgressWatch()
        while True:
            offsets = {} if self._unreachable or app.rebalancing else _next_offsets(engine, app)
            standing = watch.look(offsets, self._clock.monotonic_s())
            for partition in standing:
                watch.forget(partition)
            await asyncio.gather(*(self._probe(engine, app, p, offsets[p]) for p in standing))
            await asyncio.sleep(STATUS_INTERVAL_S)

    async def _probe(self, engine: Engine, app: faust.App, partition: Partition, offset: int) -> None:
        try:
            record = await first_record(
                self._settings, partition.topic, partition.number, offset, timeout_s=PROBE_TIMEOUT_S
            )
        except BrokerAwayError:
            return  # `_watch_servers` tells of it
        if record is not None and _next_offsets(engine, app).get(partition) == offset:
            engine.fail(
                TransportError(
                    f"{partition.topic}[{partition.number}]: the record at offset {record.offset} has been in the log "
                    f"and was not read for {STALLED_S:g} s, though broker and stores answer: the worker must be "
                    "started again"
                )
            )

    async def _watch_identity(self, engine: Engine, identities: dict[str, str]) -> None:
        """Ends the worker when a log was replaced under its feet: its offsets mean something else now."""
        found = await log_ids(self._settings, timeout_s=0)
        if found != identities:
            engine.fail(
                LogError(
                    f"the log behind {sorted(n for n in found if found[n] != identities[n])} was replaced "
                    "(new topic id): restarting on the new log; results of the old one are kept"
                )
            )

    async def _shut_down(
        self, engine: Engine, app: faust.App, starting: asyncio.Future[None], sinks: list[Sink], *, flush: bool
    ) -> None:
        """Flush, snapshot, commit, leave the group, close: all within STOP_S."""
        try:
            async with asyncio.timeout(STOP_S):
                if flush:
                    await engine.revoke(list(engine.workers), timeout_s=FLUSH_ON_STOP_S)
                    if app.consumer.checkpoints:
                        await app.consumer.commit()
                starting.cancel()
                await app.stop()
                self._membership.left()
                for sink in sinks:
                    await sink.close()
        except TimeoutError:
            log.warning("stop_cut_short after_s=%.0f; the next start repeats what was not committed", STOP_S)
        except Exception as error:  # a failing goodbye must not turn a clean stop into a crash
            log.warning("stop_incomplete %r", error)


async def _watch_memory() -> None:
    """Gives free memory back to the system now and then, so that what a worker holds is what it uses."""
    while True:
        await asyncio.sleep(allocators.GIVE_BACK_INTERVAL_S)
        await asyncio.to_thread(allocators.give_back)


def _must_not_fail(engine: Engine, watcher: asyncio.Future[None]) -> None:
    """A watcher that has ended by an error would be missed only when it is needed."""
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        engine.fail(error)


def _next_offsets(engine: Engine, app: faust.App) -> dict[Partition, int]:
    """Of each owned partition that neither a store nor a flush under way nor a damaged batch holds up."""
    offsets = {}
    damaged = damage(app)
    for tp in assignment(app):
        if tp in damaged:
            continue
        partition = Partition(tp.topic, tp.partition)
        worker = engine.workers.get(partition)
        if worker is None:
            offsets[partition] = committed_offset(app, tp) or 0
        elif worker.error is None and not worker.rows_in_flight:
            offsets[partition] = worker.fold.next_offset
    return offsets


async def _watch_transport(engine: Engine, app: faust.App, starting: asyncio.Future[None]) -> None:
    """Ends the worker when Faust has ended under it."""
    while True:
        failure = transport_failure(app, starting)
        if failure is not None:
            engine.fail(failure)
        await asyncio.sleep(STATUS_INTERVAL_S)


def main(argv: list[str] | None = None) -> int:
    """Entry point of `python -m streams.worker`."""
    parser = argparse.ArgumentParser(prog="streams.worker", description="A Murmuration stream worker.")
    parser.add_argument("--name", default="worker-1", help="name in <home>/run and in logs")
    arguments = parser.parse_args(argv)
    try:
        settings = load()
    except SettingsError as error:
        print(f"murmur worker: {error}", file=sys.stderr)  # noqa: T201 - the one line the operator reads
        return 2
    return run(settings, arguments.name)


if __name__ == "__main__":
    sys.exit(main())
