"""Which way series go: slope with its interval, shape, season, forecast, and when a limit is met.

In: intervals of series with their values. Out: `SeriesTrend`. Never: a trend where test and interval do not both show
one, after correction over all series asked for; an empty interval of a mean as a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from models.metrics import lookup
from reports.analysis.forecast import EXPONENT_MAX, HORIZON_RATIO_MAX, Fit, Reach, fit_series, forecast, reach
from reports.analysis.slope import POINTS_MAX, POINTS_MIN, FloatArray, Ints, Slope, parts_of, slope_of
from reports.compare.correction import holm
from reports.compare.verdict import LEVEL
from reports.numbers import number, quantity
from reports.queries.measured import BucketRow

Stat = Literal["mean", "p95", "max", "sum", "count"]
OF_ACTIVITIES: Final = {  # measures that come from activities, so that every filter applies to them
    "task_success": "higher",
    "task_duration": "lower",
    "model_call_duration": "lower",
    "tool_duration": "lower",
    "cost_usd": "lower",
    "quality": "higher",
    "test_coverage": "higher",
}
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS
INTERVALS_SOUGHT: Final = 300  # enough to see a shape; the pairs of each are looked at several times
_MINUTE_MS: Final = 60_000
_ROUND_MS: Final = (
    *(
        1_000,
        5_000,
        10_000,
        30_000,
        _MINUTE_MS,
        2 * _MINUTE_MS,
        5 * _MINUTE_MS,
        10 * _MINUTE_MS,
        15 * _MINUTE_MS,
        30 * _MINUTE_MS,
    ),
    *(HOUR_MS, 2 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, WEEK_MS, 4 * WEEK_MS),
)


@dataclass(frozen=True, slots=True)
class TrendForecast:
    """One interval to come; low..high: 95 % of what its value may be."""

    at_ms: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SeriesTrend:
    """Slopes are per hour, in the series' unit. None: not enough data, or not asked for."""

    side: str
    of: str
    series: str
    stat: str
    unit: str
    interval_ms: int
    intervals: int  # with a value
    events: int
    from_ms: int | None = None
    last_ms: int | None = None  # start of the last interval
    current: float | None = None  # value of the last interval
    slope_per_hour: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    autocorrelation: float | None = None
    independent: float | None = None  # points that the intervals are worth
    restarts: int = 0  # falls of a level after which it begins anew: slopes are within the times between
    volatility: float | None = None  # robust standard deviation around the line
    shape: str | None = None  # linear | exponential
    shape_tied: bool = False  # the other shape foresees about as well
    growth_per_hour: float | None = None  # of an exponential: 0.1 is a tenth more each hour
    season_ms: int | None = None
    error_linear: float | None = None
    error_exponential: float | None = None
    limit: float | None = None
    limit_in_ms: float | None = None
    limit_earliest_ms: float | None = None
    limit_latest_ms: float | None = None
    forecast_why: str = ""  # why there is none
    verdict: str = "not enough data"  # improving | worsening | rising | falling | no trend shown
    why: str = ""
    forecast: tuple[TrendForecast, ...] = field(default_factory=tuple)


