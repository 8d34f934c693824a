"""`murmur visualize chart KIND SIDE...`: one chart in the terminal, or as SVG, PNG or a page.

In: a kind, sides, flags. Out: characters on stdout, or a file. Never: heavy imports before the command runs.
"""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.compare_options import FilterOption, FromOption, TimeRangeOption, ToOption, narrowed_sides
from interfaces.cli.output import EXIT_USAGE, examples, fail, load_settings

if TYPE_CHECKING:
    from reports.queries.side import Side
    from reports.visual import ChartRequest, Picture

COLUMNS_PIPED = 80  # of a terminal chart that goes to a file or a pipe


class ChartKind(StrEnum):
    """Which chart; reports.visual.KINDS says what each shows."""

    LINE = "line"
    HEATMAP = "heatmap"
    HISTOGRAM = "histogram"
    ECDF = "ecdf"
    BOX = "box"
    SCATTER = "scatter"
    TIMELINE = "timeline"
    GRAPH = "graph"
    COST = "cost"


class ChartFormat(StrEnum):
    """How the chart leaves the command."""

    TERMINAL = "terminal"
    SVG = "svg"
    PNG = "png"
    HTML = "html"


class ThemeOption(StrEnum):
    """Light or dark; auto follows the reader's setting where the format can."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


app = typer.Typer(
    no_args_is_help=True,
    help="Draw charts.",
    epilog=examples(
        "murmur visualize chart line nightly --metric response_time --time-range last-24h",
        "murmur visualize chart ecdf nightly-a nightly-b --format svg --out durations.svg",
    ),
)


@app.callback()
def visualize() -> None:
    """Charts of what swarms did, in the terminal or as files."""


@app.command(
    epilog=examples(
        "murmur visualize chart line my-swarm",
        "murmur visualize chart heatmap my-swarm --metric cpu_usage",
        "murmur visualize chart box a b --metric cost_usd --out costs.png",
        "murmur visualize chart scatter model=x --metric task_duration --metric output_tokens",
        "murmur visualize chart timeline my-swarm --run run-17 --out run-17.html --theme dark",
    )
)
def chart(
    kind: Annotated[
        ChartKind,
        typer.Argument(
            metavar="KIND",
            help="line, heatmap, histogram, ecdf, box, scatter, timeline, graph, cost.",
            show_default=False,
        ),
    ],
    side: Annotated[
        list[str], typer.Argument(metavar="SIDE...", help="Swarms, or key=value,... filters.", show_default=False)
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="What is drawn (task_duration); a scatter takes two.", show_default=False),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Of a timeline: the run; the newest unless given.", show_default=False)
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: Annotated[
        ChartFormat | None,
        typer.Option(
            "--format",
            help="terminal, svg, png or html; else by the name of --out; else terminal, and svg into a pipe.",
            show_default=False,
        ),
    ] = None,
    theme: Annotated[ThemeOption, typer.Option("--theme", help="auto, light or dark.")] = ThemeOption.AUTO,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Draw one chart of swarms, runs, models or any filter."""
    chosen = _format(format, out)
    from reports.visual import ChartError, ChartRequest, check

    sides, time = narrowed_sides(side, filter, time_range, from_, to)
    names = tuple(one.name for one in sides)
    whole = tuple(one.name for one in sides if one.swarm_id is not None)
    request = ChartRequest(kind.value, names, whole, tuple(metric or ()), time, run or "")
    if run and kind is not ChartKind.TIMELINE:
        fail(f"--run belongs to chart timeline; for {kind.value} write the side as run={run}", code=EXIT_USAGE)
    try:
        check(request)
    except ChartError as error:
        fail(str(error), code=EXIT_USAGE)
    _write(_drawn(request, sides), chosen, theme.value, out, about=_about(request))


def _format(given: ChartFormat | None, out: Path | None) -> ChartFormat:
    if given is None and out is not None:
        known: dict[str, ChartFormat] = {f".{one.value}": one for one in ChartFormat if one is not ChartFormat.TERMINAL}
        known[".txt"] = ChartFormat.TERMINAL
        if out.suffix not in known:
            fail(f"--out {out}: write --format, or a name that ends in {', '.join(known)}", code=EXIT_USAGE)
        return known[out.suffix]
    chosen = given or (ChartFormat.TERMINAL if sys.stdout.isatty() else ChartFormat.SVG)
    if chosen is ChartFormat.PNG and out is None and sys.stdout.isatty():
        fail("a PNG is not for a terminal: give --out FILE, or send stdout to one", code=EXIT_USAGE)
    return chosen


def _drawn(request: ChartRequest, sides: list[Side]) -> Picture:
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError
    from reports.comparison import ComparisonRequest, reader_of, require_known
    from reports.visual import ChartError, NothingToDrawError, build_picture

    with open_client(load_settings()) as client:
        reader = reader_of(client, sides)
        swarms = reader.swarms(request.sides, request.time).rows
        try:
            require_known(reader, ComparisonRequest(tuple(sides), (), time=request.time), {s.swarm_id for s in swarms})
            return build_picture(reader, request, swarms)
        except ChartError as error:
            fail(str(error), code=EXIT_USAGE)
        except (UnknownSwarmError, NothingToDrawError) as error:
            fail(str(error))


def _write(picture: Picture, format: ChartFormat, theme: str, out: Path | None, *, about: str) -> None:
    from reports.charts.svg import themed, to_png
    from reports.render.chart import render_chart

    body: bytes
    if format is ChartFormat.TERMINAL:
        body = _characters(picture, out).encode()
    elif format is ChartFormat.HTML:
        body = render_chart(picture.chart, picture.queries, theme=theme, about=about).encode()
    elif format is ChartFormat.PNG:
        body = to_png(themed(picture.chart.svg, "dark" if theme == "dark" else "light"))
    else:
        body = (themed(picture.chart.svg, theme) + "\n").encode()  # type: ignore[arg-type]  # one of its three words
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(body)
        typer.echo(out)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.flush()


def _characters(picture: Picture, out: Path | None) -> str:
    import textwrap

    from reports.charts.terminal import WIDTH_MAX, WIDTH_MIN, clean

    columns = shutil.get_terminal_size().columns if out is None and sys.stdout.isatty() else COLUMNS_PIPED
    width = min(max(columns, WIDTH_MIN), WIDTH_MAX)
    said = textwrap.wrap(clean(picture.chart.description), width, break_on_hyphens=False)
    return "\n".join([clean(picture.chart.title), picture.words(width), "", *said]) + "\n"


def _about(request: ChartRequest) -> str:
    from reports.render.times import short

    text = ", ".join(request.sides)
    if request.time.from_ms is not None:
        text += f" · from {short(request.time.from_ms)}"
    if request.time.to_ms is not None:
        text += f" · to {short(request.time.to_ms)}"
    return text
