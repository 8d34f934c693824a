"""`murmur import`: files of other tools -> events on the same topics, as often as you like.

In: paths, flags. Out: published events, a summary on stdout, damaged places on stderr; exit code 0, 1 or 2.
Never: counts an event twice however often a file is imported; reads text content into an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.output import EXIT_FAILURE, EXIT_USAGE, Format, emit, examples, fail, load_settings, print_error
from interfaces.importers.choices import TableFormat, TimestampUnit

if TYPE_CHECKING:
    from interfaces.importers.chunk import Chunk
    from interfaces.importers.pipeline import Summary


class FileFormat(StrEnum):
    """The file's formats and the summary's, in one flag."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    TABLE = "table"
    JSON = "json"


class BenchmarkFormat(StrEnum):
    """Whose results they are, and the summary's format, in one flag."""

    OPENHANDS = "openhands"
    TAU2 = "tau2"
    TABLE = "table"
    JSON = "json"


ISSUES_SHOWN_MAX = 20  # places printed; the counts in the summary are complete

app = typer.Typer(
    no_args_is_help=True,
    help="Import files of other tools: the same events twice count once.",
    epilog=examples(
        "murmur import claude-code",
        "murmur import claude-code ~/.claude/projects/my-project --dry-run",
        "murmur import claude-flow path/to/project",
        "murmur import executions runs.jsonl --swarm nightly",
        "murmur import benchmark --format openhands openhands-index-results",
        "murmur import file cpu.csv --map value=load --set metric=cpu_usage --swarm lab --timestamp-unit s",
    ),
)