def interval_of(first_ms: int, last_ms: int, points: int) -> int:
    """A round interval with about two points each, where there are many, and not more than INTERVALS_SOUGHT of them."""
    sought = max(2 * POINTS_MIN, min(INTERVALS_SOUGHT, points // 2))
    return next((one for one in _ROUND_MS if (last_ms - first_ms) / one <= sought), _ROUND_MS[-1])


def series_trends(
    series: str, rows: Sequence[BucketRow], interval_ms: int, *, stat: Stat, limit: float | None, ahead_ms: int
) -> tuple[SeriesTrend, ...]:
    """One a side and group; those with a trend first. Raises ValueError for too many intervals."""
    groups: dict[tuple[str, str], list[BucketRow]] = {}
    for row in rows:
        groups.setdefault((row.side, row.of), []).append(row)
    return concluded_together([_trend(series, own, interval_ms, stat, limit, ahead_ms) for own in groups.values()])


def concluded_together(found: Sequence[SeriesTrend]) -> tuple[SeriesTrend, ...]:
    """With one correction over all of them; those with a trend first."""
    adjusted = holm([one.p_value for one in found])
    concluded = [_concluded(one, p) for one, p in zip(found, adjusted, strict=True)]
    return tuple(sorted(concluded, key=lambda one: (one.p_adjusted is None, one.p_adjusted or 0.0, one.side, one.of)))


def points_of(rows: Sequence[BucketRow], interval_ms: int, stat: Stat) -> tuple[FloatArray, FloatArray]:
    """Positions from 0 and values. A sum or count is 0 where nothing was; its first and last interval are partial."""
    at = np.array([row.at_ms for row in rows], dtype=np.float64)
    x = (at - at[0]) / interval_ms
    if stat in ("mean", "p95", "max"):
        return x, np.array([getattr(row, stat) for row in rows], dtype=np.float64)
    values = np.zeros(int(x[-1]) + 1)
    values[x.astype(np.int64)] = [row.sum if stat == "sum" else row.n for row in rows]
    return np.arange(max(0, len(values) - 2), dtype=np.float64), values[1:-1]


def _trend(
    series: str, rows: Sequence[BucketRow], interval_ms: int, stat: Stat, limit: float | None, ahead_ms: int
) -> SeriesTrend:
    x, y = points_of(rows, interval_ms, stat)
    unit = "events" if stat == "count" else rows[0].unit
    counted = stat in ("sum", "count")
    start = rows[0].at_ms + (interval_ms if counted else 0)
    base = SeriesTrend(
        *(rows[0].side, rows[0].of, series, stat, unit, interval_ms, len(x), sum(row.n for row in rows)), limit=limit
    )
    if len(x) > POINTS_MAX:
        raise ValueError(
            f"{len(x):,} intervals of {rows[0].of or rows[0].side}: at most {POINTS_MAX:,}; take longer ones"
        )
    if not len(x):
        return base
    base = replace(base, from_ms=start, last_ms=start + int(x[-1]) * interval_ms, current=float(y[-1]))
    if len(x) < POINTS_MIN:
        return base
    if float(np.ptp(y)) <= 1e-12 * float(np.abs(y).max()):
        return replace(
            base, slope_per_hour=0.0, volatility=0.0, verdict="no trend shown", why="the value never changed"
        )
    part = parts_of(y) if stat != "sum" and _is_level(series) else np.zeros(len(x), dtype=np.int64)
    if part[-1]:
        base = replace(base, forecast_why="a forecast would have to know the next restart" if ahead_ms else "")
        return _with_restarts(base, x, y, part, limit)
    seasons = [one // interval_ms for one in (DAY_MS, WEEK_MS) if one % interval_ms == 0]
    fit = fit_series(x, y, seasons)
    slope = fit.slope
    if fit.shape == "exponential":  # ranks are those of the logarithms; what a line leaves of a curve is no correlation
        slope = slope_of(x, y - _season(fit, x, y), phi=fit.slope.phi)
    per_hour = HOUR_MS / interval_ms
    base = _with_slope(_with_shape(base, fit, per_hour), slope, per_hour)
    if limit is not None:
        base = _with_limit(base, reach(x, y, fit, limit), interval_ms)
    ahead = math.ceil(ahead_ms / interval_ms)
    if not ahead:
        return base
    if ahead > HORIZON_RATIO_MAX * (x[-1] + 1):
        why = f"{int(x[-1] + 1)} intervals seen: at most half as many can be forecast, not {ahead}"
        return replace(base, forecast_why=why)
    return replace(base, forecast=_forecast(x, y, fit, ahead, start, interval_ms, unit))


def _is_level(series: str) -> bool:
    spec = lookup(series)
    return (spec is not None and spec.kind == "gauge") or series.startswith("memory")


def _with_restarts(one: SeriesTrend, x: FloatArray, y: FloatArray, part: Ints, limit: float | None) -> SeriesTrend:
    """The slope within the lives between restarts, and from the newest life's level on until the limit."""
    slope = slope_of(x, y, part)
    one = _with_slope(replace(one, restarts=int(part[-1]), shape="linear"), slope, HOUR_MS / one.interval_ms)
    if limit is None:
        return one
    fit = Fit("linear", 0, slope, None, None, np.zeros(0))
    return _with_limit(one, reach(x, y, fit, limit), one.interval_ms)


def _season(fit: Fit, x: FloatArray, y: FloatArray) -> FloatArray:
    """What the season adds to each value, in the unit of the series."""
    if not fit.season:
        return np.zeros(len(x))
    part = fit.pattern[x.astype(np.int64) % fit.season]
    return part if fit.shape == "linear" else np.asarray(y - y / np.exp(part), dtype=np.float64)


def _with_shape(one: SeriesTrend, fit: Fit, per_hour: float) -> SeriesTrend:
    exponent = min(fit.slope.slope * per_hour, EXPONENT_MAX)
    return replace(
        one,
        shape=fit.shape,
        shape_tied=fit.rival is not None,
        growth_per_hour=math.expm1(exponent) if fit.shape == "exponential" else None,
        season_ms=fit.season * one.interval_ms or None,
        error_linear=fit.error_linear,
        error_exponential=fit.error_exponential,
    )


def _with_slope(one: SeriesTrend, slope: Slope, per_hour: float) -> SeriesTrend:
    return replace(
        one,
        slope_per_hour=slope.slope * per_hour,
        slope_low=slope.low * per_hour if math.isfinite(slope.low) else None,
        slope_high=slope.high * per_hour if math.isfinite(slope.high) else None,
        p_value=slope.p_value,
        autocorrelation=slope.phi,
        independent=slope.independent,
        volatility=slope.volatility,
    )


def _with_limit(one: SeriesTrend, met: Reach, interval_ms: int) -> SeriesTrend:
    def ms(intervals: float | None) -> float | None:
        return intervals * interval_ms if intervals is not None else None

    return replace(
        one, limit_in_ms=ms(met.expected), limit_earliest_ms=ms(met.earliest), limit_latest_ms=ms(met.latest)
    )


def _forecast(
    x: FloatArray, y: FloatArray, fit: Fit, ahead: int, start: int, interval_ms: int, unit: str
) -> tuple[TrendForecast, ...]:
    """Kept within what its unit can be: a ratio in 0..1, and nothing below 0 that never was."""
    floor = 0.0 if float(y.min()) >= 0 else -math.inf
    ceiling = 1.0 if unit == "ratio" and float(y.max()) <= 1 else math.inf
    return tuple(
        TrendForecast(
            start + point.position * interval_ms,
            *(min(max(floor, value), ceiling) for value in (point.value, point.low, point.high)),
        )
        for point in forecast(x, y, fit, ahead)
    )


def _concluded(one: SeriesTrend, p_adjusted: float | None) -> SeriesTrend:
    if one.slope_per_hour is None:
        why = f"{one.intervals} intervals of {quantity(one.interval_ms, 'ms')} have a value; a trend needs {POINTS_MIN}"
        return replace(one, why=why)
    if one.p_value is None or p_adjusted is None:
        return one
    lives = f" in {one.restarts + 1} lives between restarts" if one.restarts else ""
    worth = f"{one.intervals} intervals{lives}, worth {number(one.independent)} independent ones"
    excluded = one.slope_low is not None and one.slope_high is not None and (one.slope_low > 0 or one.slope_high < 0)
    one = replace(one, p_adjusted=p_adjusted)
    if p_adjusted > LEVEL or not excluded:
        return replace(one, verdict="no trend shown", why=f"{worth}: the slope is not told from none")
    up = (one.slope_per_hour or 0.0) > 0
    better = _better(one)
    words = {"lower": ("worsening", "improving"), "higher": ("improving", "worsening")}.get(
        better, ("rising", "falling")
    )
    return replace(one, verdict=words[not up], why=f"{worth}: test (p = {number(p_adjusted)}) and interval show it")


def _better(one: SeriesTrend) -> str:
    if one.stat in ("sum", "count"):
        return "none"  # more of it may just be more work
    spec = lookup(one.series)
    return OF_ACTIVITIES.get(one.series) or (spec.better if spec else "none")
