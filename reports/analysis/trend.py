"""How a swarm's measures move over periods: a value a period with its interval, and a straight line through them.

In: samples of tasks by period. Out: `TrendLine`. Never: a trend claimed from few periods, a period without tasks
drawn as 0.

The unit of the slope is the period: tasks of one day share what happened that day, so the line is fitted through the
periods' means (least squares, Student's t with periods - 2 degrees of freedom) and not through the tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from reports.compare import samples
from reports.compare.correction import holm
from reports.compare.describe import UNITS_MIN
from reports.compare.measures import Better, measure_of
from reports.compare.success import wilson
from reports.compare.verdict import LEVEL
from reports.numbers import quantity
from reports.queries.port import TaskRow

SPREAD_MIN: Final = 1e-9  # relative to the values; below it, differences are the rounding of sums
PERIODS_MIN: Final = 5  # with fewer, three degrees of freedom or less: the interval of the slope says nothing
MEASURES: Final = ("task_success", "task_duration", "cost_usd", "output_tokens")


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One period; value None: nothing measured. low..high: 95 % interval, from UNITS_MIN tasks on."""

    period: str
    from_ms: int
    n: int  # tasks behind the value
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TrendLine:
    """One measure over all periods. The slope is its change from one period to the next, in its unit."""

    metric: str
    label: str
    unit: str
    better: Better
    points: tuple[TrendPoint, ...]
    periods_used: int = 0  # periods with at least UNITS_MIN tasks
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None  # Holm, over the slopes of the report
    volatility: float | None = None  # standard deviation of the used periods around the line, in the unit
    verdict: str = "not enough periods"  # improving | worsening | rising | falling | no trend shown
    why: str = ""

    @property
    def tasks_used(self) -> int:
        """Tasks of the periods the line rests on; where there is no line, of all periods."""
        used = [p.n for p in self.points if p.n >= UNITS_MIN]
        return sum(used) if self.slope is not None else sum(p.n for p in self.points)

    @property
    def current(self) -> TrendPoint:
        """The newest period."""
        return self.points[-1]


def trend_lines(periods: Sequence[tuple[str, int]], tasks: Mapping[str, Sequence[TaskRow]]) -> tuple[TrendLine, ...]:
    """`periods`: (label, start in epoch ms), oldest first; `tasks` by label. Measures nobody has are left out."""
    lines = [_line(name, periods, tasks) for name in MEASURES]
    known = [line for line in lines if any(point.value is not None for point in line.points)]
    adjusted = holm([line.p_value for line in known])
    return tuple(_concluded(replace(line, p_adjusted=p)) for line, p in zip(known, adjusted, strict=True))


def _line(name: str, periods: Sequence[tuple[str, int]], tasks: Mapping[str, Sequence[TaskRow]]) -> TrendLine:
    measure = measure_of(name)
    points = tuple(_point(name, label, from_ms, tasks.get(label, ())) for label, from_ms in periods)
    line = TrendLine(name, measure.label, measure.unit, measure.better, points)
    used = [(i, p.value) for i, p in enumerate(points) if p.value is not None and p.n >= UNITS_MIN]
    line = replace(line, periods_used=len(used))
    return line if len(used) < PERIODS_MIN else _fitted(line, [i for i, _ in used], [v for _, v in used])


def _point(name: str, label: str, from_ms: int, rows: Sequence[TaskRow]) -> TrendPoint:
    if name == "task_success":
        finished, successes = sum(r.finished for r in rows), sum(r.successes for r in rows)
        low, high = wilson(successes, finished) or (None, None)
        return TrendPoint(label, from_ms, finished, successes / finished if finished else None, low, high)
    sample, _ = samples.task_sample(name, rows[0].swarm_id if rows else "", rows).reported
    values = sample.array
    if not len(values) or (name == "cost_usd" and not values.any()):
        return TrendPoint(label, from_ms, 0, None)
    mean = float(values.mean())
    if len(values) < UNITS_MIN:
        return TrendPoint(label, from_ms, len(values), mean)
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return TrendPoint(label, from_ms, len(values), mean, mean - half, mean + half)


def _fitted(line: TrendLine, at: Sequence[int], values: Sequence[float]) -> TrendLine:
    if max(values) - min(values) <= SPREAD_MIN * max(map(abs, values)):
        return replace(line, slope=0.0, volatility=0.0)  # nothing moved, so there is nothing to test
    from scipy.stats import linregress, t

    fit = linregress(at, values)
    left = [v - fit.intercept - fit.slope * x for x, v in zip(at, values, strict=True)]
    half = float(t.ppf(0.975, len(at) - 2)) * float(fit.stderr)
    return replace(
        line,
        slope=float(fit.slope),
        slope_low=float(fit.slope) - half,
        slope_high=float(fit.slope) + half,
        p_value=float(fit.pvalue),
        volatility=math.sqrt(sum(e * e for e in left) / (len(at) - 2)),
    )


def _concluded(line: TrendLine) -> TrendLine:
    if line.slope == 0 and line.p_value is None:
        return replace(line, verdict="no trend shown", why=f"the same value in all {line.periods_used} periods used")
    if line.slope is None or line.p_adjusted is None or line.slope_low is None or line.slope_high is None:
        why = f"{line.periods_used} of {len(line.points)} periods have {UNITS_MIN} tasks; a line needs {PERIODS_MIN}"
        return replace(line, why=why)
    over = f"over {line.periods_used} periods"
    if line.p_adjusted > LEVEL or line.slope_low <= 0 <= line.slope_high:
        bound = max(abs(line.slope_low), abs(line.slope_high))
        why = f"{over} the line may move by up to {_change(bound, line.unit)} a period, in either direction"
        return replace(line, verdict="no trend shown", why=why)
    up = line.slope > 0
    words = {"lower": ("worsening", "improving"), "higher": ("improving", "worsening"), "none": ("rising", "falling")}
    why = f"{over} the 95 % interval of the slope excludes 0, p = {line.p_adjusted:.2g} after correction"
    return replace(line, verdict=words[line.better][0 if up else 1], why=why)


def _change(value: float, unit: str) -> str:
    return f"{100 * value:.1f} points" if unit == "ratio" else quantity(value, unit)
