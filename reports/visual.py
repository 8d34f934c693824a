"""One chart by itself: the question to the database, the picture, the same in characters.

In: a Reader over sides, a `ChartRequest`. Out: `Picture`. Never: a picture of nothing: then one line says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reports.analysis.correlation import MEASURES as OF_TASKS
from reports.charts import words
from reports.charts.box import box
from reports.charts.cost import cost_by_model
from reports.charts.distribution import Distribution
from reports.charts.ecdf import ecdf
from reports.charts.graph import graph
from reports.charts.heatmap import bucket_ms, heatmap
from reports.charts.histogram import histogram
from reports.charts.line import over_time
from reports.charts.scatter import points_of, scatter
from reports.charts.timeline import timeline
from reports.compare.align import Sample
from reports.compare.measures import CALL_MEASURES, TASK_MEASURES, measure_of
from reports.compare.samples import agent_sample, call_samples, task_sample
from reports.pictures import TASK_DURATION, between
from reports.queries.port import Query, Reader, Result, RunRow, SwarmRow, TimeRange
from reports.render.view import Chart

ANOMALIES_MAX: Final = 200  # marked on one chart, the highest scores: more hide the line
METRICS_NAMED: Final = 12  # in the line that says what is not there
KINDS: Final = {
    "line": "a metric's windows over time, anomalies marked, gaps open",
    "heatmap": "agents against time",
    "histogram": "values a bin",
    "ecdf": "share of values up to each value",
    "box": "quartiles of each side",
    "scatter": "two measures of each task, with their rank correlation",
    "timeline": "who did what when in a run",
    "graph": "who started whom, who handed to whom",
    "cost": "cost of model calls by model",
}
METRICS_OF: Final = {"line": 1, "heatmap": 1, "histogram": 1, "ecdf": 1, "box": 1, "scatter": 2}


class ChartError(ValueError):
    """The request breaks a rule; the message says which and what to write."""


class NothingToDrawError(ValueError):
    """There is nothing of that kind; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class ChartRequest:
    """`sides` are names the Reader knows, `whole` those that are whole swarms; `run`: of a timeline, '' the newest."""

    kind: str
    sides: tuple[str, ...]
    whole: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    time: TimeRange = field(default_factory=TimeRange)
    run: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """`words(width)` draws the same data in characters; `queries` are those behind it."""

    chart: Chart
    words: Callable[[int], str]
    queries: tuple[Query, ...]


def check(request: ChartRequest) -> None:
    """Raises ChartError for a wrong number of metrics, or a measure that the kind cannot draw."""
    allowed = METRICS_OF.get(request.kind, 0)
    if len(request.metrics) > allowed:
        takes = {0: "takes no --metric", 1: "takes one --metric", 2: "takes two, --metric X --metric Y"}[allowed]
        raise ChartError(f"chart {request.kind} {takes}; got {', '.join(request.metrics)}")
    if request.kind == "scatter":
        unknown = [name for name in request.metrics if name not in OF_TASKS]
        if unknown or len(request.metrics) == 1 or len(set(request.metrics)) != len(request.metrics):
            raise ChartError(
                f"chart scatter takes two different measures of a task (--metric X --metric Y): {', '.join(OF_TASKS)}"
            )
    if request.kind == "timeline" and len(request.sides) > 1:
        raise ChartError("chart timeline draws one side: name one swarm or run")


def build_picture(reader: Reader, request: ChartRequest, swarms: Sequence[SwarmRow]) -> Picture:
    """`swarms`: what the sides hold, with their times. Raises ChartError, NothingToDrawError."""
    check(request)
    return _BUILDERS[request.kind](reader, request, swarms)


