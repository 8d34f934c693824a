"""`murmur compare swarms|benchmark|rank`: what differs between swarms, runs, models ..., and what does not.

In: sides, flags. Out: a table, JSON, CSV, Markdown or HTML. Never: heavy imports before the command runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interfaces.cli.compare_options import (
    CompareFormat,
    FilterOption,
    FormatOption,
    FromOption,
    MetricOption,
    OutOption,
    PairedBy,
    PairedByOption,
    StratifyOption,
    TimeRangeOption,
    ToOption,
    request_of,
    split_names,
)
from interfaces.cli.output import EXIT_USAGE, examples, fail

EPILOG = examples(
    "murmur compare swarms baseline candidate",
    "murmur compare swarms a b c --metric task_duration --metric cost_usd",
    'murmur compare swarms --a "model=x,topology=star" --b "model=y,topology=star"',
    'murmur compare swarms --a "swarm=s,period=last-7-days" --b "swarm=s,from=2026-01-01,to=2026-01-08"',
    "murmur compare swarms a b --filter team=core --stratify task_class",
    "murmur compare swarms a b --format json | jq '.comparisons[] | {metric, ratio, verdict}'",
    "murmur compare swarms a b --format html --out a-b.html",
)
SIDE_HELP = "A side: a swarm, or key=value,... of columns, tags, configuration keys, period=, from=, to=."
app = typer.Typer(no_args_is_help=True, help="Compare swarms, runs, models ... with effect sizes and intervals.")


@app.callback()
def compare() -> None:
    """Comparisons that name a winner only where there is one."""


@app.command(epilog=EPILOG)
def swarms(
    swarm: Annotated[
        list[str] | None, typer.Argument(help="Two or more sides; the first is A.", show_default=False)
    ] = None,
    a: Annotated[str, typer.Option("--a", metavar="SIDE", help=SIDE_HELP, show_default=False)] = "",
    b: Annotated[list[str] | None, typer.Option("--b", metavar="SIDE", help="The other side; may be repeated.")] = None,
    paired_by: PairedByOption = PairedBy.AUTO,
    stratify: StratifyOption = "",
    filter: FilterOption = None,
    metric: MetricOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = CompareFormat.TABLE,
    out: OutOption = None,
) -> None:
    """Compare all pairs of sides in success, durations, tokens, cost and their own metrics.

    Every ratio is A / B and every verdict is A's. A verdict needs a 95 % interval and a test that is corrected over
    everything shown; otherwise it reads "no difference shown" or "not enough data".
    """
    names = [*([a] if a else []), *(b or []), *(swarm or [])]
    if len(set(names)) < 2:
        fail("compare needs two different swarms: murmur compare swarms A B", code=EXIT_USAGE)
    request = request_of(
        names,
        metrics=metric,
        paired_by=paired_by,
        filters=filter,
        stratify=stratify,
        time_range=time_range,
        from_=from_,
        to=to,
    )
    _run(request, format, out)


@app.command(
    epilog=examples(
        "murmur compare benchmark --baseline results/GPT-5.4 --candidates results/GPT-5.5 --filter benchmark=swe-bench",
        "murmur compare benchmark --baseline main --candidates branch-a,branch-b --metric cost_usd --format markdown",
    )
)
def benchmark(
    baseline: Annotated[str, typer.Option("--baseline", metavar="SIDE", help="What candidates are held against.")],
    candidates: Annotated[
        list[str], typer.Option("--candidates", metavar="B,C", help="Swarms, or one filter; may be repeated.")
    ],
    paired_by: PairedByOption = PairedBy.AUTO,
    stratify: StratifyOption = "",
    filter: FilterOption = None,
    metric: MetricOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = CompareFormat.TABLE,
    out: OutOption = None,
) -> None:
    """Compare each candidate (A) with one baseline (B); the correction is over these pairs only."""
    names = split_names(candidates)
    if baseline in names or not names:
        fail(f"--candidates needs at least one side other than the baseline {baseline!r}", code=EXIT_USAGE)
    request = request_of(
        names,
        kind="benchmark",
        baseline=baseline,
        metrics=metric,
        paired_by=paired_by,
        filters=filter,
        stratify=stratify,
        time_range=time_range,
        from_=from_,
        to=to,
    )
    _run(request, format, out)


@app.command(
    epilog=examples(
        "murmur compare rank a b c d --metric task_success --metric cost_usd_per_success",
        "murmur compare rank results/GPT-5.4 results/GPT-5.5 results/GLM-5 --filter benchmark=swe-bench --format csv",
    )
)
def rank(
    side: Annotated[list[str], typer.Argument(help="Two or more sides.", show_default=False)],
    paired_by: PairedByOption = PairedBy.AUTO,
    filter: FilterOption = None,
    metric: MetricOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = CompareFormat.TABLE,
    out: OutOption = None,
) -> None:
    """Order sides in each measure, as far as the corrected comparisons of all pairs tell them apart.

    A place is a range. Declared, unpriced and unmeasured numbers get none.
    """
    request = request_of(
        side,
        kind="rank",
        metrics=metric,
        paired_by=paired_by,
        filters=filter,
        time_range=time_range,
        from_=from_,
        to=to,
    )
    _run(request, format, out)


def _run(request: object, format: CompareFormat, out: Path | None) -> None:
    from interfaces.cli.compare_show import run_comparison

    run_comparison(request, format, out)  # type: ignore[arg-type]  # a ComparisonRequest, whose import is heavy