Swarm = Annotated[str, typer.Option("--swarm", help="Put everything into this swarm.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and count; publish nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Publish without looking what ClickHouse already holds.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="Format of the summary.")]


@app.callback()
def root() -> None:
    """Import files of other tools: the same events twice count once."""


@app.command("claude-code")
def claude_code(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Transcripts or folders of them.")
    ] = None,
    swarm: Swarm = "",
    dry_run: DryRun = False,
    force: Force = False,
    format: OutputFormat = Format.TABLE,
    config_dir: Annotated[
        str | None,
        typer.Option("--config-dir", envvar="CLAUDE_CONFIG_DIR", help="Claude Code's own folder.", show_default=False),
    ] = None,
) -> None:
    """Claude Code transcripts: one swarm a session, with its agents, model calls, tool calls and turns.

    Without PATH: ~/.claude/projects and ~/.config/claude/projects. No text, argument or output is read into an event.
    """
    from interfaces.importers.claude_code.discovery import default_roots, transcripts
    from interfaces.importers.claude_code.importer import chunks
    from interfaces.importers.paths import NothingToImportError
    from interfaces.importers.pipeline import Summary
    from models.clock import SystemClock

    try:
        files = transcripts(paths or [], defaults=default_roots(Path.home(), config_dir))
    except NothingToImportError as error:
        fail(str(error), code=EXIT_USAGE)
    summary = Summary()
    now_ms = SystemClock().now_ms()
    _carry(
        lambda on_bytes: chunks(files, summary, now_ms=now_ms, swarm=swarm, on_bytes=on_bytes),
        summary,
        "claude-code",
        total_bytes=sum(file.stat().st_size for file in files),
        swarm=swarm,
        dry_run=dry_run,
        force=force,
        format=format,
    )


@app.command("claude-flow")
def claude_flow(
    path: Annotated[Path, typer.Argument(help="A project, its .claude-flow folder, or one metrics file.")],
    swarm: Swarm = "",
    dry_run: DryRun = False,
    force: Force = False,
    format: OutputFormat = Format.TABLE,
) -> None:
    """claude-flow's .claude-flow/metrics/*.json: system samples, tasks and declared counters.

    The swarm is the machine in the file's name (system-metrics.MACHINE.json), else the project's folder.
    """
    from interfaces.importers.claude_flow import chunks, metric_files
    from interfaces.importers.paths import NothingToImportError
    from interfaces.importers.pipeline import Summary

    try:
        files = metric_files(path)
    except NothingToImportError as error:
        fail(str(error), code=EXIT_USAGE)
    summary = Summary()
    _carry(
        lambda on_bytes: chunks(files, summary, swarm=swarm, on_bytes=on_bytes),
        summary,
        "claude-flow",
        total_bytes=sum(file.stat().st_size for file in files),
        swarm=swarm,
        dry_run=dry_run,
        force=force,
        format=format,
    )


@app.command("executions")
def executions(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines, one execution a line.")],
    swarm: Swarm = "",
    dry_run: DryRun = False,
    force: Force = False,
    format: OutputFormat = Format.TABLE,
) -> None:
    """Executions (timestamp, agent_name, task_hash, success, execution_time_ms, model, tokens, cost ...) as tasks.

    The swarm is --swarm, else the line's workflow_id, else the file's name.
    """
    from interfaces.importers.executions import chunks
    from interfaces.importers.pipeline import Summary

    _must_be_file(path)
    summary = Summary()
    _carry(
        lambda on_bytes: chunks(path, summary, swarm=swarm, on_bytes=on_bytes),
        summary,
        "executions",
        total_bytes=path.stat().st_size,
        swarm=swarm,
        dry_run=dry_run,
        force=force,
        format=format,
    )


@app.command(
    "benchmark",
    epilog=examples(
        "murmur import benchmark --format openhands openhands-index-results",
        "murmur import benchmark --format tau2 results/airline.json --dry-run",
        "murmur compare benchmark --baseline results/GPT-5.4 --candidates results/GPT-5.5 --filter benchmark=swe-bench",
    ),
)
def benchmark(
    path: Annotated[Path, typer.Argument(help="A folder of results, or one file of them.")],
    formats: Annotated[
        list[BenchmarkFormat],
        typer.Option("--format", help="openhands, tau2: the results'. table, json: the summary's. May be repeated."),
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", help="openhands: time of results whose scores.json has none.", show_default=False),
    ] = None,
    swarm: Swarm = "",
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Benchmark results: one task of one configuration as one task, with cost, success, duration and model.

    The swarm is the configuration: for openhands the folder below PATH (results/GPT-5.4), for tau2 the file's name. A
    cost that is 0 or missing for a whole configuration is not priced, never free.
    """
    from interfaces.importers.benchmark import openhands, tau2
    from interfaces.importers.fields import as_time_ms
    from interfaces.importers.paths import NothingToImportError
    from interfaces.importers.pipeline import Summary

    kinds = list(dict.fromkeys(f for f in formats if f in (BenchmarkFormat.OPENHANDS, BenchmarkFormat.TAU2)))
    if len(kinds) != 1:
        fail("--format openhands or --format tau2: say whose results these are", code=EXIT_USAGE)
    at_ms = None if at is None else as_time_ms(at)
    if at is not None and at_ms is None:
        fail(f"--at {at!r} is not a time: write ISO 8601 such as 2026-01-31T12:00:00Z", code=EXIT_USAGE)
    is_tau2 = kinds[0] is BenchmarkFormat.TAU2
    try:
        files = tau2.result_files(path) if is_tau2 else openhands.result_files(path)
    except NothingToImportError as error:
        fail(str(error), code=EXIT_USAGE)
    summary = Summary()

    def source(on_bytes: Callable[[int], None]) -> Iterator[Chunk]:
        if is_tau2:
            return tau2.chunks(files, summary, swarm=swarm, on_bytes=on_bytes)
        return openhands.chunks(files, summary, root=path, swarm=swarm, at_ms=at_ms, on_bytes=on_bytes)

    _carry(
        source,
        summary,
        "benchmark",
        total_bytes=sum(file.stat().st_size for file in files),
        swarm=swarm,
        dry_run=dry_run,
        force=force,
        format=Format.JSON if BenchmarkFormat.JSON in formats else Format.TABLE,
    )


@app.command("file")
def file(
    path: Annotated[Path, typer.Argument(help="An NDJSON, CSV or Parquet file.")],
    maps: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Column of a field; may be repeated.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same value in every row.")
    ] = None,
    timestamp_unit: Annotated[
        TimestampUnit, typer.Option("--timestamp-unit", help="What the timestamp column counts.")
    ] = TimestampUnit.MS,
    swarm: Swarm = "",
    dry_run: DryRun = False,
    force: Force = False,
    formats: Annotated[
        list[FileFormat] | None,
        typer.Option("--format", help="ndjson, csv, parquet: the file's. table, json: the summary's. May be repeated."),
    ] = None,
) -> None:
    """Any table as metric events: fields named like a column are taken, others are mapped.

    Fields: swarm_id, metric, timestamp, value (required); agent_id, run_id, unit, weight, source, priority, category,
    provenance, id, tags.KEY. Example: murmur import file cpu.csv --map value=load --set metric=cpu_usage --swarm lab
    """
    from interfaces.importers import tables
    from interfaces.importers.mapping import MappingError, parse_mapping
    from interfaces.importers.paths import NothingToImportError
    from interfaces.importers.pipeline import Summary

    _must_be_file(path)
    chosen = [given.value for given in formats or []]
    inputs = [TableFormat(name) for name in chosen if name in set(TableFormat)]
    if len(inputs) > 1:
        fail(f"--format {' and '.join(inputs)}: a file has one format", code=EXIT_USAGE)
    summary = Summary()
    fixed = [*(constants or []), *([f"swarm_id={swarm}"] if swarm else [])]
    try:
        table_format = inputs[0] if inputs else tables.format_of(path)
        is_csv = table_format is TableFormat.CSV
        mapping = parse_mapping(maps or [], fixed, timestamp_unit, texts_hold_numbers=is_csv)
        _carry(
            lambda on_bytes: tables.chunks(path, table_format, mapping, summary, on_bytes=on_bytes),
            summary,
            "file",
            total_bytes=path.stat().st_size,
            swarm=swarm,
            dry_run=dry_run,
            force=force,
            format=Format.JSON if FileFormat.JSON.value in chosen else Format.TABLE,
        )
    except (MappingError, NothingToImportError) as error:
        fail(str(error), code=EXIT_USAGE)


def _must_be_file(path: Path) -> None:
    if not path.is_file():
        what = "is a folder; give one file" if path.is_dir() else "no such file"
        fail(f"{path}: {what}", code=EXIT_USAGE)


def _carry(
    source: Callable[[Callable[[int], None]], Iterator[Chunk]],
    summary: Summary,
    importer: str,
    *,
    total_bytes: int,
    swarm: str,
    dry_run: bool,
    force: bool,
    format: Format,
) -> None:
    """Runs one import under a progress bar and prints what it did."""
    from interfaces.cli.import_progress import ImportProgress
    from interfaces.importers.pipeline import ImportFailedError, run_import

    settings = load_settings()
    _check_swarm(swarm)
    problem = ""
    with ImportProgress(total_bytes) as bar:
        try:
            run_import(source(bar.read), settings, summary, dry_run=dry_run, force=force, progress=bar.published)
        except ImportFailedError as error:
            problem = str(error)
    _print_issues(summary)
    if problem:
        fail(problem, code=EXIT_FAILURE)
    _print_summary(summary, importer, dry_run=dry_run, format=format)
    if not summary.found_total:
        fail(f"import {importer}: nothing that could be imported was found", code=EXIT_FAILURE)


def _check_swarm(swarm: str) -> None:
    from models.events import ID_LENGTH_MAX

    if len(swarm) > ID_LENGTH_MAX or "\x00" in swarm:
        fail(f"--swarm: a swarm's name has at most {ID_LENGTH_MAX} characters and no NUL", code=EXIT_USAGE)


def _print_issues(summary: Summary) -> None:
    shown = summary.issues.named[:ISSUES_SHOWN_MAX]
    for issue in shown:
        print_error(str(issue))
    if summary.issues.total > len(shown):
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary.issues.counts.most_common())
        print_error(f"{summary.issues.total - len(shown)} more places not shown; in all: {kinds}")


def _print_summary(summary: Summary, importer: str, *, dry_run: bool, format: Format) -> None:
    row = summary.row(importer, dry_run=dry_run)
    if format is not Format.TABLE:
        emit([row], format=format)
        return
    rows = [
        {"what": name.replace("_", " "), "count": value}
        for name, value in row.items()
        if isinstance(value, int) and not isinstance(value, bool)
    ]
    emit(rows, format=format, title=f"import {importer} (dry run)" if dry_run else f"import {importer}")
    if summary.published:
        typer.echo("the worker stores them within seconds: murmur sql 'SELECT * FROM v_swarm_summary'")
