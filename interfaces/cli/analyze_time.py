"""`murmur analyze bottlenecks|run|latency|capacity`: where time goes, and how much work agents can carry.

In: sides, flags. Out: rows in one of the formats. Never: heavy imports before the command runs; a number of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.analyze_ask import Answer, FormatOption, Sides, SqlOption, ask, table
from interfaces.cli.compare_options import FilterOption, FromOption, TimeRangeOption, ToOption
from interfaces.cli.output import Format, fail

if TYPE_CHECKING:
    from reports.queries.analysis import AnalysisReader
    from reports.queries.side import Side


# Too many for a screen; the other formats have them, and the sentences the ratios.
RATIO_COLUMNS = ("swarm_id", "model_ratio", "tool_ratio", "waiting_ratio", "idle_ratio")
SPREAD_COLUMNS = (
    *("measured", "observed_ms", "service_low_ms", "service_high_ms", "arrival_cv2", "service_cv2"),
    *("slots_per_agent", "wait_then_ms", "why"),
)


class LatencyBy(StrEnum):
    """Whose time is split."""

    RUN = "run"
    AGENT = "agent"


class Pool(StrEnum):
    """Which agents share their work."""

    SWARM = "swarm"
    ROLE = "role"


def bottlenecks(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Phases, agents, tools, models and receivers that take over 1.5 times their like, by the time they cost."""
    from reports.analysis.bottlenecks import bottlenecks as found

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        return Answer([table("bottlenecks", "bottlenecks, the gravest first", found(reader.durations().rows))])

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def run(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Critical path, parallel efficiency and coordination overhead of each run."""
    from reports.analysis.run_shape import run_shapes

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        rows = reader.spans().rows
        _check_few(len(rows))
        shapes = run_shapes(rows)
        tables = [table("runs", "runs, the longest first", shapes, hidden=["path"])]
        for shape in shapes[:1]:
            title = f"what decided the end of {shape.side} {shape.run_id}".strip()
            tables.append(table("path", title, shape.path, for_screen=True))
        return Answer(tables)

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def latency(
    side: Sides,
    by: Annotated[LatencyBy, typer.Option("--by", help="Whose time is split.")] = LatencyBy.RUN,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Time in the model API, local tools, waiting and idle, each moment once; percentiles of each model and tool."""
    from reports.analysis.time_split import time_splits
    from reports.analysis.told import told_of_time

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        rows = reader.time_spans().rows
        _check_few(len(rows))
        splits = time_splits(rows, by.value)
        title = f"where the time of each {by.value} went, the longest first"
        tables = [table("time", title, splits, hidden=RATIO_COLUMNS)]
        tables.append(table("calls", "durations of models and tools", reader.call_times().rows))
        return Answer(tables, told_of_time(splits))

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def capacity(
    side: Sides,
    by: Annotated[Pool, typer.Option("--by", help="Which agents share their work.")] = Pool.SWARM,
    tasks_per_hour: Annotated[
        float | None, typer.Option("--tasks-per-hour", help="The load to carry; else the measured one.", min=1e-6)
    ] = None,
    utilisation_max: Annotated[
        float, typer.Option("--utilisation-max", help="Share of the agents' time to plan for.", min=0.05, max=0.99)
    ] = 0.8,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """How busy agents are, how long work would wait, and how many agents a load needs, with uncertainty."""
    from reports.analysis.capacity import capacities
    from reports.analysis.told import told_of_capacity

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        rows = reader.work_times().rows
        _check_few(len(rows))
        pools, loads = capacities(
            rows,
            by.value,
            tasks_per_hour=tasks_per_hour,
            utilisation_max=utilisation_max,
        )
        tables = [
            table("capacity", "pools of agents; waits are estimates", pools, hidden=SPREAD_COLUMNS),
            table("agents", "agents, the busiest first", loads),
        ]
        return Answer(tables, told_of_capacity(pools))

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def _check_few(activities: int) -> None:
    from reports.queries.analysis import ACTIVITIES_MAX

    if activities > ACTIVITIES_MAX:
        fail(f"more than {ACTIVITIES_MAX:,} activities: name fewer runs, or a shorter --time-range")
