"""`murmur analyze costs|repeats|bottlenecks|run|correlations|impact`: what a swarm's own activities say of it.

In: sides, flags. Out: rows in one of the formats. Never: heavy imports before the command runs; a number of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.compare_options import FilterOption, FromOption, TimeRangeOption, ToOption
from interfaces.cli.output import EXIT_USAGE, Format, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from reports.queries.analysis import AnalysisReader
    from reports.queries.port import TimeRange
    from reports.queries.side import Side

ROWS_SHOWN_MAX = 50  # in a table; the other formats show all

app = typer.Typer(
    no_args_is_help=True,
    help="Costs, repeated work, bottlenecks, critical paths, correlations, settings.",
    epilog=examples(
        "murmur analyze costs my-swarm --by agent --all-on claude-haiku-4-5",
        "murmur analyze run my-swarm --time-range last-24h",
        'murmur analyze bottlenecks "model=x,period=last-7-days" --format json',
    ),
)
Sides = Annotated[
    list[str], typer.Argument(metavar="SIDE...", help="Swarms, or key=value,... filters.", show_default=False)
]
FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]


@app.callback()
def analyze() -> None:
    """What a swarm's own activities say of it."""


@app.command(epilog=examples("murmur analyze costs a b --by role", "murmur analyze costs a --all-on claude-haiku-4-5"))
def costs(
    side: Sides,
    by: Annotated[str, typer.Option("--by", help="model, agent, role, swarm, or any column or tag.")] = "model",
    all_on: Annotated[
        list[str] | None, typer.Option("--all-on", metavar="MODEL", help="The same tokens at this model's list price.")
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Cost of model calls by group, what is not priced, what caches saved, and the same tokens on another model."""
    from models.prices import PriceBook, PriceFileError
    from reports.analysis.costs import alternatives, bands_of
    from reports.analysis.costs import costs as cost_lines
    from reports.queries.side import known_key

    try:
        key = known_key(by)
        book = PriceBook.load(load_settings().prices_file)
    except (ValueError, PriceFileError) as error:
        fail(" ".join(str(error).split()), code=EXIT_USAGE)

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> None:
        rows = reader.usage(key, bands_of(book)).rows
        _print(cost_lines(rows, book), f"cost by {by} (USD; cache savings at list prices)", format, quiet=bool(all_on))
        if all_on:
            title = "the same tokens at list prices: not a forecast, another model would have used others"
            _print(alternatives(rows, book, all_on), title, format)

    _ask(side, filter, time_range, from_, to, answer)


@app.command(epilog=examples("murmur analyze repeats my-swarm", "murmur analyze repeats a b --format json"))
def repeats(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Completed work that was done again: tasks of one hash, tool calls of one input; the most a cache could save."""
    from reports.analysis.repeats import repeat_shares, repeated

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> None:
        rows = reader.repeats().rows
        _print(repeat_shares(rows), "repeated work, and the most that remembering it could save", format, quiet=True)
        _print(repeated(rows), "done more than once", format)

    _ask(side, filter, time_range, from_, to, answer)


@app.command(epilog=examples("murmur analyze bottlenecks my-swarm", "murmur analyze bottlenecks a --format csv"))
def bottlenecks(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Phases, agents, tools, models and receivers that take over 1.5 times their like, by the time they cost."""
    from reports.analysis.bottlenecks import bottlenecks as found

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> None:
        _print(found(reader.durations().rows), "bottlenecks, the gravest first", format)

    _ask(side, filter, time_range, from_, to, answer)


@app.command(epilog=examples("murmur analyze run my-swarm", "murmur analyze run run=nightly-7 --format json"))
def run(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Critical path, parallel efficiency and coordination overhead of each run."""
    from reports.analysis.run_shape import run_shapes
    from reports.queries.analysis import ACTIVITIES_MAX

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> None:
        rows = reader.spans().rows
        if len(rows) > ACTIVITIES_MAX:
            fail(f"more than {ACTIVITIES_MAX:,} activities: name fewer runs, or a shorter --time-range")
        shapes = run_shapes(rows)
        if format is Format.TABLE:
            flat = [_row(shape, without={"path"}) for shape in shapes]
            emit(flat[:ROWS_SHOWN_MAX], title="runs, the longest first")
            for shape in shapes[:1]:
                _print(shape.path, f"what decided the end of {shape.side} {shape.run_id}".strip(), format)
        else:
            _print(shapes, "runs", format)

    _ask(side, filter, time_range, from_, to, answer)


@app.command(epilog=examples("murmur analyze correlations my-swarm"))
def correlations(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Which measures of a side's tasks go together (Spearman, corrected over all pairs of the side)."""
    from reports.analysis.correlation import correlations as found

    def answer(reader: AnalysisReader, sides: Sequence[Side]) -> None:
        tasks = reader.tasks().rows
        _print([one for s in sides for one in found(s.name, tasks)], "correlations; none is a cause", format)

    _ask(side, filter, time_range, from_, to, answer)


@app.command(epilog=examples("murmur analyze impact my-swarm", "murmur analyze impact a b --metric task_duration"))
def impact(
    side: Sides,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="task_success, task_duration, cost_usd.", show_default=False)
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Which setting of the runs goes with a difference: its share of the variance, and runs with it against others."""
    from reports.analysis.impact import METRICS, impacts

    unknown = [name for name in metric or () if name not in METRICS]
    if unknown:
        fail(f"--metric {', '.join(unknown)}: settings are judged by {', '.join(METRICS)}", code=EXIT_USAGE)

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> None:
        found = impacts(reader.runs().rows, tuple(metric or METRICS))
        rows = [
            {
                **_row(one, without={"finding"}),
                **{name: getattr(one.finding, name) for name in ("n_a", "n_b", "mean_a", "mean_b", "unit")},
                **{name: getattr(one.finding, name) for name in ("ratio", "ratio_low", "ratio_high", "difference")},
                **{name: getattr(one.finding, name) for name in ("p_adjusted", "verdict", "why")},
            }
            for one in found
        ]
        _emit(rows, "settings of runs; who set what was not drawn by lots", format)

    _ask(side, filter, time_range, from_, to, answer)


def _ask(
    names: Sequence[str],
    filters: Sequence[str] | None,
    time_range: str | None,
    from_: str | None,
    to: str | None,
    answer: Callable[[AnalysisReader, Sequence[Side]], None],
) -> None:
    """Opens the database for the sides and hands the reader to `answer`; an unknown side ends the command."""
    sides, time = _sides(names, filters, time_range, from_, to)
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError
    from reports.comparison import ComparisonRequest, reader_of, require_known
    from reports.queries.analysis import AnalysisReader

    with open_client(load_settings()) as client:
        reader = reader_of(client, sides)
        found = {row.swarm_id for row in reader.swarms([side.name for side in sides], time).rows}
        try:
            require_known(reader, ComparisonRequest(tuple(sides), (), time=time), found)
        except UnknownSwarmError as error:
            fail(str(error))
        answer(AnalysisReader(client, sides, time), sides)


def _sides(
    names: Sequence[str], filters: Sequence[str] | None, time_range: str | None, from_: str | None, to: str | None
) -> tuple[list[Side], TimeRange]:
    from models.clock import SystemClock
    from reports.queries.side import parse_filters, parse_side
    from reports.timerange import parse_time_range

    now_ms = SystemClock().now_ms()
    try:
        conditions = parse_filters(filters or ())
        sides = [parse_side(name, now_ms=now_ms).narrowed(conditions) for name in dict.fromkeys(names)]
        return sides, parse_time_range(time_range, from_, to, now_ms=now_ms)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)


def _row(value: Any, *, without: set[str] | None = None) -> dict[str, object]:
    row: Mapping[str, object] = dataclasses.asdict(value)
    return {name: item for name, item in row.items() if name not in (without or ())}


def _print(values: Sequence[Any], title: str, format: Format, *, quiet: bool = False) -> None:
    """`quiet`: a first part that only the table shows, because the other formats hold one kind of row."""
    if not quiet or format is Format.TABLE:
        _emit([_row(value) for value in values], title, format)


def _emit(rows: Sequence[Mapping[str, object]], title: str, format: Format) -> None:
    if format is not Format.TABLE:
        emit(rows, format=format, title=title)
        return
    emit(rows[:ROWS_SHOWN_MAX], title=title)
    if len(rows) > ROWS_SHOWN_MAX:
        typer.echo(f"{len(rows) - ROWS_SHOWN_MAX:,} more: --format json or csv shows all")
