"""`murmur compare swarms`: what differs between swarms, and what does not.

In: swarm ids, flags. Out: a table, JSON, Markdown or HTML. Never: heavy imports before the command runs.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, emit, examples, fail

if TYPE_CHECKING:
    from reports.compare.finding import Finding
    from reports.render.view import Report

EPILOG = examples(
    "murmur compare swarms baseline candidate",
    "murmur compare swarms a b c --metric task_duration --metric cost_usd",
    "murmur compare swarms a b --format json | jq '.comparisons[] | {metric, ratio, verdict}'",
    "murmur compare swarms a b --format html --out a-b.html",
)
app = typer.Typer(no_args_is_help=True, help="Compare swarms with effect sizes and intervals.")


class CompareFormat(StrEnum):
    """What a comparison can be printed as."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


class PairedBy(StrEnum):
    """How tasks of two swarms are matched."""

    AUTO = "auto"
    TASK_ID = "task_id"
    NONE = "none"


@app.callback()
def compare() -> None:
    """Comparisons that name a winner only where there is one."""


@app.command(epilog=EPILOG)
def swarms(
    swarm: Annotated[list[str], typer.Argument(help="Two or more swarm ids; the first is A.", show_default=False)],
    paired_by: Annotated[
        PairedBy, typer.Option("--paired-by", help="Pair tasks by id: auto when both did the same tasks.")
    ] = PairedBy.AUTO,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Only these measures.", show_default=False)
    ] = None,
    time_range: Annotated[
        str | None, typer.Option("--time-range", help="last-24h, last-7-days ...", show_default=False)
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", help="End, exclusive, ISO 8601.", show_default=False)] = None,
    format: Annotated[CompareFormat, typer.Option("--format", help="Output format.")] = CompareFormat.TABLE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Compare swarms in success, durations, tokens, cost and their own metrics.

    Every ratio is A / B and every verdict is A's. A verdict needs a 95 % interval and a test that is corrected over
    everything shown; otherwise it reads "no difference shown" or "not enough data".
    """
    if len(set(swarm)) < 2:
        fail("compare needs two different swarms: murmur compare swarms A B", code=EXIT_USAGE)
    if out is not None and format is CompareFormat.TABLE:
        fail("--out needs --format json, markdown or html", code=EXIT_USAGE)
    from interfaces.cli.report import config_of, with_report

    config = config_of(
        swarms=swarm,
        kind="comparison",
        metrics=metric or [],
        paired_by=paired_by.value,
        time_range=time_range,
        from_=from_,
        to=to,
    )

    def finish(report: Report, _client: Any) -> None:
        _show(report, format, out)

    with_report(config, finish, with_charts=format is CompareFormat.HTML)


def _show(report: Report, format: CompareFormat, out: Path | None) -> None:
    if format is CompareFormat.TABLE:
        for a, b in report.pairs:
            emit([_row(f) for f in report.findings_of(a, b)], title=f"A = {a}, B = {b}", columns=_COLUMNS)
            for finding in report.findings_of(a, b):
                typer.echo(f"{finding.label}: {finding.verdict}: {finding.why}")
        for note in report.quality:
            if note.level == "warning":
                typer.echo(f"Warning: {note.text}")
        return
    from reports.build import render

    name = {"json": "json", "markdown": "md", "html": "html"}[format.value]
    text = render(report, name)  # type: ignore[arg-type]  # one of the three names above
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(out)


_COLUMNS = (
    "measure",
    "A mean",
    "B mean",
    "A / B",
    "A p50",
    "B p50",
    "A p95",
    "B p95",
    "n",
    "p",
    "verdict for A",
)


def _row(f: Finding) -> dict[str, object]:
    from reports.numbers import number, quantity

    ratio = "" if f.ratio is None else number(f.ratio)
    if f.ratio_low is not None:
        ratio += f" [{number(f.ratio_low)}, {number(f.ratio_high)}]"

    def cell(value: float | None) -> str | None:
        return None if value is None else quantity(value, f.unit)

    n = f"{f.n_a} pairs" if f.paired else f"{f.n_a}, {f.n_b} {f.unit_of_analysis}s"
    values = (f.label, cell(f.mean_a), cell(f.mean_b), ratio or None, cell(f.p50_a), cell(f.p50_b))
    tail = (
        cell(f.p95_a),
        cell(f.p95_b),
        n,
        None if f.p_adjusted is None else number(f.p_adjusted),
        f.verdict,
    )
    return dict(zip(_COLUMNS, (*values, *tail), strict=True))
