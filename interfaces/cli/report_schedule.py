"""`murmur report schedule add|list|remove|run`: reports after every hour, day, week or month, sent where people look.

In: flags. Out: rows, messages. Never: heavy imports before the command runs; a secret in a schedule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_FAILURE, EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings
from interfaces.cli.report_options import (
    FormatsFlag,
    FromFile,
    KindFlag,
    Metrics,
    PeriodOption,
    Periods,
    Swarms,
    Title,
    parse_formats,
    request_from,
    require_formats,
)

if TYPE_CHECKING:
    from models.settings import Settings
    from reports.schedule import Schedule
    from reports.schedule_store import Occurrence

COLUMNS = ["name", "kind", "period", "at", "channels", "next_at", "last_period", "last_status", "last_problem"]
app = typer.Typer(no_args_is_help=True, help="Make reports after every period and send them.")


@app.callback()
def schedule() -> None:
    """Make reports after every period and send them."""


@app.command(
    epilog=examples(
        "murmur report schedule add nightly --swarm nightly --period daily --at 06:00 --channel slack",
        "murmur report schedule add weekly --swarm a --swarm b --period weekly --channel email "
        "--email-to lead@example.org --format html,pdf",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="Lower case, digits, dashes; adding it again replaces it.")],
    period: Annotated[PeriodOption, typer.Option("--period", help="What each report is about (UTC).")],
    channel: Annotated[
        list[str], typer.Option("--channel", help="email, slack, teams, webhook or console; several times.")
    ],
    at: Annotated[str, typer.Option("--at", help="HH:MM after the period's end, UTC.")] = "00:10",
    swarm: Swarms = None,
    kind: KindFlag = None,
    format: FormatsFlag = None,
    title: Title = None,
    metric: Metrics = None,
    periods: Periods = None,
    email_to: Annotated[
        str, typer.Option("--email-to", help="Recipients instead of MURMUR_ALERT_EMAIL_TO.", show_default=False)
    ] = "",
    from_file: FromFile = None,
) -> None:
    """Keep a schedule in ClickHouse; `murmur report schedule run` carries it out.

    The channels are those of the alerts, with their MURMUR_ALERT_* settings.
    """
    flags = {"swarms": swarm, "title": title, "metrics": metric, "periods": periods}
    formats = parse_formats(format) if format else None
    request = request_from(from_file, kind=kind.value if kind else None, formats=formats, **flags)
    require_formats(request.formats)
    from pydantic import ValidationError

    from models.clock import SystemClock
    from reports.request import mistakes
    from reports.schedule import Schedule, next_due
    from reports.schedule_store import save_schedule

    now_ms = SystemClock().now_ms()
    try:
        made = Schedule(
            name=name,
            request=request,
            period=period.value,
            at_minutes=_minutes(at),
            channels=tuple(channel),  # type: ignore[arg-type]  # pydantic checks the names
            email_to=email_to,
            created_ms=now_ms,
        )
    except ValidationError as error:
        fail(mistakes(error), code=EXIT_USAGE)
    settings = load_settings()
    _require_channels(settings, made)
    with _client(settings) as client:
        save_schedule(client, made, now_ms=now_ms)
    first = next_due(made, now_ms)
    typer.echo(f"{name}: the first report, about {first.label}, is due {_at(made.due_ms(first))}")


@app.command("list", epilog=examples("murmur report schedule list", "murmur report schedule list --format json"))
def list_(format: FormatOption = Format.TABLE) -> None:
    """The schedules, when each is next due, and what became of its newest report."""
    from models.clock import SystemClock
    from reports.schedule import next_due
    from reports.schedule_store import OCCURRENCES_MAX, load_schedules, recent_occurrences

    now_ms = SystemClock().now_ms()
    with _client(load_settings()) as client:
        schedules, occurrences = load_schedules(client), recent_occurrences(client, OCCURRENCES_MAX)
    rows: list[dict[str, object]] = []
    for found in schedules:
        last = next((o for o in occurrences if o.schedule == found.name), None)
        rows.append(
            {
                "name": found.name,
                "kind": found.request.kind,
                "period": found.period,
                "at": f"{found.at_minutes // 60:02d}:{found.at_minutes % 60:02d}",
                "channels": ", ".join(found.channels),
                "next_at": _at(found.due_ms(next_due(found, now_ms))),
                "last_period": last.period if last else None,
                "last_status": last.status if last else None,
                "last_problem": _problems(last) if last else None,
            }
        )
    emit(rows, format=format, columns=COLUMNS)


@app.command(epilog=examples("murmur report schedule remove nightly"))
def remove(name: Annotated[str, typer.Argument(help="Name of the schedule.")]) -> None:
    """Forget a schedule; the reports that it made stay."""
    from models.clock import SystemClock
    from reports.schedule_store import load_schedules, save_schedule

    with _client(load_settings()) as client:
        found = next((s for s in load_schedules(client) if s.name == name), None)
        if found is None:
            fail(f"there is no schedule {name!r}: `murmur report schedule list` shows them")
        save_schedule(client, found, now_ms=SystemClock().now_ms(), active=False)
    typer.echo(f"{name}: removed")


@app.command(epilog=examples("murmur report schedule run", "murmur report schedule run --once"))
def run(
    once: Annotated[bool, typer.Option("--once", help="Only what is due now, then end; 1 when undelivered.")] = False,
) -> None:
    """Make and send what is due, until SIGTERM or Ctrl-C. One process a home.

    After a stop it makes up for the last three periods of each schedule, and goes on with deliveries it had begun.
    """
    import asyncio

    from infra.local.layout import StackError, locked
    from interfaces.cli.interrupt import sigterm_as_interrupt
    from interfaces.scheduling.scheduler import Scheduler, store_failed, undelivered
    from models.clock import SystemClock
    from reports.schedule_store import load_schedules
    from sinks.clickhouse.client import connect
    from streams import logs

    settings = load_settings()
    logs.configure(settings.log_level)
    with _client(settings) as client:  # a wrong address or password ends the command at once
        for found in load_schedules(client):
            require_formats(found.request.formats)
    settings.home.mkdir(parents=True, exist_ok=True)
    beat = settings.home / "report-schedule.beat"  # its age is how long nothing was looked at: the container's health
    scheduler = Scheduler(settings, SystemClock(), lambda: connect(settings), beat=beat.touch)
    busy = f"another `murmur report schedule run` works in {settings.home}: end it first"
    try:
        with locked(settings.home / "report-schedule.lock", busy=busy), sigterm_as_interrupt():
            if not once:
                asyncio.run(scheduler.run())
            done = asyncio.run(scheduler.once())
    except StackError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except Exception as error:
        if not store_failed(error):
            raise
        fail(f"ClickHouse: {error}; what was begun is taken up by the next run")
    for occurrence in done:
        typer.echo(f"{occurrence.schedule}, {occurrence.period}: {occurrence.status}, report {occurrence.report_id}")
    if problems := undelivered(done):
        fail("; ".join(problems), code=EXIT_FAILURE)


def _require_channels(settings: Settings, made: Schedule) -> None:
    """Ends the command when a channel lacks a setting here."""
    from interfaces.scheduling.delivery import ChannelNotReadyError, channel_of

    for name in made.channels:
        try:
            channel_of(settings, name, made.email_to)
        except ChannelNotReadyError as error:
            fail(str(error), code=EXIT_USAGE)


def _minutes(text: str) -> int:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        fail(f"--at {text!r}: write HH:MM after the end of the period, such as 06:00", code=EXIT_USAGE)
    return int(match[1]) * 60 + int(match[2])


def _problems(occurrence: Occurrence) -> str | None:
    found = [f"{name}: {outcome.problem}" for name, outcome in occurrence.channels.items() if outcome.problem]
    return "; ".join(found) or None


def _at(at_ms: int) -> str:
    from reports.render.times import short

    return short(at_ms)


@contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    from interfaces.cli.clickhouse import open_client

    with open_client(settings) as client:
        yield client
