"""`murmur migrate`: brings the ClickHouse schema to this version, shows where it stands, takes it back.

In: settings. Out: what was done or would be done. Never: drops data unless told to in so many words.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.output import (
    EXIT_FAILURE,
    EXIT_USAGE,
    Format,
    FormatOption,
    emit,
    examples,
    fail,
    load_settings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sinks.clickhouse.migrate import Step

EPILOG = examples(
    "murmur migrate",
    "murmur migrate --dry-run",
    "murmur migrate status",
    "murmur migrate down --to 3 --allow-data-loss",
)
app = typer.Typer(invoke_without_command=True)


@app.callback(epilog=EPILOG)
def migrate(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, run nothing.")] = False,
    allow_dangerous: Annotated[
        bool, typer.Option("--allow-dangerous", help="Also run statements that can lose data or take long.")
    ] = False,
) -> None:
    """Bring the ClickHouse schema up to date (creates the database when it is missing)."""
    if context.invoked_subcommand is not None:
        return
    from sinks.clickhouse import migrate as engine

    settings = load_settings()
    steps = engine.migrate(settings, dry_run=dry_run, allow_dangerous=allow_dangerous)
    _say(steps, dry_run=dry_run, nothing="the schema is up to date", done="applied")


@app.command(epilog=examples("murmur migrate status", "murmur migrate status --format json"))
def status(
    format: FormatOption = Format.TABLE,
) -> None:
    """Show which migrations are applied. Exit code 1 while some are pending."""
    from interfaces.cli.clickhouse import open_client
    from sinks.clickhouse import migrate as engine

    with open_client(load_settings()) as client:
        pending = {m.version for m in engine.pending(client)}
    rows = [
        {"version": m.version, "name": m.name, "state": "pending" if m.version in pending else "applied"}
        for m in engine.load()
    ]
    emit(rows, format=format)
    if pending:
        raise typer.Exit(EXIT_FAILURE)


@app.command(epilog=examples("murmur migrate down --to 5 --dry-run", "murmur migrate down --to 0 --allow-data-loss"))
def down(
    to: Annotated[int, typer.Option("--to", help="The version to go back to; 0 removes everything.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, run nothing.")] = False,
    allow_data_loss: Annotated[
        bool, typer.Option("--allow-data-loss", help="Dropping tables with their rows is intended.")
    ] = False,
) -> None:
    """Take migrations back, newest first."""
    from interfaces.cli.clickhouse import open_client
    from sinks.clickhouse import migrate as engine

    if to < 0:
        fail(f"--to {to}: a version is 0 or higher", code=EXIT_USAGE)
    with open_client(load_settings()) as client:
        steps = engine.down(client, to_version=to, dry_run=dry_run, allow_data_loss=allow_data_loss)
    _say(steps, dry_run=dry_run, nothing=f"nothing above version {to} is applied", done="taken back")


def _say(steps: Sequence[Step], *, dry_run: bool, nothing: str, done: str) -> None:
    if not steps:
        sys.stdout.write(f"{nothing}\n")
        return
    if dry_run:
        for step in steps:
            sys.stdout.write(f"-- {step.migration.label}\n{step.statement.rstrip().rstrip(';')};\n\n")
        return
    for label in dict.fromkeys(step.migration.label for step in steps):
        sys.stdout.write(f"{done} {label}\n")