def _line(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
    _require_whole(request)
    metric = (*request.metrics, TASK_DURATION)[0]
    windows = reader.windows(request.sides, (metric,), request.time)
    found = reader.anomalies(request.sides, request.time, ANOMALIES_MAX)
    return _picture(
        over_time(windows.rows, found.rows, metric),
        lambda width: words.line(windows.rows, found.rows, metric, width),
        request,
        f"windows of {metric}; a line needs two of one size",
        windows,
        found,
    )


def _heatmap(reader: Reader, request: ChartRequest, swarms: Sequence[SwarmRow]) -> Picture:
    metric = (*request.metrics, TASK_DURATION)[0]
    if metric != TASK_DURATION:
        _require_whole(request)
    size = bucket_ms([(s.first_ms, s.last_ms) for s in swarms if s.first_ms is not None and s.last_ms is not None])
    cells = reader.cells(request.sides, metric, request.time, size)
    return _picture(
        heatmap(cells.rows, metric, size),
        lambda width: words.heatmap(cells.rows, metric, size, width),
        request,
        f"{metric} of an agent",
        cells,
    )


def _distributed(
    draw: Callable[[Distribution], Chart | None], write: Callable[[Distribution, int], str]
) -> Callable[[Reader, ChartRequest, Sequence[SwarmRow]], Picture]:
    def build(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
        metric = (*request.metrics, TASK_DURATION)[0]
        data, result = _values(reader, request, metric)
        return _picture(draw(data), lambda width: write(data, width), request, f"{metric} of two {data.of}s", result)

    return build


def _scatter(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
    x, y = request.metrics or (TASK_DURATION, "cost_usd")
    tasks = reader.tasks(request.sides, request.time)
    points = points_of(request.sides, tasks.rows, x, y)
    found = between(x, y, request.sides, tasks.rows)
    chart = scatter(points, found)
    return _picture(chart, lambda width: words.scatter(points, width), request, f"two tasks with {x} and {y}", tasks)


def _timeline(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
    runs = reader.runs(request.sides, request.time)
    run = request.run or _newest(runs.rows)
    bars = reader.bars(request.sides, run, request.time)
    what = f"activity with an end in run {run or '(unnamed)'}"
    return _picture(timeline(bars.rows), lambda width: words.timeline(bars.rows, width), request, what, bars, runs)


def _graph(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
    links = reader.links(request.sides, request.time)
    what = "activity that names a parent agent, or a message with sender and receiver"
    return _picture(graph(links.rows), lambda width: words.graph(links.rows, width), request, what, links)


def _cost(reader: Reader, request: ChartRequest, _swarms: Sequence[SwarmRow]) -> Picture:
    costs = reader.cost_by_model(request.sides, request.time)
    chart = cost_by_model(costs.rows)
    return _picture(chart, lambda width: words.cost(costs.rows, width), request, "model call with a price", costs)


def _values(reader: Reader, request: ChartRequest, metric: str) -> tuple[Distribution, Result[Any]]:
    """One value a task, call's task or agent, exactly as a comparison counts them."""
    samples: dict[str, Sample]
    result: Result[Any]
    if metric in CALL_MEASURES:
        result = reader.calls(request.sides, request.time)
        samples = call_samples(CALL_MEASURES[metric], request.sides, result.rows)
    elif metric in TASK_MEASURES:
        result = reader.tasks(request.sides, request.time)
        samples = {side: task_sample(metric, side, result.rows) for side in request.sides}
    else:
        result = reader.agent_metrics(request.sides, request.time)
        samples = {side: agent_sample(metric, side, result.rows) for side in request.sides}
        if not any(sample.values for sample in samples.values()):
            known = sorted({row.metric for row in result.rows})[:METRICS_NAMED]
            there = ", ".join([*(name for name in (*TASK_MEASURES, *CALL_MEASURES) if name != metric), *known])
            raise NothingToDrawError(f"nothing to draw: {_named(request)} has no metric {metric!r}; known are {there}")
    unit = next((getattr(row, "unit", "") for row in result.rows if getattr(row, "metric", "") == metric), "")
    measure = measure_of(metric, unit)
    values = {side: [v for v in sample.values.values() if v is not None] for side, sample in samples.items()}
    of = next(iter(samples.values())).unit_of_analysis
    return Distribution(metric, measure.label, measure.unit, of, values), result


def _picture(
    chart: Chart | None, write: Callable[[int], str], request: ChartRequest, what: str, *results: Result[Any]
) -> Picture:
    if chart is None:
        where = "in this time range" if request.time != TimeRange() else "in the database"
        raise NothingToDrawError(f"nothing to draw: {_named(request)} has no {what} {where}")
    return Picture(chart, write, tuple(result.query for result in results))


def _require_whole(request: ChartRequest) -> None:
    parts = [side for side in request.sides if side not in request.whole]
    if parts:
        raise ChartError(
            f"chart {request.kind}: windows are kept of whole swarms, and {parts[0]!r} is a part of one; "
            "name the swarm, or take ecdf, box or histogram"
        )


def _newest(runs: Sequence[RunRow]) -> str:
    return max(runs, key=lambda row: (row.started_ms, row.run_id)).run_id if runs else ""


def _named(request: ChartRequest) -> str:
    return ", ".join(request.sides)


_BUILDERS: Final[dict[str, Callable[[Reader, ChartRequest, Sequence[SwarmRow]], Picture]]] = {
    "line": _line,
    "heatmap": _heatmap,
    "histogram": _distributed(histogram, words.histogram),
    "ecdf": _distributed(ecdf, words.ecdf),
    "box": _distributed(box, words.box),
    "scatter": _scatter,
    "timeline": _timeline,
    "graph": _graph,
    "cost": _cost,
}
