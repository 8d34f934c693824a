"""Which charts a report of each kind has, in the order in which a reader asks: how large, how spread, when, who, cost.

In: everything the report asked. Out: charts. Never: a question to the database; a chart without a question it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.analysis.correlation import Correlation, correlations
from reports.analysis.trend import TrendLine
from reports.charts.box import box
from reports.charts.cost import cost_by_model
from reports.charts.distribution import Distribution
from reports.charts.ecdf import ecdf
from reports.charts.forest import forest
from reports.charts.graph import graph
from reports.charts.heatmap import heatmap
from reports.charts.line import over_time
from reports.charts.scatter import points_of, scatter
from reports.charts.timeline import timeline
from reports.charts.trend import over_periods
from reports.compare.finding import Finding
from reports.compare.measures import measure_of
from reports.config import ReportConfig
from reports.queries.port import AnomalyRow, BarRow, CellRow, LinkRow, ModelCostRow, TaskRow, WindowRow
from reports.render.view import Chart

TASK_DURATION: Final = "task_duration"
AGENTS_MIN: Final = 3  # of a heatmap in a report: with fewer the line says more
# What a lead asks first of two measures: does time cost money, do tokens cost time.
SCATTERED: Final = ((TASK_DURATION, "cost_usd"), (TASK_DURATION, "output_tokens"))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the charts of a report are made of; a part that its kind does not ask for is empty."""

    findings: Sequence[Finding]
    trend: Sequence[TrendLine]
    tasks: Sequence[TaskRow]
    windows: Sequence[WindowRow]
    anomalies: Sequence[AnomalyRow]
    lines: Sequence[str]  # the metrics drawn over time
    costs: Sequence[ModelCostRow]
    cells: Sequence[CellRow] = ()
    cells_ms: int = 0
    links: Sequence[LinkRow] = ()
    bars: Sequence[BarRow] = ()


def pictures(config: ReportConfig, data: Drawn) -> tuple[Chart, ...]:
    """The charts that these data allow."""
    durations = task_values(config.swarms, data.tasks)
    drawn: list[Chart | None] = [over_periods(line) for line in data.trend]
    drawn += [forest(data.findings), ecdf(durations, name="durations", title="How long tasks take")]
    if config.kind == "technical":
        drawn += [box(durations), _scattered(config.swarms, data.tasks)]
    drawn += [timeline(data.bars), graph(data.links)]
    drawn += [over_time(data.windows, data.anomalies, metric) for metric in data.lines]
    if len({(cell.swarm_id, cell.agent_id) for cell in data.cells}) >= AGENTS_MIN:
        drawn.append(heatmap(data.cells, TASK_DURATION, data.cells_ms))
    drawn.append(cost_by_model(data.costs))
    return tuple(chart for chart in drawn if chart is not None)


def task_values(sides: Sequence[str], tasks: Sequence[TaskRow]) -> Distribution:
    """Task durations of each side."""
    measure = measure_of(TASK_DURATION)
    values = {s: [r.duration_ms for r in tasks if r.swarm_id == s and r.duration_ms is not None] for s in sides}
    return Distribution(TASK_DURATION, measure.label, measure.unit, "task", values)


def between(x: str, y: str, sides: Sequence[str], tasks: Sequence[TaskRow]) -> list[Correlation]:
    """The correlation of two measures in each side that has it, corrected over all pairs of the side."""
    found = (one for side in sides for one in correlations(side, tasks))
    return [one for one in found if {one.x, one.y} == {x, y}]


def _scattered(sides: Sequence[str], tasks: Sequence[TaskRow]) -> Chart | None:
    for x, y in SCATTERED:
        points = points_of(sides, tasks, x, y)
        if points.sides:
            return scatter(points, between(x, y, list(points.sides), tasks))
    return None
