"""`murmur status`: what runs in this home, and where.

In: settings. Out: addresses, credentials, processes; exit 0 ready, 1 not ready, 3 nothing runs.
Never: starts or changes anything.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import typer

from interfaces.cli.output import EXIT_FAILURE, Format, FormatOption, emit, examples, load_settings, visible

if TYPE_CHECKING:
    from infra.local.supervisor import StackStatus

EXIT_NOT_RUNNING = 3  # the code of `systemctl status` and the LSB for "program is not running"
EPILOG = examples("murmur status", "murmur status --format json", "murmur status --home /srv/murmur")
app = typer.Typer()


@app.command(epilog=EPILOG)
def status(
    format: FormatOption = Format.TABLE,
) -> None:
    """Show addresses, credentials and processes of the stack in this home.

    Exit code: 0 ready, 1 starting or faulty, 3 nothing runs.
    """
    from infra.local import supervisor

    state = supervisor.status(load_settings(use_running_stack=False))
    if format is Format.JSON:
        json.dump(dataclasses.asdict(state), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif format is Format.TABLE:
        _show(state)
    else:
        emit([dataclasses.asdict(p) for p in state.processes], format=format)
    if state.phase == "stopped":
        raise typer.Exit(EXIT_NOT_RUNNING)
    if not state.ready:
        raise typer.Exit(EXIT_FAILURE)


def _show(state: StackStatus) -> None:
    facts = [("stack", state.phase), ("home", state.home)]
    if state.processes:
        facts += [
            ("kafka_bootstrap", f"{state.kafka_bootstrap} ({state.broker})"),
            ("clickhouse_url", f"{state.clickhouse_url} ({state.clickhouse})"),
            ("clickhouse_user", str(state.clickhouse_user)),
            ("clickhouse_password", str(state.clickhouse_password)),
        ]
    if state.clickhouse_read_user:
        facts.append(("read-only", f"{state.clickhouse_read_user} {state.clickhouse_read_password}"))
    if state.error:
        facts.append(("error", state.error))
    for name, value in facts:
        sys.stdout.write(f"{name:<20} {visible(value)}\n")
    if state.processes:
        sys.stdout.flush()
        emit([dataclasses.asdict(p) for p in state.processes])
    elif state.phase == "stopped":
        sys.stdout.write("start it with: murmur up\n")
