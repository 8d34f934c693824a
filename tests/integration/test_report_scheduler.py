"""Scheduled reports over the real engine, told to real receivers: once a period, whatever stops in between."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from interfaces.scheduling.scheduler import Scheduler, undelivered
from models.clock import ManualClock
from models.settings import Settings
from reports.request import request_of
from reports.schedule import Schedule
from reports.schedule_store import Occurrence, load_occurrences, recent_occurrences, save_schedule
from reports.store import list_reports, load_report
from sinks.clickhouse.client import connect
from tests.support.clickhouse import migrated_database
from tests.support.receivers import HttpReceiver, SmtpReceiver, http_receiver, smtp_receiver
from tests.support.result_rows import T0, T0_MS, table
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
HOUR_MS = 3_600_000
CREATED_MS = T0_MS + 11 * 60_000  # after the report of the hour before was due
DUE_MS = T0_MS + HOUR_MS + 10 * 60_000  # ten minutes after the hour in which the swarm worked


@pytest.fixture(scope="module")
def database() -> Iterator[Settings]:
    rows = [
        {
            "swarm_id": "nightly",
            "activity_id": f"task-{i}",
            "task_id": f"task-{i}",
            "started_at": T0 + timedelta(seconds=i),
            "duration_ms": 1_000.0 + i,
            "success": int(i % 4 > 0),
            "offset": i,
        }
        for i in range(40)
    ]
    with migrated_database() as settings:
        client = connect(settings)
        client.insert_arrow("activities", table("activities", rows))
        client.close()
        yield settings


@pytest.fixture
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[SmtpReceiver]:
    with smtp_receiver() as receiver:
        yield receiver


class World:
    """One schedule over the database; `scheduler()` is a process that has just started."""

    def __init__(self, settings: Settings, web: HttpReceiver, mail_port: int = 25) -> None:
        secret = SecretStr(web.url)
        self.settings = settings.model_copy(
            update={"alert_webhook_url": secret, "alert_slack_url": secret, "alert_retry_budget_ms": 60_000}
            | {"alert_smtp_host": "127.0.0.1", "alert_smtp_port": mail_port, "alert_smtp_security": "none"}
            | {"alert_email_from": "murmur@example.org", "alert_email_to": "ops@example.org"}
        )
        self.clock = ManualClock(DUE_MS)
        self.client = connect(self.settings)
        self.client.command("TRUNCATE TABLE reports")

    def add(
        self, *channels: str, swarm: str = "nightly", formats: tuple[str, ...] = ("json",), **changes: Any
    ) -> Schedule:
        request = request_of({"swarms": [swarm], "kind": "executive", "formats": formats})
        values = {"name": "hourly", "request": request, "period": "hourly", "channels": channels}
        made = Schedule(**{**values, "created_ms": CREATED_MS, **changes})
        save_schedule(self.client, made, now_ms=CREATED_MS)
        return made

    def scheduler(self) -> Scheduler:
        return Scheduler(self.settings, self.clock, lambda: connect(self.settings))

    def stored(self) -> list[Occurrence]:
        return recent_occurrences(self.client, 100)


async def test_a_due_report_is_stored_and_reaches_mail_webhook_and_chat(
    database: Settings, web: HttpReceiver, mail: SmtpReceiver
) -> None:
    world = World(database, web, mail.port)
    made = world.add("email", "webhook", "slack", formats=("html", "pdf"), email_to="lead@example.org")
    (done,) = await world.scheduler().once()
    assert done.status == "delivered"
    (listed,) = list_reports(world.client, 10)
    assert (listed["report_id"], listed["formats"]) == (done.report_id, ["html", "pdf"])

    (letter,) = mail.inbox.mails
    assert letter["subject"] == "hourly, 2026-03-01 12:00"
    assert letter["to"] == "lead@example.org"
    files = {part.get_filename(): part.get_content() for part in letter.iter_attachments()}
    assert sorted(files) == ["hourly-2026-03-01T1200.html", "hourly-2026-03-01T1200.pdf"]
    pdf = load_report(world.client, done.report_id, "pdf")
    assert pdf is not None
    assert files["hourly-2026-03-01T1200.pdf"] == pdf
    assert pdf.startswith(b"%PDF-")

    bodies = {("text" in body): (headers, body) for _, headers, body in web.requests}
    headers, posted = bodies[False]
    assert headers["idempotency-key"] == posted["key"] == made.report_id(done_period(made))
    assert "nightly: 40 task runs by 1 agent, 75.0 % successful" in " ".join(posted["lines"])
    assert base64.b64decode(posted["attachments"][1]["content"]) == pdf
    assert "nightly: 40 task runs" in bodies[True][1]["text"]
    assert f"murmur report show {done.report_id[:12]}" in bodies[True][1]["text"]


def done_period(made: Schedule) -> Any:
    from reports.schedule import due

    (period,) = due(made, DUE_MS, lambda _: False)
    return period


async def test_a_period_is_told_once_also_after_a_restart(database: Settings, web: HttpReceiver) -> None:
    world = World(database, web)
    world.add("webhook")
    assert len(await world.scheduler().once()) == 1
    assert await world.scheduler().once() == []
    assert len(web.requests) == 1
    assert len(list_reports(world.client, 10)) == 1


async def test_a_delivery_that_a_stop_cut_off_is_taken_up_with_the_same_key_and_words(
    database: Settings, web: HttpReceiver
) -> None:
    world = World(database, web)
    world.add("webhook", "slack")
    web.refuse(0, 0)  # neither answers, and then the process ends
    first = asyncio.create_task(world.scheduler().run())
    await asyncio.to_thread(eventually, lambda: bool(world.stored()) and not web.answers)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    web.release.set()
    (waiting,) = world.stored()
    assert waiting.status == "waiting"
    (done,) = await world.scheduler().once()
    assert done.status == "delivered"
    assert (done.report_id, done.lines) == (waiting.report_id, waiting.lines)
    assert len(web.requests) == 2


async def test_a_receiver_that_is_away_for_a_moment_gets_it_and_the_attempts_are_known(
    database: Settings, web: HttpReceiver
) -> None:
    world = World(database, web)
    world.add("webhook")
    web.refuse(503, 503)
    (done,) = await world.scheduler().once()
    assert (done.status, done.channels["webhook"].attempts) == ("delivered", 3)


async def test_a_refusal_for_good_is_said_and_holds_up_no_other_channel(
    database: Settings, web: HttpReceiver, mail: SmtpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(database, web, mail.port)
    world.add("webhook", "email")
    web.always = 404
    with caplog.at_level(logging.ERROR):
        (done,) = await world.scheduler().once()
    assert done.channels["email"].status == "delivered"
    assert undelivered([done]) == [
        "hourly, 2026-03-01 12:00: webhook: webhook: answered HTTP 404: check its address and what it accepts"
    ]
    assert "report_undelivered schedule=hourly period=2026-03-01 12:00 channel=webhook" in caplog.text
    assert "s3cret" not in caplog.text
    (stored,) = world.stored()
    assert stored == done
    assert await world.scheduler().once() == []


async def test_a_budget_that_was_spent_while_nobody_ran_leaves_one_attempt(
    database: Settings, web: HttpReceiver
) -> None:
    world = World(database, web)
    world.add("webhook")
    scheduler = world.scheduler()
    web.refuse(0)
    first = asyncio.create_task(scheduler.run())
    await asyncio.to_thread(eventually, lambda: bool(world.stored()) and not web.answers)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    web.release.set()
    web.always = 503
    world.clock.advance(50 * 60_000)  # the next hour has not its report yet
    (done,) = await world.scheduler().once()
    assert (done.status, done.channels["webhook"].attempts) == ("undelivered", 1)


async def test_a_period_without_events_is_told_as_such_and_not_as_zeros(database: Settings, web: HttpReceiver) -> None:
    world = World(database, web)
    world.add("webhook", swarm="silent")
    (done,) = await world.scheduler().once()
    assert done.formats == ()
    ((_, _, body),) = web.requests
    assert body["lines"][0].startswith("Nothing to report: swarm silent has no event in this time range")
    assert list_reports(world.client, 10) == []


async def test_a_channel_without_its_settings_is_undelivered_and_names_them(
    database: Settings, web: HttpReceiver
) -> None:
    world = World(database, web)
    world.add("teams")
    (done,) = await world.scheduler().once()
    assert done.channels["teams"].status == "undelivered"
    assert "MURMUR_ALERT_TEAMS_URL" in done.channels["teams"].problem


async def test_what_a_removed_schedule_had_begun_is_given_up_and_says_so(database: Settings, web: HttpReceiver) -> None:
    world = World(database, web)
    made = world.add("webhook")
    web.refuse(0)
    first = asyncio.create_task(world.scheduler().run())
    await asyncio.to_thread(eventually, lambda: bool(world.stored()) and not web.answers)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    web.release.set()
    save_schedule(world.client, made, now_ms=DUE_MS, active=False)
    world.clock.advance(1_000)
    assert await world.scheduler().once() == []
    report_id = made.report_id(done_period(made))
    outcome = load_occurrences(world.client, [report_id])[report_id].channels["webhook"]
    assert (outcome.status, outcome.problem) == ("undelivered", "the schedule was removed")
    assert web.requests == []
