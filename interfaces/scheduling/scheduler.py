"""Makes the reports that are due and has them delivered; what happened is stored before and after each step.

In: schedules and occurrences in ClickHouse, a clock. Out: reports, messages, outcomes.
Never: a second report about the same period; forgets a delivery that was begun.

For each period that is due, in this order:
1. the report is made and stored under the id of schedule and period; made again, it replaces itself
2. the occurrence is stored: what will be told, and that every channel waits
3. each channel is told; after each its outcome is stored
After a stop between 1 and 2 the report is made again under the same id; between 3's sending and storing, a channel is
told again with the same key. Whatever is settled is never taken up again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from interfaces.scheduling.delivery import ChannelNotReadyError, channel_of, deliver
from interfaces.scheduling.message import lines_of, message_of
from models.clock import Clock
from models.settings import Settings
from reports.build import UnknownSwarmError, body, build_report
from reports.periods import Period
from reports.queries.clickhouse import ClickHouseReader
from reports.schedule import Schedule, due, left_out
from reports.schedule_store import (
    ChannelOutcome,
    Occurrence,
    load_occurrences,
    load_schedules,
    recent_occurrences,
    save_occurrence,
)
from reports.store import load_report, save_report
from sinks.base import SinkError

log = logging.getLogger("interfaces.scheduling")

RESUMED_MAX: Final = 500  # newest occurrences looked through for deliveries that were begun: weeks of many schedules
LOOK_S: Final = 10.0  # between looks at what is due; a schedule's shortest unit is a minute
T = TypeVar("T")


class Scheduler:
    """`connect` opens a client; one is kept and used by one question at a time. `beat`: called after every look."""

    def __init__(
        self, settings: Settings, clock: Clock, connect: Callable[[], Any], *, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._beat = beat
        self._settings = settings
        self._clock = clock
        self._connect = connect
        self._client: Any = None
        self._lock = asyncio.Lock()
        self._deliveries: dict[str, asyncio.Task[Occurrence]] = {}
        self._looked_ms = 0  # left-out periods are told once a start

    async def run(self) -> None:
        """Looks every LOOK_S until cancelled. A store that is away is waited for."""
        try:
            while True:
                try:
                    await self.look()
                    self._beat()
                except Exception as error:
                    if not store_failed(error):
                        raise
                    log.warning("scheduler_waits_for_clickhouse %s", " ".join(str(error).split())[:300])
                    self._client = None
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._deliveries.values():
                task.cancel()
            await asyncio.gather(*self._deliveries.values(), return_exceptions=True)

    async def once(self) -> list[Occurrence]:
        """Makes and delivers what is due now, and returns when all of it is settled."""
        await self.look()
        return list(await asyncio.gather(*self._deliveries.values()))

    async def look(self) -> None:
        """Begins everything that is due and not begun. Raises what the store raises."""
        self._deliveries = {name: task for name, task in self._deliveries.items() if not _finished(task)}
        now_ms = self._clock.now_ms()
        schedules = await self._store(load_schedules)
        await self._resume({schedule.name: schedule for schedule in schedules})
        for schedule in schedules:
            if missed := left_out(schedule, now_ms, self._looked_ms):
                log.warning("periods_left_out schedule=%s count=%d", schedule.name, missed)
            periods = due(schedule, now_ms, self._deliveries.__contains__)
            known = await self._store(load_occurrences, [schedule.report_id(p) for p in periods])
            for period in periods:
                occurrence = known.get(schedule.report_id(period))
                if occurrence is None:
                    occurrence = await self._made(schedule, period)
                    self._deliveries[occurrence.report_id] = asyncio.create_task(self._told(schedule, occurrence))
        self._looked_ms = now_ms

    async def _resume(self, schedules: Mapping[str, Schedule]) -> None:
        """Takes up what an earlier process had begun; what belongs to no schedule any more is given up, and says so."""
        for occurrence in await self._store(recent_occurrences, RESUMED_MAX):
            if occurrence.settled or occurrence.report_id in self._deliveries:
                continue
            schedule = schedules.get(occurrence.schedule)
            if schedule is not None:
                self._deliveries[occurrence.report_id] = asyncio.create_task(self._told(schedule, occurrence))
                continue
            for name, outcome in occurrence.channels.items():
                if outcome.status == "waiting":
                    gone = ChannelOutcome(status="undelivered", problem="the schedule was removed")
                    occurrence.channels[name] = gone
            await self._save(occurrence)

    async def _made(self, schedule: Schedule, period: Period) -> Occurrence:
        """Steps 1 and 2."""
        report_id, config = schedule.report_id(period), schedule.config(period)
        formats = schedule.request.formats
        lines: tuple[str, ...]
        try:
            report = await self._store(
                lambda client: build_report(ClickHouseReader(client), config, clock=self._clock, report_id=report_id)
            )
        except UnknownSwarmError as error:
            formats, lines = (), (f"Nothing to report: {error}.",)
        else:
            bodies = await asyncio.to_thread(lambda: {name: body(report, name) for name in formats})
            await self._store(save_report, report, bodies)
            lines = lines_of(report)
        occurrence = Occurrence(
            report_id=report_id,
            schedule=schedule.name,
            period=period.label,
            from_ms=period.from_ms,
            made_ms=self._clock.now_ms(),
            title=config.title,
            lines=lines,
            formats=formats,
            channels={name: ChannelOutcome() for name in schedule.channels},
        )
        await self._save(occurrence)
        log.info("report_made schedule=%s period=%s report_id=%s", schedule.name, period.label, report_id)
        return occurrence

    async def _told(self, schedule: Schedule, occurrence: Occurrence) -> Occurrence:
        """Step 3, all channels side by side."""
        bodies = {name: await self._store(load_report, occurrence.report_id, name) for name in occurrence.formats}
        message = message_of(occurrence, {name: content for name, content in bodies.items() if content is not None})

        async def tell(name: str) -> None:
            try:
                channel = channel_of(self._settings, name, schedule.email_to)
            except ChannelNotReadyError as error:
                outcome = ChannelOutcome(status="undelivered", at_ms=self._clock.now_ms(), problem=str(error))
            else:
                budget_ms = self._settings.alert_retry_budget_ms
                outcome = await deliver(
                    channel, message, self._clock, waits_since_ms=occurrence.made_ms, budget_ms=budget_ms
                )
            occurrence.channels[name] = outcome
            await self._save(occurrence)
            log.log(
                logging.INFO if outcome.status == "delivered" else logging.ERROR,
                "report_%s schedule=%s period=%s channel=%s attempts=%d %s",
                *(outcome.status, occurrence.schedule, occurrence.period, name, outcome.attempts, outcome.problem),
            )

        waiting = [name for name, outcome in occurrence.channels.items() if outcome.status == "waiting"]
        await asyncio.gather(*(tell(name) for name in waiting))
        return occurrence

    async def _save(self, occurrence: Occurrence) -> None:
        await self._store(lambda client: save_occurrence(client, occurrence, now_ms=self._clock.now_ms()))

    async def _store(self, question: Callable[..., T], *arguments: Any) -> T:
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return await asyncio.to_thread(question, self._client, *arguments)


def undelivered(occurrences: Sequence[Occurrence]) -> list[str]:
    """`schedule, period: channel: problem` for every channel that gave up."""
    return [
        f"{o.schedule}, {o.period}: {name}: {outcome.problem}"
        for o in occurrences
        for name, outcome in o.channels.items()
        if outcome.status == "undelivered"
    ]


def _finished(task: asyncio.Task[Occurrence]) -> bool:
    """Whether a delivery has ended. One that failed is begun again from what is stored; a fault of ours is raised."""
    if not task.done():
        return False
    error = None if task.cancelled() else task.exception()
    if error is not None:
        if not store_failed(error):
            raise error
        log.warning("delivery_waits_for_clickhouse %s", " ".join(str(error).split())[:300])
    return True


def store_failed(error: BaseException) -> bool:
    """Whether it is ClickHouse that failed, by who raised it."""
    return isinstance(error, SinkError | OSError) or type(error).__module__.startswith("clickhouse_connect.")
