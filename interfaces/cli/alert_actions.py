"""What `murmur alerts` does: find one alert, send a command and see it carried out, try a channel, sum up.

In: words of the command line. Out: one line of what was done, or one of why not. Never: heavy imports at the top.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from interfaces.cli.output import EXIT_USAGE, fail, load_settings, print_error

if TYPE_CHECKING:
    from models.alerts.command import Command
    from models.settings import Settings

WAIT_S: Final = 20.0  # an alerter that runs carries a command out within a second; a busy machine takes longer
LOOK_S: Final = 0.3
LABELS: Final = ("rule", "swarm", "agent", "role", "model", "metric")

_SUMMARY = """
    SELECT rule, argMax(severity, indexOf(['info', 'low', 'medium', 'warning', 'high', 'critical'], severity)) AS worst,
        countIf(event = 'firing') AS fired,
        countIf(event = 'escalated') AS escalated,
        countIf(event = 'acknowledged') AS acknowledged,
        countIf(event = 'resolved' AND fired_at > 0) AS resolved,
        countIf(event = 'firing' AND silenced) AS silenced,
        if(acknowledged = 0, NULL, round(avgIf(at_ms - fired_at, event = 'acknowledged') / 1000)) AS ack_after_s,
        if(resolved = 0, NULL,
            round(avgIf(at_ms - fired_at, event = 'resolved' AND fired_at > 0) / 1000)) AS open_for_s,
        uniqExactIf(swarm_id, event = 'firing') AS swarms
    FROM
    (
        SELECT *, toUnixTimestamp64Milli(at) AS at_ms,
            maxIf(toUnixTimestamp64Milli(at), event = 'firing') OVER (PARTITION BY alert_id) AS fired_at
        FROM v_alert_history
    )
    WHERE at_ms >= {from:Int64} AND at_ms < {to:Int64}
    GROUP BY rule HAVING fired > 0 OR resolved > 0 OR acknowledged > 0
    ORDER BY fired DESC, rule"""


def one_alert(alert_id: str) -> dict[str, Any]:
    """The alert whose id begins so; ends the command when there is none, or more than one."""
    from interfaces.cli.clickhouse import open_client, rows_of

    with open_client(load_settings()) as client:
        found = rows_of(
            client, "SELECT * FROM v_alerts WHERE startsWith(alert_id, {id:String}) LIMIT 3", {"id": alert_id}
        )[1]
    if not alert_id or not found:
        fail(f"there is no alert {alert_id!r}: see `murmur alerts list --all`")
    if len(found) > 1:
        fail(f"several alerts begin with {alert_id!r}: write more characters of the id", code=EXIT_USAGE)
    return found[0]


def change(kind: Literal["ack", "resolve"], alert_id: str, *, note: str, by: str | None, wanted: str) -> None:
    """Acknowledges or resolves, and waits until that is visible."""
    alert = one_alert(alert_id)
    possible = ("firing",) if kind == "ack" else ("pending", "firing", "acknowledged")
    if alert["state"] not in possible:
        fail(f"alert {alert['alert_id']} is {alert['state']}: only {' or '.join(possible)} can be {wanted}")
    settings = load_settings()
    _send(settings, _command(settings, kind, alert_id=alert["alert_id"], note=note, by=by))

    def done() -> bool:
        return bool(one_alert(alert["alert_id"])["state"] in (wanted, "resolved"))

    if not _wait(done):
        fail(
            f"the command is stored, but after {WAIT_S:.0f} s alert {alert['alert_id']} is not {wanted}: "
            "is the alerter running? See `murmur alerts status`; it will carry it out when it runs"
        )
    typer.echo(f"{alert['alert_id']} {wanted}")


def begin_silence(match: list[str], for_: str, *, note: str, by: str | None) -> None:
    """Starts a silence and prints its id."""
    from models.alerts.command import SILENCE_MS_MAX
    from models.alerts.duration import parse_ms, show_ms
    from models.alerts.message import utc

    matchers = {}
    for text in match:
        name, sign, pattern = text.partition("=")
        if not sign or not pattern or name not in LABELS:
            fail(f"--match {text!r}: write label=pattern, with a label of {', '.join(LABELS)}", code=EXIT_USAGE)
        matchers[name] = pattern
    try:
        duration_ms = parse_ms(for_)
    except ValueError as error:
        fail(f"--for {error}", code=EXIT_USAGE)
    if not 0 < duration_ms <= SILENCE_MS_MAX:
        fail(f"--for {for_}: more than 0 and at most {show_ms(SILENCE_MS_MAX)}", code=EXIT_USAGE)
    settings = load_settings()
    command = _command(settings, "silence", match=matchers, duration_ms=duration_ms, note=note, by=by)
    _send(settings, command)
    typer.echo(f"silence {command.command_id} until {utc(command.until_ms)}")


def end_silence(silence_id: str, *, by: str | None) -> None:
    """Ends a silence before its time."""
    settings = load_settings()
    _send(settings, _command(settings, "unsilence", alert_id=silence_id, by=by))
    typer.echo(f"silence {silence_id} ends")


def try_channel(name: str) -> None:
    """Sends one test message; exit code 1 when the channel does not take it."""
    from models.alerts.message import trial
    from models.clock import SystemClock
    from sinks.channels.base import ChannelError
    from sinks.channels.registry import routes

    settings = load_settings()
    known = {route.channel.name: route.channel for route in routes(settings)}
    if name not in known:
        fail(f"{name}: not in MURMUR_ALERT_CHANNELS ({', '.join(known) or 'empty'})", code=EXIT_USAGE)

    async def send() -> None:
        try:
            await known[name].send(trial(name, SystemClock().now_ms()))
        finally:
            await known[name].close()

    try:
        asyncio.run(send())
    except ChannelError as error:
        fail(str(error))
    typer.echo(f"{name} took the test message")


def alerter_status() -> dict[str, Any]:
    """What the alerter of this home wrote last, and whether it still runs."""
    from infra.local.layout import Layout
    from infra.local.worker_reports import ALERTER, REPORT_AGE_MAX_MS, read_status
    from models.clock import SystemClock

    path = Layout(load_settings().home).worker_status(ALERTER)
    found = read_status(path)
    if found is None:
        fail(f"no alerter has run in {path.parents[1]}: `murmur up` starts one, or `murmur alerts run`")
    fresh = SystemClock().now_ms() - found["updated_at_ms"] < REPORT_AGE_MAX_MS
    return {**found, "state": "running" if fresh else "stopped"}


def summed_up(time_range: str | None, from_: str | None, to: str | None) -> list[dict[str, Any]]:
    """One row a rule that did anything in the range, and what was not delivered on standard error."""
    from interfaces.cli.clickhouse import open_client, rows_of
    from models.clock import SystemClock
    from reports.timerange import parse_time_range

    now_ms = SystemClock().now_ms()
    if time_range is None and from_ is None and to is None:
        time_range = "last-24h"
    try:
        span = parse_time_range(time_range, from_, to, now_ms=now_ms)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)
    parameters = {"from": span.from_ms or 0, "to": now_ms if span.to_ms is None else span.to_ms}
    with open_client(load_settings()) as client:
        rows = rows_of(client, _SUMMARY, parameters)[1]
        lost = rows_of(
            client,
            "SELECT channel, count() AS messages FROM v_alert_messages WHERE status = 'undelivered' "
            "AND toUnixTimestamp64Milli(at) >= {from:Int64} AND toUnixTimestamp64Milli(at) < {to:Int64} GROUP BY 1",
            parameters,
        )[1]
    for row in lost:
        print_error(f"{row['messages']} messages were not delivered to {row['channel']}: see v_alert_messages")
    return rows


def _command(
    settings: Settings,
    kind: Literal["ack", "resolve", "silence", "unsilence"],
    *,
    alert_id: str = "",
    match: dict[str, str] | None = None,
    duration_ms: int = 0,
    note: str = "",
    by: str | None = None,
) -> Command:
    from models.alerts.command import NOTE_LENGTH_MAX, Command
    from models.clock import SystemClock

    if len(note) > NOTE_LENGTH_MAX:
        fail(f"--note has {len(note)} characters, at most {NOTE_LENGTH_MAX}", code=EXIT_USAGE)
    now_ms = SystemClock().now_ms()
    return Command(
        command_id=uuid.uuid4().hex[:16],
        kind=kind,
        at_ms=now_ms,
        by=by or _user(),
        alert_id=alert_id,
        match=match or {},
        until_ms=now_ms + duration_ms if duration_ms else 0,
        note=note,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _send(settings: Settings, command: Command) -> None:
    from streams.alert_commands import send_command

    asyncio.run(send_command(settings, command))


def _wait(done: Callable[[], bool]) -> bool:
    from models.clock import SystemClock

    clock = SystemClock()
    deadline_s = clock.monotonic_s() + WAIT_S

    async def look() -> bool:
        while not done():
            if clock.monotonic_s() > deadline_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    return asyncio.run(look())
