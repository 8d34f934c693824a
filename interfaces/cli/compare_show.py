"""Puts a comparison on the screen or into a file, in any of its formats.

In: a `ComparisonRequest`, a format. Out: text. Never: a number of its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from interfaces.cli.compare_options import CompareFormat
from interfaces.cli.output import EXIT_USAGE, emit, fail, load_settings

if TYPE_CHECKING:
    from reports.comparison import Comparison, ComparisonRequest

PAIRS_SHOWN_MAX = 12  # tables on a screen; more pairs are one line each, and whole in json and csv
NOTES_SHOWN_MAX = 12


def run_comparison(request: ComparisonRequest, format: CompareFormat, out: Path | None) -> None:
    """Asks, compares, prints. An unknown side ends the command with exit code 1."""
    if out is not None and format is CompareFormat.TABLE:
        fail("--out needs --format json, csv, markdown or html", code=EXIT_USAGE)
    _check_readable(request, format)
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError
    from reports.comparison import build_comparison

    with open_client(load_settings()) as client:
        try:
            comparison = build_comparison(client, request)
            text = None if format is CompareFormat.TABLE else _text(client, comparison, format)
        except UnknownSwarmError as error:
            fail(str(error))
    if text is None:
        _show(comparison)
    elif out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(out)


def _check_readable(request: ComparisonRequest, format: CompareFormat) -> None:
    from reports.config import SWARMS_MAX

    if format in (CompareFormat.MARKDOWN, CompareFormat.HTML) and len(request.sides) > SWARMS_MAX:
        name = format.value
        fail(f"--format {name} shows at most {SWARMS_MAX} sides; json, csv and table show all", code=EXIT_USAGE)


def _text(client: Any, comparison: Comparison, format: CompareFormat) -> str:
    from reports.render.comparison import render_comparison_csv, render_comparison_json

    if format is CompareFormat.JSON:
        return render_comparison_json(comparison)
    if format is CompareFormat.CSV:
        return render_comparison_csv(comparison)
    return _report_text(client, comparison, format)


def _report_text(client: Any, comparison: Comparison, format: CompareFormat) -> str:
    """The report about the sides, with this comparison's findings instead of all pairs'."""
    from reports.analysis.facts import QualityNote
    from reports.analysis.insights import sentences
    from reports.build import build_report, render
    from reports.comparison import reader_of
    from reports.config import ReportConfig

    request = comparison.request
    config = ReportConfig(
        swarms=tuple(side.name for side in request.sides),
        metrics=request.metrics,
        paired_by={"auto": "auto", "always": "task_id", "never": "none"}[request.pairing],  # type: ignore[arg-type]
        from_ms=request.time.from_ms,
        to_ms=request.time.to_ms,
    )
    report = build_report(reader_of(client, request.narrowed), config, with_charts=format is CompareFormat.HTML)
    known = {note.text for note in report.quality}
    report = replace(
        report,
        sentences=sentences(comparison.whole, report.summaries),
        comparisons=tuple(
            replace(f, label=f"{f.label} where {f.stratum}") if f.stratum else f for f in comparison.findings
        ),
        success=comparison.successes,
        quality=(
            *(QualityNote(text, "warning", "tasks") for text in comparison.notes if text not in known),
            *report.quality,
        ),
        queries={**report.queries, **comparison.queries},
    )
    return render(report, "md" if format is CompareFormat.MARKDOWN else "html")


def _show(comparison: Comparison) -> None:
    from reports.numbers import difference, number, percent
    from reports.render.comparison import finding_row

    if comparison.ranking:
        _show_ranking(comparison)
    shown = () if comparison.ranking else comparison.request.pairs[:PAIRS_SHOWN_MAX]
    for a, b in shown:
        own = [f for f in comparison.whole if (f.a, f.b) == (a, b)]
        emit([finding_row(f) for f in own], title=f"A = {a}, B = {b}")
        for finding in own:
            typer.echo(f"{finding.label}: {finding.verdict}: {finding.why}")
        parts = [f for f in comparison.findings if f.stratum and (f.a, f.b) == (a, b)]
        if parts:
            emit([{"where": f.stratum, **finding_row(f)} for f in parts], title=f"A = {a}, B = {b}, by stratum")
    for one in comparison.stratified:
        if (one.a, one.b) not in shown:
            continue
        if one.scale == "ratio":
            value = f"{number(one.estimate)} times [{number(one.low)}, {number(one.high)}]"
        else:
            value, low, high = (difference(x, one.unit) for x in (one.estimate, one.low, one.high))
            value += f" [{low}, {high}]"
        typer.echo(f"{one.a} against {one.b}, {one.label}, {one.method}: {value}")
    if len(shown) < len(comparison.request.pairs) and not comparison.ranking:
        typer.echo(f"{len(comparison.request.pairs) - len(shown)} more pairs: --format json or csv shows them all")
    attempts = [one for one in comparison.reliability if one.k > 1]
    if attempts:
        rows = [
            {"side": one.side, "pass^k": f"pass^{one.k}", "value": percent(one.value), "tasks": one.tasks}
            | {"95 %": f"{percent(one.low)} to {percent(one.high)}", "attempts": one.attempts}
            for one in comparison.reliability
        ]
        emit(rows, title="all of k attempts succeed")
    _show_notes(comparison)


def _show_ranking(comparison: Comparison) -> None:
    from reports.numbers import quantity

    for metric in dict.fromkeys(place.metric for place in comparison.ranking):
        own = [place for place in comparison.ranking if place.metric == metric]
        rows = [
            {
                "place": "–" if p.first is None else str(p.first) if p.first == p.last else f"{p.first} to {p.last}",
                "side": p.side,
                "mean": quantity(p.mean, p.unit),
                "n": p.n,
                "shown better than": p.better_than,
                "shown worse than": p.worse_than,
                "why no place": p.why or None,
            }
            for p in own
        ]
        emit(rows, title=own[0].label)
    typer.echo("a place is a range: sides within it were not shown to differ")


def _show_notes(comparison: Comparison) -> None:
    for note in comparison.notes[:NOTES_SHOWN_MAX]:
        typer.echo(f"Note: {note}")
    if len(comparison.notes) > NOTES_SHOWN_MAX:
        typer.echo(f"Note: {len(comparison.notes) - NOTES_SHOWN_MAX} more notes: --format json shows them all")
