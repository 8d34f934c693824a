"""`murmur report generate|list|show`: build a report, write its files, keep it in ClickHouse, find it again.

In: flags. Out: files, their paths on stdout. Never: heavy imports before the command runs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from reports.config import ReportConfig
    from reports.render.view import Report

FORMATS = ("html", "md", "json")
EPILOG = examples(
    "murmur report generate --swarm nightly-a --swarm nightly-b",
    "murmur report generate --swarm nightly-a --kind executive --format html --out reports-out",
    "murmur report generate --swarm a --swarm b --time-range last-24h --title 'Release candidate'",
)
app = typer.Typer(no_args_is_help=True, help="Generate reports.")


class Kind(StrEnum):
    """How much a report shows."""

    EXECUTIVE = "executive"
    COMPARISON = "comparison"


@app.callback()
def report() -> None:
    """Reports about swarms: one file each, offline, with the evidence inside."""


@app.command(epilog=EPILOG)
def generate(
    swarm: Annotated[list[str], typer.Option("--swarm", help="Swarm to report on; give it several times.")],
    kind: Annotated[Kind, typer.Option(help="executive: the short one; comparison: everything.")] = Kind.COMPARISON,
    format: Annotated[str, typer.Option("--format", help="html, md and json, comma-separated.")] = "html,md,json",
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.")] = Path("reports-out"),
    title: Annotated[str, typer.Option(help="Title of the report.", show_default=False)] = "",
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Only these measures.", show_default=False)
    ] = None,
    time_range: Annotated[
        str | None, typer.Option("--time-range", help="last-24h, last-7-days ...", show_default=False)
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", help="End, exclusive, ISO 8601.", show_default=False)] = None,
) -> None:
    """Build a report about one or several swarms and write it to files.

    The report is also kept in the table `reports` under its id.
    """
    formats = parse_formats(format)
    config = config_of(
        swarms=swarm,
        kind=kind.value,
        title=title,
        metrics=metric or [],
        time_range=time_range,
        from_=from_,
        to=to,
    )
    from reports.build import render, write_rendered

    def finish(built: Report, client: Any) -> None:
        from reports.store import save_report

        bodies = {name: render(built, name) for name in formats}  # type: ignore[arg-type]  # parse_formats checked it
        paths = write_rendered(built, out, bodies)
        save_report(client, built, bodies)
        for path in paths:
            typer.echo(path)

    with_report(config, finish)


@app.command("list", epilog=examples("murmur report list", "murmur report list --format json"))
def list_(
    format: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most reports shown.")] = 20,
) -> None:
    """The reports that were made, the newest first."""
    from interfaces.cli.clickhouse import open_client
    from reports.store import list_reports

    with open_client(load_settings()) as client:
        emit(
            list_reports(client, limit),
            format=format,
            columns=["report_id", "kind", "made_at", "title", "formats"],
        )


@app.command(epilog=examples("murmur report show REPORT_ID", "murmur report show REPORT_ID --format md"))
def show(
    report_id: Annotated[str, typer.Argument(help="Id, or its unique beginning.")],
    format: Annotated[str, typer.Option("--format", help="html, md or json.")] = "md",
) -> None:
    """Print a report that was made earlier."""
    (name, *_) = parse_formats(format)
    from interfaces.cli.clickhouse import open_client
    from reports.store import load_report

    with open_client(load_settings()) as client:
        body = load_report(client, report_id, name)
    if body is None:
        fail(f"no single report begins with {report_id!r} in format {name}: `murmur report list` shows them")
    typer.echo(body, nl=False)


def parse_formats(text: str) -> list[str]:
    """`html,md` -> the list; ends the command when a format is unknown."""
    names = [name for part in text.split(",") if (name := part.strip())]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        fail(f"--format {text!r}: known formats are {', '.join(FORMATS)}", code=EXIT_USAGE)
    return list(dict.fromkeys(names))


def config_of(
    *, time_range: str | None, from_: str | None, to: str | None, swarms: list[str], **values: Any
) -> ReportConfig:
    """The report's configuration from flags; ends the command with every mistake in one line."""
    from pydantic import ValidationError

    from models.clock import SystemClock
    from reports.config import ReportConfig
    from reports.timerange import parse_time_range

    try:
        time = parse_time_range(time_range, from_, to, now_ms=SystemClock().now_ms())
        return ReportConfig(swarms=tuple(swarms), from_ms=time.from_ms, to_ms=time.to_ms, **values)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        fail(mistakes, code=EXIT_USAGE)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)


def with_report(config: ReportConfig, finish: Callable[[Report, Any], None], *, with_charts: bool = True) -> None:
    """Builds the report over the configured database and hands it, with the client, to `finish`."""
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError, build_report
    from reports.queries.clickhouse import ClickHouseReader

    with open_client(load_settings()) as client:
        try:
            built = build_report(ClickHouseReader(client), config, with_charts=with_charts)
        except UnknownSwarmError as error:
            fail(str(error))
        finish(built, client)
