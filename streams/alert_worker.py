"""The alerter's process: reads result topics, decides, saves, tells.

In: settings. Out: exit code 0 after SIGTERM or SIGINT, 1 for an error no retry can help (printed as one line).
Never: joins the workers' group, lets a dead channel or store hold up another one, tells what is not saved.

    python -m streams.alert_worker

One alerter an installation: it reads every partition of its inputs, because a rule may need all of a swarm's windows.
Of two by mistake on one host the second is refused; on two hosts both tell, under the same ids and keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import to_builtins

from models.alerts.evaluator import RulesUnfitError
from models.alerts.rule_file import RuleFileError, RuleSet, default_rules, parse
from models.clock import Clock, SystemClock
from models.codecs.records import RawRecord
from models.rows import ALERT_TABLES
from models.settings import Settings, SettingsError, load
from sinks.base import RetryableSinkError, Sink, SinkError
from sinks.channels.delivery import ChannelDelivery
from sinks.channels.registry import routes
from sinks.clickhouse.sink import ClickHouseSink
from sinks.delivery import backoff_s
from sinks.kafka.metadata import create_no_topics
from sinks.kafka.security import client_options
from sinks.kafka.sink import KafkaSink
from streams import logs
from streams.alert_rows import alert_rows, message_rows
from streams.alerter import INPUTS, Alerter, AlerterState, Place, Reading, decode, renew_logs
from streams.log_identity import read_topic_ids
from streams.log_probe import log_ends
from streams.snapshot_stores import snapshot_stores
from streams.snapshots import FORMAT, SnapshotError, SnapshotHeader
from streams.status import status_path
from streams.topics import ALERTS, FETCH_WAIT_MS, BrokerAwayError, TopicError, ensure_topics, full_name, partition_count
from streams.whole_read import Gaps, read_whole
from streams.worker_name import WorkerNameError, claim

log = logging.getLogger("streams.alert_worker")

NAME: Final = "alerter"
POLL_MS: Final = 200
POLL_RECORDS_MAX: Final = 5_000  # decoded in some 50 ms; between two polls deliveries go on
SAVE_S: Final = 5.0  # between two saves while nothing is decided; bounds what is read again after a crash
STATUS_S: Final = 1.0
WATCH_S: Final = 5.0  # how soon a broker that is away, or a replaced log, is noticed
STOP_S: Final = 9.0  # as the workers'
ROWS_AT_ONCE: Final = 10_000
EXPECTED: Final = (SinkError, TopicError, SnapshotError, SettingsError, RuleFileError, RulesUnfitError, ValueError)


class LogReplacedError(TopicError):
    """A topic was made anew under our feet; a restart reads the new one."""


def load_rules(settings: Settings) -> RuleSet:
    """The rules of `alert_rules_file`, or the built-in ones. Raises RuleFileError, OSError."""
    path = settings.alert_rules_file
    return default_rules() if path is None else parse(path.read_text(encoding="utf-8"), where=str(path))


def run(settings: Settings) -> int:
    """Runs until told to stop; returns the exit code."""
    logs.configure(settings.log_level)
    try:
        rules = load_rules(settings)
        _claim_home(settings)
        return asyncio.run(AlertWorker(settings, rules, SystemClock()).main())
    except (*EXPECTED, OSError) as error:
        for line in str(error).splitlines():
            print(f"murmur alerts run: {line}", file=sys.stderr)  # noqa: T201 - what the operator reads
        return 2 if isinstance(error, RuleFileError | RulesUnfitError | WorkerNameError) else 1


def _claim_home(settings: Settings) -> None:
    try:
        claim(settings.home, NAME)
    except WorkerNameError:
        raise WorkerNameError(
            f"an alerter already runs in {settings.home}: stop it first, or use another --home for another installation"
        ) from None


class AlertWorker:
    """One process's life."""

    def __init__(self, settings: Settings, rules: RuleSet, clock: Clock) -> None:
        self._settings = settings
        self._rules = rules
        self._clock = clock
        self._routes = routes(settings)
        self._stop = asyncio.Event()
        self._dirty = False  # the outbox changed since the last save
        self._saved_s = 0.0
        self._saves = 0
        self._broker_answers = False
        self._changed = asyncio.Event()  # something may leave to the stores
        self._problems: dict[str, str] = {}  # store -> why it does not take rows
        header = SnapshotHeader(FORMAT, settings.fold_version, NAME, NAME, f"{settings.app_id}-{NAME}", 0, 0)
        self._store = snapshot_stores(settings)(header)
        self._stores: list[Sink] = [
            ClickHouseSink(settings, ALERT_TABLES),
            KafkaSink(settings, {"alerts": full_name(settings, ALERTS)}),
        ]
        self._alerter: Alerter | None = None
        self._deliveries: list[ChannelDelivery] = []

    async def main(self) -> int:
        """Starts, works until a signal or a fault, stops."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            if not await self._until_up(self._prepare):
                return 0
            await self._work()
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(STOP_S):
                    for route in self._routes:
                        await route.channel.close()
                    for store in self._stores:
                        await store.close()
        return 0

    async def _prepare(self) -> None:
        """State and offsets: from the newest snapshot; without one, from the ends of the logs."""
        await ensure_topics(self._settings)
        found = await self._log_ids()
        newest = await asyncio.to_thread(self._store.newest)
        state = AlerterState() if newest is None else decode(newest.state)
        self._saves = 0 if newest is None else newest.header.next_offset
        replaced = renew_logs(state, found)
        if replaced:
            log.warning("log_replaced topics=%s: read from their beginning, open alerts are kept", ",".join(replaced))
        state.outbox.saved = state.outbox.last if newest is not None else 0
        self._alerter = Alerter(self._settings, self._rules, self._clock, routes=self._routes, state=state)
        log.info("alerter_starts rules=%d open=%d", len(self._rules.rules), len(state.evaluator.machine.open))

    async def _work(self) -> None:
        alerter = self._own()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **client_options(self._settings),
        )
        create_no_topics(consumer._client)
        tasks: list[asyncio.Future[Any]] = []
        try:
            if not await self._until_up(consumer.start):
                return
            places = await self._assign(consumer)
            await self._save()  # where a first start began is part of the state
            self._deliveries = [
                ChannelDelivery(
                    route.channel,
                    lambda: alerter.outbox,
                    self._clock,
                    budget_ms=self._settings.alert_retry_budget_ms,
                    changed=self._note_change,
                )
                for route in self._routes
            ]
            parts = [self._read(consumer, places), self._watch(consumer), self._report(consumer, places)]
            parts += [*map(self._rows, self._stores), *(delivery.run() for delivery in self._deliveries)]
            tasks = [asyncio.ensure_future(part) for part in parts]
            stop = asyncio.ensure_future(self._stop.wait())
            done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            for task in done - {stop}:
                await task  # a fault ends the process; its snapshot starts the next one
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await consumer.stop()
        if tasks:
            await self._save()

    async def _assign(self, consumer: Any) -> dict[TopicPartition, Place]:
        places: dict[TopicPartition, Place] = {}
        for name in INPUTS:
            topic, count = full_name(self._settings, name), await partition_count(self._settings, name)
            places |= {TopicPartition(topic, number): Place(name, number) for number in range(count)}
        offsets = self._own().state.offsets
        new = any(str(place) not in offsets for place in places.values())
        ends: Mapping[TopicPartition, int] = await log_ends(consumer, list(places)) if new else {}
        consumer.assign(list(places))
        for partition, place in places.items():
            at = offsets.setdefault(str(place), ends.get(partition, 0))
            consumer.seek(partition, at)
        return places

    async def _read(self, consumer: Any, places: dict[TopicPartition, Place]) -> None:
        """Reads and decides, for ever; saves before anything leaves."""
        alerter = self._own()
        gaps = Gaps({partition: alerter.state.offsets[str(place)] for partition, place in places.items()})
        while True:
            if alerter.outbox.full:
                await asyncio.sleep(POLL_MS / 1000)
            else:
                found = await read_whole(consumer, gaps, timeout_ms=POLL_MS, records_max=POLL_RECORDS_MAX)
                for partition, records in found.items():
                    raw = [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in records]
                    self._dirty |= bool(alerter.feed(places[partition], raw, [r.key for r in records]))
                self._dirty |= bool(alerter.advance(self._reading(consumer, places)))
            if self._dirty or self._clock.monotonic_s() - self._saved_s >= SAVE_S:
                await self._save()

    def _reading(self, consumer: Any, places: dict[TopicPartition, Place]) -> Reading:
        offsets = self._own().state.offsets
        behind = set()
        for partition, place in places.items():
            end = consumer.highwater(partition)
            if end is None or offsets[str(place)] < end:
                behind.add(place)
        windows = frozenset(place for place in behind if place.topic == INPUTS[0])
        return Reading(windows, caught_up=not behind and self._broker_answers)

    async def _save(self) -> None:
        """Makes the state durable, then lets the outbox go."""
        alerter = self._own()
        upto = alerter.outbox.last
        self._dirty = False
        self._saves += 1
        data = alerter.encode()
        attempts = 0
        while True:
            try:
                await asyncio.to_thread(self._store.save, data, self._saves)
                self._problems.pop("snapshots", None)
                break
            except OSError as error:  # nothing leaves and nothing more is decided until the disk takes it
                attempts += 1
                self._problems["snapshots"] = str(error)
                log.error("state_not_saved %s", error)
                await asyncio.sleep(backoff_s(attempts, 1.0))
        self._saved_s = self._clock.monotonic_s()
        alerter.outbox.saved = upto
        self._wake()

    async def _rows(self, store: Sink) -> None:
        """Hands rows to one store until cancelled; what it has taken leaves the outbox."""
        outbox = self._own().outbox
        attempts = 0
        started = False
        while True:
            waiting = outbox.ready(outbox.rows if store.name == "clickhouse" else outbox.records)[:ROWS_AT_ONCE]
            outcomes = outbox.outcomes[:ROWS_AT_ONCE] if store.name == "clickhouse" else []
            if not waiting and not outcomes:
                await self._changed.wait()
                self._changed.clear()
                continue
            batch = {"alerts": alert_rows(item.transition for item in waiting)}
            if outcomes:
                batch["alert_messages"] = message_rows(outcomes)
            try:
                if not started:
                    await store.start()
                    started = True
                result = await store.write(batch)
            except RetryableSinkError as error:
                attempts += 1
                self._problems[store.name] = str(error)
                log.warning("store_retry store=%s %s", store.name, error)
                await asyncio.sleep(backoff_s(attempts, error.retry_after_s))
                continue
            for row in result.rejected:  # ours to repair: the schema and the rows are made by one version
                log.error("row_refused store=%s table=%s reason=%s", store.name, row.table, row.reason)
            attempts = 0
            self._problems.pop(store.name, None)
            queue = outbox.rows if store.name == "clickhouse" else outbox.records
            del queue[: len(waiting)]
            stored = set(map(id, outcomes))  # the oldest may have been given up meanwhile
            outbox.outcomes[:] = [outcome for outcome in outbox.outcomes if id(outcome) not in stored]
            self._dirty = True

    async def _watch(self, consumer: Any) -> None:
        """Knows whether the broker answers: silence of a dead broker is not silence of the agents."""
        while True:
            try:
                found = await self._log_ids()
                self._broker_answers = True
            except BrokerAwayError:
                self._broker_answers = False
            else:
                if found != self._own().state.logs:
                    raise LogReplacedError("a topic was made anew (new topic id): start again to read the new log")
            await asyncio.sleep(WATCH_S)

    async def _log_ids(self) -> dict[str, str]:
        names = {full_name(self._settings, name): name for name in INPUTS}
        try:
            found = await read_topic_ids(self._settings, list(names))
        except (KafkaError, OSError) as error:
            raise BrokerAwayError(f"Kafka at {self._settings.kafka_bootstrap}: {error!r}") from error
        if len(found) != len(names):
            raise BrokerAwayError(f"topics {sorted(set(names) - set(found))} are not known yet")
        return {names[topic]: log_id for topic, log_id in found.items()}

    async def _report(self, consumer: Any, places: dict[TopicPartition, Place]) -> None:
        """Writes `<home>/run/alerter.status.json` once a second, beside those of the workers."""
        path = status_path(self._settings.home, NAME)
        while True:
            text = json.dumps(self._status(self._reading(consumer, places)))
            tmp = path.with_suffix(".tmp")
            try:
                tmp.write_text(text, encoding="utf-8")
                tmp.replace(path)
            except OSError as error:
                log.warning("status_not_written %s", error)
            await asyncio.sleep(STATUS_S)

    def _status(self, reading: Reading) -> dict[str, object]:
        alerter = self._own()
        state, outbox = alerter.state, alerter.outbox
        machine = state.evaluator.machine
        return {
            "role": NAME,
            "pid": os.getpid(),
            "state": "ready",
            "ready": True,
            "updated_at_ms": self._clock.now_ms(),
            "event_time_ms": state.evaluator.now_ms,
            "caught_up": reading.caught_up,
            "rules": len(self._rules.rules),
            "open_alerts": len(machine.open),
            "silences": [to_builtins(silence) for silence in machine.silences],
            "samples": alerter.counters.samples,
            "history_rows_skipped": alerter.counters.history,
            "unreadable_records": alerter.counters.unreadable,
            "late_samples": state.evaluator.late,
            "ignored_commands": machine.ignored_commands,
            "alerts_refused": machine.refused,
            "rows_waiting": len(outbox.rows) + len(outbox.records),
            "messages_waiting": outbox.waiting,
            "messages_delivered": dict(outbox.delivered),
            "messages_undelivered": dict(outbox.undelivered),
            "problems": dict(self._problems),
        }

    def _note_change(self) -> None:
        self._dirty = True
        self._changed.set()

    def _wake(self) -> None:
        self._changed.set()
        for delivery in self._deliveries:
            delivery.wake.set()

    def _own(self) -> Alerter:
        assert self._alerter is not None, "prepared before anything else"
        return self._alerter

    async def _until_up(self, start: Callable[[], Awaitable[None]]) -> bool:
        """Tries until `start` succeeds and says why it waits; False when told to stop meanwhile."""
        attempts = 0
        while not self._stop.is_set():
            try:
                await start()
                return True
            except (BrokerAwayError, KafkaError) as error:
                attempts += 1
                pause_s = backoff_s(attempts, 1.0)
                log.warning("waiting pause_s=%.1f %s", pause_s, error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause_s)
        return False


def main() -> int:
    """Entry point of `python -m streams.alert_worker`."""
    try:
        settings = load()
    except SettingsError as error:
        print(f"murmur alerts run: {error}", file=sys.stderr)  # noqa: T201 - what the operator reads
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
