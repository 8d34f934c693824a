"""`murmur report generate|list|show|schedule`: build a report, write its files, keep it in ClickHouse, find it again.

In: flags, a report file. Out: files, their paths on stdout. Never: heavy imports before the command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, emit, examples, fail, load_settings
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
from interfaces.cli.report_schedule import app as schedule_app

if TYPE_CHECKING:
    from reports.config import ReportConfig
    from reports.render.view import Report

EPILOG = examples(
    "murmur report generate --swarm nightly-a --swarm nightly-b",
    "murmur report generate --swarm nightly-a --kind executive --format html,pdf --out reports-out",
    "murmur report generate --swarm nightly --period daily --date 2026-03-01",
    "murmur report generate --swarm nightly --kind trend --period weekly --periods 6",
    "murmur report generate --swarm nightly --kind final --run run-17",
    "murmur report generate --from-file report.yaml",
)
app = typer.Typer(no_args_is_help=True, help="Generate reports.")
app.add_typer(schedule_app, name="schedule")


@app.callback()
def report() -> None:
    """Reports about swarms: one file each, offline, with the evidence inside."""


@app.command(epilog=EPILOG)
def generate(
    swarm: Swarms = None,
    kind: KindFlag = None,
    format: FormatsFlag = None,
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.")] = Path("reports-out"),
    title: Title = None,
    metric: Metrics = None,
    time_range: Annotated[
        str | None, typer.Option("--time-range", help="last-24h, last-7-days ...", show_default=False)
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", help="End, exclusive, ISO 8601.", show_default=False)] = None,
    period: Annotated[
        PeriodOption | None,
        typer.Option("--period", help="One hour, day, week or month (UTC); the last complete one.", show_default=False),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Which period: 2026-03-01, 2026-03-01T12, 2026-W09, 2026-03.", show_default=False),
    ] = None,
    periods: Periods = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Of a final report: the run; the newest unless given.", show_default=False),
    ] = None,
    from_file: FromFile = None,
) -> None:
    """Build a report about one or several swarms and write it to files.

    The report is also kept in the table `reports` under its id.
    """
    flags = {"swarms": swarm, "title": title, "metrics": metric, "date": date, "periods": periods, "run": run}
    flags |= {"time_range": time_range, "from": from_, "to": to}
    flags |= {"kind": kind.value if kind else None, "period": period.value if period else None}
    request = request_from(from_file, formats=parse_formats(format) if format else None, **flags)
    require_formats(request.formats)
    if not request.swarms:
        fail("which swarm? give --swarm ID (several times to compare), or swarms in --from-file", code=EXIT_USAGE)
    from models.clock import SystemClock
    from reports.build import body, write_rendered
    from reports.request import RequestError

    def finish(built: Report, client: Any) -> None:
        from reports.store import save_report

        bodies: dict[str, str | bytes] = {name: body(built, name) for name in request.formats}
        paths = write_rendered(built, out, bodies)
        save_report(client, built, bodies)
        for path in paths:
            typer.echo(path)

    try:
        config = request.config(SystemClock().now_ms())
    except RequestError as error:
        fail(str(error), code=EXIT_USAGE)
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


@app.command(
    epilog=examples("murmur report show REPORT_ID", "murmur report show REPORT_ID --format pdf --out report.pdf")
)
def show(
    report_id: Annotated[str, typer.Argument(help="Id, or its unique beginning.")],
    format: Annotated[str, typer.Option("--format", help="html, md, json, csv, text or pdf.")] = "md",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Print a report that was made earlier."""
    (name, *_) = parse_formats(format)
    if name == "pdf" and out is None and sys.stdout.isatty():
        fail("a PDF is not for a terminal: give --out FILE, or send stdout to one", code=EXIT_USAGE)
    from interfaces.cli.clickhouse import open_client
    from reports.store import load_report

    with open_client(load_settings()) as client:
        content = load_report(client, report_id, name)
    if content is None:
        fail(f"no single report begins with {report_id!r} in format {name}: `murmur report list` shows them")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
        typer.echo(out)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.flush()


def config_of(
    *, time_range: str | None, from_: str | None, to: str | None, swarms: list[str], **values: Any
) -> ReportConfig:
    """The report's configuration from flags; ends the command with every mistake in one line."""
    from pydantic import ValidationError

    from models.clock import SystemClock
    from reports.config import ReportConfig
    from reports.request import mistakes
    from reports.timerange import parse_time_range

    try:
        time = parse_time_range(time_range, from_, to, now_ms=SystemClock().now_ms())
        return ReportConfig(swarms=tuple(swarms), from_ms=time.from_ms, to_ms=time.to_ms, **values)
    except ValidationError as error:
        fail(mistakes(error), code=EXIT_USAGE)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)


def with_report(config: ReportConfig, finish: Callable[[Report, Any], None], *, with_charts: bool = True) -> None:
    """Builds the report over the configured database and hands it, with the client, to `finish`."""
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError, build_report
    from reports.final import RunNotFinishedError
    from reports.queries.clickhouse import ClickHouseReader

    with open_client(load_settings()) as client:
        try:
            built = build_report(ClickHouseReader(client), config, with_charts=with_charts)
        except (UnknownSwarmError, RunNotFinishedError) as error:
            fail(str(error))
        finish(built, client)
