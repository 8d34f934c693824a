"""`murmur gate`: fails a build when a candidate is shown to be worse than a baseline by more than is allowed.

In: two sides, flags. Out: a table, JSON, Markdown or JUnit; exit code 0 pass, 1 worse, 2 cannot tell or misuse.
Never: exit code 0 when nothing could be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.compare_options import (
    FilterOption,
    FromOption,
    MetricOption,
    PairedBy,
    PairedByOption,
    TimeRangeOption,
    ToOption,
    request_of,
)
from interfaces.cli.output import EXIT_USAGE, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from reports.compare.gate import Gate

EPILOG = examples(
    "murmur gate --baseline main --candidate branch",
    "murmur gate --baseline main --candidate branch --allow 1.15 --allow task_success=1.02 --junit gate.xml",
    "murmur gate --baseline main --candidate branch --metric cost_usd --strict --format markdown",
)
app = typer.Typer()


class GateFormat(StrEnum):
    """What a gate's result can be printed as."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"


@app.command(epilog=EPILOG)
def gate(
    baseline: Annotated[str, typer.Option("--baseline", metavar="SIDE", help="What was good enough: swarm or filter.")],
    candidate: Annotated[str, typer.Option("--candidate", metavar="SIDE", help="What must not be worse.")],
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="RATIO", help="How much worse may be: 1.15, or METRIC=1.05. [default: 1.15]"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A pass must be proven: else exit code 2.")] = False,
    metric: MetricOption = None,
    filter: FilterOption = None,
    paired_by: PairedByOption = PairedBy.AUTO,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: Annotated[GateFormat, typer.Option("--format", help="Output format.")] = GateFormat.TABLE,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML too.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown too.", show_default=False)] = None,
) -> None:
    """Fail when the candidate is shown to be worse than the baseline by more than --allow.

    Exit codes: 0 pass; 1 worse; 2 not enough data, not measured, or a wrong flag. Without --metric: task_success,
    task_duration and cost_usd, as far as a side has them. "Worse" needs the corrected test and a ratio beyond --allow.
    """
    general, single = _allowed(allow or [])
    unknown = set(single) - set(metric or single)
    if unknown:
        fail(f"--allow {', '.join(sorted(unknown))}: not among the --metric that are judged", code=EXIT_USAGE)
    request = request_of(
        [candidate],
        kind="benchmark",
        baseline=baseline,
        metrics=metric,
        paired_by=paired_by,
        filters=filter,
        time_range=time_range,
        from_=from_,
        to=to,
    )
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError
    from reports.compare.gate import GATED_BY_DEFAULT, judge
    from reports.comparison import build_comparison

    asked = tuple(dict.fromkeys([*(metric or ()), *single])) if metric else ()
    from dataclasses import replace

    request = replace(request, metrics=asked or GATED_BY_DEFAULT)
    with open_client(load_settings()) as client:
        try:
            comparison = build_comparison(client, request)
            result = judge(comparison.whole, allow=general, allow_of=single, asked=asked, strict=strict)
        except (UnknownSwarmError, ValueError) as error:
            fail(str(error), code=EXIT_USAGE)
    _write(result, format, junit, markdown)
    raise typer.Exit(result.exit_code)


def _allowed(texts: Sequence[str]) -> tuple[float, dict[str, float]]:
    from reports.compare.gate import ALLOW_DEFAULT

    general, single = ALLOW_DEFAULT, {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            ratio = float(value)
        except ValueError:
            ratio = math.nan
        if not 1 <= ratio < math.inf or (equals and not name):
            fail(f"--allow {text!r}: write a ratio of at least 1 such as 1.15, or METRIC=1.05", code=EXIT_USAGE)
        if equals:
            single[name] = ratio
        else:
            general = ratio
    return general, single


def _write(result: Gate, format: GateFormat, junit: Path | None, markdown: Path | None) -> None:
    from reports.numbers import number
    from reports.render.gate import gate_json, gate_junit, gate_markdown

    for path, render in ((junit, gate_junit), (markdown, gate_markdown)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(result), encoding="utf-8")
    texts = {GateFormat.JSON: gate_json, GateFormat.MARKDOWN: gate_markdown, GateFormat.JUNIT: gate_junit}
    if format in texts:
        typer.echo(texts[format](result), nl=False)
        return
    rows = [
        {
            "measure": check.label,
            "worsening": None if check.worsening is None else number(check.worsening),
            "95 %": None if check.low is None else f"{number(check.low)} to {number(check.high)}",
            "allowed": number(check.allow),
            "outcome": check.outcome,
        }
        for check in result.checks
    ]
    title = f"{result.candidate} against {result.baseline}"
    emit(rows, title=title, columns=["measure", "worsening", "95 %", "allowed", "outcome"])
    for check in result.checks:
        typer.echo(f"{check.label}: {check.outcome}: {check.why}")
    if result.skipped:
        typer.echo(f"measured on neither side, so not judged: {', '.join(result.skipped)}")
    typer.echo({0: "gate passed", 1: "gate failed", 2: "gate could not decide: not enough data"}[result.exit_code])
