"""What every command about sides shares: its flags, and what they ask for.

In: flag values. Out: a `ComparisonRequest`; one line and exit code 2 for a mistake. Never: a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.output import EXIT_USAGE, fail

if TYPE_CHECKING:
    from reports.comparison import ComparisonRequest, Kind
    from reports.queries.port import TimeRange
    from reports.queries.side import Side


class CompareFormat(StrEnum):
    """What a comparison can be printed as."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


class PairedBy(StrEnum):
    """How tasks of two sides are matched."""

    AUTO = "auto"
    TASK_ID = "task_id"
    NONE = "none"


PairedByOption = Annotated[
    PairedBy, typer.Option("--paired-by", help="Pair tasks by id: auto when both did the same tasks.")
]
MetricOption = Annotated[
    list[str] | None, typer.Option("--metric", help="Only this measure; may be repeated.", show_default=False)
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="KEY=VALUE",
        help="Only activities with this column or tag; may be repeated.",
        show_default=False,
    ),
]
StratifyOption = Annotated[
    str,
    typer.Option("--stratify", metavar="KEY", help="Compare within each value too: task_class, model, a tag ..."),
]
TimeRangeOption = Annotated[
    str | None, typer.Option("--time-range", help="last-24h, last-7-days ...", show_default=False)
]
FromOption = Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)]
ToOption = Annotated[str | None, typer.Option("--to", help="End, exclusive, ISO 8601.", show_default=False)]
FormatOption = Annotated[CompareFormat, typer.Option("--format", help="Output format.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)
]


def split_names(texts: Sequence[str]) -> list[str]:
    """`B,C` and repeated flags -> names; a filter keeps its commas."""
    return [part for text in texts for part in ([text] if "=" in text else text.split(",")) if part.strip()]


def narrowed_sides(
    names: Sequence[str], filters: Sequence[str] | None, time_range: str | None, from_: str | None, to: str | None
) -> tuple[list[Side], TimeRange]:
    """Sides with every filter in each of them, and the time asked for."""
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


def request_of(
    names: Sequence[str],
    *,
    kind: Kind = "swarms",
    baseline: str = "",
    metrics: Sequence[str] | None,
    paired_by: PairedBy,
    filters: Sequence[str] | None,
    stratify: str = "",
    time_range: str | None,
    from_: str | None,
    to: str | None,
) -> ComparisonRequest:
    """`baseline`: compare each of `names` with it; empty: all pairs of `names`."""
    from models.clock import SystemClock
    from reports.comparison import SIDES_MAX, ComparisonRequest, all_pairs
    from reports.queries.side import known_key, parse_filters, parse_side
    from reports.timerange import parse_time_range

    now_ms = SystemClock().now_ms()
    try:
        sides = [parse_side(name, now_ms=now_ms) for name in dict.fromkeys((*names, *([baseline] if baseline else [])))]
        time = parse_time_range(time_range, from_, to, now_ms=now_ms)
        conditions = parse_filters(filters or ())
        key = known_key(stratify) if stratify else ""
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)
    if key.startswith("config."):
        fail(f"--stratify {stratify}: strata come from a column or tag of the tasks", code=EXIT_USAGE)
    if len(sides) > SIDES_MAX:
        fail(f"{len(sides)} sides: at most {SIDES_MAX} are compared at once", code=EXIT_USAGE)
    pairs = tuple((side.name, baseline) for side in sides if side.name != baseline) if baseline else all_pairs(sides)
    _check_different(sides)
    return ComparisonRequest(
        sides=tuple(sides),
        pairs=pairs,
        kind=kind,
        metrics=tuple(dict.fromkeys(metrics or ())),
        pairing={"auto": "auto", "task_id": "always", "none": "never"}[paired_by.value],  # type: ignore[arg-type]
        filters=conditions,
        stratify=key,
        time=time,
    )


def _check_different(sides: Sequence[Side]) -> None:
    if len(sides) < 2:
        fail("compare needs two different swarms: murmur compare swarms A B", code=EXIT_USAGE)
    seen: dict[object, str] = {}
    for side in sides:
        same = seen.setdefault((side.conditions, side.time), side.name)
        if same != side.name:
            fail(f"{same!r} and {side.name!r} are the same side; compare needs different ones", code=EXIT_USAGE)
