"""Finds memory that only ever grows, by the robust slope of its windows with its confidence interval.

In: means of closed windows of `memory_usage`, in order. Out: findings. Never: takes a start, a sawtooth or a step for
a leak: it grows in every quarter of the time that is looked at.

The slope is Theil-Sen's median of all pairs' slopes; its interval is Sen's, by the normal law of Kendall's S. Memory
is no independent sample, so the interval alone would prove little: the steady growth of all quarters is asked as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity
from models.detect.keyed import Keyed

METRIC: Final = "memory_usage"
POINTS_MAX: Final = 120
POINTS_MIN: Final = 48
LOOK_POINTS: Final = 12
SPAN_MIN_MS: Final = 1_800_000
GROWTH_MIN: Final = 0.2
TAU_MIN: Final = 0.8
QUARTER_MIN: Final = 0.1
DEVIATIONS: Final = 3.29  # of the normal law: 99.9 % of slopes lie within the interval
SERIES_MAX: Final = 2_000  # of a partition, 120 points of 20 bytes each

SPEC: Final = DetectorSpec(
    name="memory_leak",
    version=1,
    finds="Memory that only ever grows.",
    reads="closed windows of the metric `memory_usage` in the smallest size: their means",
    limits=(
        Limit("growth", GROWTH_MIN, "of the first level", "over the time looked at; less is working memory"),
        Limit("tau", TAU_MIN, "Kendall's tau", "nine of ten pairs of points rise; a sawtooth of two teeth has 0.5"),
        Limit("each quarter", QUARTER_MIN, "of the growth", "a start grows first and then stays"),
        Limit("slope", DEVIATIONS, "deviations", "the 99.9 % interval of Sen lies above 0"),
        Limit("time", SPAN_MIN_MS, "ms", "at least; below it a task's own memory looks the same"),
        Limit(
            "points", POINTS_MAX, "points", "of a series; then neighbours are joined, and the time looked at doubles"
        ),
    ),
    delay="half an hour, or until the growth is 20 %",
    blind="Series that publish less than 48 windows; leaks behind a garbage collector that hides them for hours.",
    action="restart",
)


class _Series(Struct, array_like=True, gc=False):
    at_ms: list[int] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # first offset of each point
    stride: int = 1  # windows of a point
    pending: list[float] = field(default_factory=list)  # of the point being filled
    fresh: int = 0  # points since the last look
    told: float = 0.0  # level when it was told last


class MemoryLeakDetector:
    """One memory a series."""

    spec = SPEC

    def __init__(self) -> None:
        self._series = Keyed(_Series, SERIES_MAX)

    def window(
        self, swarm_id: str, agent_id: str, unit: str, start_ms: int, mean: float, first_offset: int, place: Place
    ) -> Iterator[Finding]:
        """Takes one closed window; `place` is that of the record that closed it."""
        series = self._series.of(swarm_id, agent_id)
        if not series.pending:
            series.at_ms.append(start_ms)
            series.offsets.append(first_offset)
        series.pending.append(mean)
        if len(series.pending) < series.stride:
            return
        series.level.append(sum(series.pending) / len(series.pending))
        series.pending.clear()
        series.fresh += 1
        if len(series.level) < POINTS_MIN or series.fresh < LOOK_POINTS:
            return
        series.fresh = 0
        if series.at_ms[-1] - series.at_ms[0] >= SPAN_MIN_MS:
            yield from _judge(series, swarm_id, agent_id, unit, place)
        if len(series.level) >= POINTS_MAX:
            series.at_ms, series.offsets = series.at_ms[::2], series.offsets[::2]
            series.level = [(a + b) / 2 for a, b in zip(series.level[::2], series.level[1::2], strict=True)]
            series.stride *= 2

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._series.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._series.restore(state)


def theil_sen(at: npt.NDArray[np.float64], level: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(slope, lower, upper end of its 99.9 % interval, Kendall's tau) of points with ascending, distinct times."""
    i, j = np.triu_indices(len(at), 1)
    rise = level[j] - level[i]
    slopes = np.sort(rise / (at[j] - at[i]))
    pairs, n = len(slopes), len(at)
    half = DEVIATIONS * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    low = max(0, math.floor(pairs / 2 - half))
    high = min(pairs - 1, math.ceil(pairs / 2 + half))
    tau = float(np.sign(rise).sum()) / pairs
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high]), tau


def _judge(series: _Series, swarm_id: str, agent_id: str, unit: str, place: Place) -> Iterator[Finding]:
    first, last = series.level[0], series.level[-1]
    if series.told and last < 0.75 * series.told:
        series.told = 0.0  # it was given back: the next growth is a new event
    if last < first * (1 + GROWTH_MIN / 2):  # far from a leak, as nearly all series are: no need to look closer
        return
    level = np.array(series.level)
    quarters = [float(np.median(part)) for part in np.array_split(level, 4)]
    growth = quarters[3] - quarters[0]
    # The medians of the outer quarters lie three quarters of the time apart.
    whole = growth / 0.75
    if quarters[0] <= 0 or whole < GROWTH_MIN * quarters[0] or (series.told and level[-1] < 2 * series.told):
        return
    if any(after - before < QUARTER_MIN * growth for before, after in pairwise(quarters)):
        return
    hours = (np.array(series.at_ms[: len(level)]) - series.at_ms[0]) / 3_600_000
    slope, low, high, tau = theil_sen(hours, level)
    if low <= 0 or tau < TAU_MIN:
        return
    series.told = float(level[-1])
    severity: Severity = "high" if whole > quarters[0] else "medium"
    yield Finding(
        detector=SPEC.name,
        swarm_id=swarm_id,
        agent_id=agent_id,
        metric=METRIC,
        unit=unit,
        began=(series.at_ms[0], series.offsets[0]),
        place=place,
        value=float(level[-1]),
        high=float(level[0]) * (1 + GROWTH_MIN),
        severity=severity,
        reason=f"memory has only grown for {hours[-1]:.1f} h, from {level[0]:.4g} to {level[-1]:.4g} {unit}: "
        f"{slope:.4g} an hour (99.9 % interval {low:.4g} to {high:.4g})",
        evidence={
            "slope_per_hour": f"{slope:.6g}",
            "slope_low": f"{low:.6g}",
            "slope_high": f"{high:.6g}",
            "tau": f"{tau:.3f}",
            "hours": f"{hours[-1]:.2f}",
            "points": str(len(level)),
        },
    )
