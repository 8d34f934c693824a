"""`murmur up`: starts the local stack and says where it is.

In: flags, settings. Out: addresses on stdout, exit 0 when everything is ready. Never: returns success before that.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.interrupt import sigterm_as_interrupt
from interfaces.cli.output import (
    EXIT_FAILURE,
    Format,
    FormatOption,
    emit,
    examples,
    fail,
    load_settings,
    print_error,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.layout import Stack
    from infra.local.supervisor import Progress
    from models.settings import Settings

FOREGROUND_POLL_S = 0.5
EPILOG = examples(
    "murmur up",
    "murmur up --kafka-port 19092 --clickhouse-port 18123",
    "murmur up --broker kafka",
    "MURMUR_KAFKA_BOOTSTRAP=kafka.example.org:9092 murmur up",
)
app = typer.Typer()


class Broker(StrEnum):
    """The brokers that can be started here."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


@app.command(epilog=EPILOG)
def up(
    kafka_port: Annotated[
        int | None,
        typer.Option(
            "--kafka-port", min=1, max=65_535, help="Port of the broker [9092, or the next free].", show_default=False
        ),
    ] = None,
    clickhouse_port: Annotated[
        int | None,
        typer.Option(
            "--clickhouse-port",
            min=1,
            max=65_535,
            help="Port of ClickHouse [8123, or the next free].",
            show_default=False,
        ),
    ] = None,
    broker: Annotated[
        Broker, typer.Option("--broker", help="embedded (log in memory) or kafka (Apache Kafka 4, log on disk).")
    ] = Broker.EMBEDDED,
    workers: Annotated[int, typer.Option("--workers", min=0, max=64, help="Stream worker processes.")] = 1,
    alerter: Annotated[
        bool | None,
        typer.Option(
            "--alerter/--no-alerter", help="The process that tells alerts [with workers].", show_default=False
        ),
    ] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C, then stop everything.")] = False,
    wait_s: Annotated[float, typer.Option("--wait-s", help="Longest wait for readiness, seconds.")] = 90.0,
    format: FormatOption = Format.TABLE,
) -> None:
    """Start broker, ClickHouse, worker and alerter on this machine, and return when they are ready.

    An address that is given (MURMUR_KAFKA_BOOTSTRAP, MURMUR_CLICKHOUSE_URL, a
    flag or the settings file) is used instead of starting that part. Running
    it twice changes nothing. Data and logs lie in MURMUR_HOME.
    """
    from infra.local import supervisor

    settings = load_settings(use_running_stack=False)
    with sigterm_as_interrupt():
        started_at_s = time.monotonic()
        with _progress() as show:
            stack = supervisor.up(
                settings,
                kafka_port=kafka_port,
                clickhouse_port=clickhouse_port,
                broker=broker,
                workers=workers,
                alerter=workers > 0 if alerter is None else alerter,
                wait_s=wait_s,
                on_progress=show,
                die_with_parent=foreground,
            )
        _say_ready(settings, stack, time.monotonic() - started_at_s, format)
        if foreground:
            _stay(settings)


def _say_ready(settings: Settings, stack: Stack, took_s: float, format: Format) -> None:
    if format is not Format.TABLE:
        row = {
            "ready": stack.ready,
            "kafka_bootstrap": stack.kafka_bootstrap,
            "clickhouse_url": stack.clickhouse_url,
            "clickhouse_user": stack.clickhouse_user,
            "home": stack.home,
        }
        emit([row], format=format)
        return
    lines = (
        f"ready in {took_s:.1f} s",
        f"  Kafka        {stack.kafka_bootstrap}  ({stack.broker})",
        f"  ClickHouse   {stack.clickhouse_url}  user {stack.clickhouse_user}  ({stack.clickhouse})",
        f"  home         {stack.home}",
        "next: murmur status     shows the password",
        "      murmur sql 'SELECT * FROM v_swarm_summary'",
        "      murmur alerts list   what needs a person",
        "      murmur down       stops it; the data stays",
    )
    sys.stdout.write("\n".join(visible(line) for line in lines) + "\n")
    sys.stdout.flush()


def _stay(settings: Settings) -> None:
    """Waits for Ctrl-C, SIGTERM or the end of the stack; then stops what is left."""
    from infra.local import supervisor

    try:
        while (now := supervisor.status(settings)).phase not in ("stopped", "failed"):
            time.sleep(FOREGROUND_POLL_S)
    except KeyboardInterrupt:
        print_error("stopping")
        supervisor.down(settings)
        return
    if now.error:
        fail(now.error, code=EXIT_FAILURE)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """One line on a terminal that names what is still starting; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as line:

        def show(stack: Stack) -> None:
            waiting = [p.name for p in stack.processes if p.state != "ready" and p.name != "supervisor"]
            line.update("starting " + (", ".join(waiting) if waiting else "..."))

        yield show
