"""Where a series goes: the shape that predicts it best, a forecast with intervals, and the time until a limit.

In: positions and values of a series. Out: `Fit`, `ForecastPoint`, `Reach`. Never: a shape chosen by how it fits what
it has seen; an interval that takes the line as known; a forecast further than half of what was seen.

Shapes are a line, or an exponential (a line of logarithms), each with or without a season of a given length. The
choice is by the error on later values that a fit did not see. Intervals come from simulated continuations: a line
drawn from the slope's own uncertainty, and from the last residual on an autoregression whose shocks are drawn from
those of the series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from reports.analysis.slope import POINTS_MIN, FloatArray, Slope, lag_correlation, slope_of

Shape = Literal["linear", "exponential"]

ORIGINS: Final = (0.5, 0.6, 0.7, 0.8)  # shares of the series that a trial fit sees; it is judged on the next fifth
AHEAD: Final = 0.2
SEASON_GAIN: Final = 0.9  # a season must take a tenth off the error: it costs a value for each of its positions
CYCLES_MIN: Final = 3  # of a season, in what a trial fit sees at the least twice
PATHS: Final = 2_000  # simulated continuations; a 2.5 % tail is then known to 0.35 percentage points
EXPONENT_MAX: Final = 700.0  # e^709 is the largest double
SEED: Final = 20_261_121  # any constant: the same rows give the same forecast
EXPONENTIAL_GAIN: Final = 0.95  # an exponential must be better by more than a tie: it runs away
RIVAL_RATIO: Final = 1.25  # a shape whose error is not a quarter larger may be the right one as well
HORIZON_RATIO_MAX: Final = 0.5  # of the length seen: beyond, the slope's uncertainty is all there is to say


@dataclass(frozen=True, slots=True)
class Fit:
    """`slope` is of the values, or of their natural logarithms where the shape is exponential; without the season.

    error_*: mean absolute error on values the fit had not seen, in the series' unit; None: not tried.
    rival: the other shape, where it foresees about as well; a forecast's interval then covers both.
    """

    shape: Shape
    season: int  # positions; 0: none
    slope: Slope
    error_linear: float | None
    error_exponential: float | None
    pattern: FloatArray  # of the season by position modulo its length; empty without
    rival: Fit | None = None

    def line(self, x: FloatArray) -> FloatArray:
        """The fitted values in the series' unit."""
        level: FloatArray = self.slope.level + self.slope.slope * x
        if self.season:
            level = level + self.pattern[x.astype(np.int64) % self.season]
        return np.asarray(np.exp(level), dtype=np.float64) if self.shape == "exponential" else level


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """position: as in the series. low..high: 95 % of what one value may be there."""

    position: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Positions from the last one until the line meets a limit, from the slope's 95 % interval; None: not in sight."""

    expected: float | None
    earliest: float | None
    latest: float | None


def fit_series(x: FloatArray, y: FloatArray, seasons: Sequence[int] = ()) -> Fit:
    """The shape with the least error on unseen values. `seasons`: lengths worth trying, in positions."""
    n = len(x)
    length = x[-1] - x[0] + 1
    lengths = [0, *(one for one in seasons if one >= 2 and CYCLES_MIN * one <= length * ORIGINS[0])]
    shapes: list[Shape] = ["linear", "exponential"] if y.min() > 0 else ["linear"]
    # Trials want a series that can be cut; a short one is a line, and its error is not known.
    errors: dict[tuple[Shape, int], float] = {}
    if n * ORIGINS[0] >= POINTS_MIN:
        errors = {(shape, season): _error(x, y, shape, season) for shape in shapes for season in lengths}
    best: dict[Shape, tuple[float, int]] = {}
    for shape in shapes:
        plain = errors.get((shape, 0), math.inf)
        better = [(errors[shape, s], s) for s in lengths[1:] if errors and errors[shape, s] < SEASON_GAIN * plain]
        best[shape] = min(better, default=(plain, 0))
    finite = {shape: error for shape, (error, _) in best.items() if math.isfinite(error)}

    def fitted(shape: Shape, rival: Fit | None) -> Fit:
        slope, pattern = _fitted(x, y, shape, best[shape][1])
        return Fit(shape, best[shape][1], slope, finite.get("linear"), finite.get("exponential"), pattern, rival)

    if len(finite) < 2:
        return fitted("linear", None)
    grows = best["exponential"][0] < EXPONENTIAL_GAIN * best["linear"][0]
    first, second = shapes[grows], shapes[not grows]
    close = best[second][0] <= RIVAL_RATIO * best[first][0]
    return fitted(first, fitted(second, None) if close else None)


def forecast(x: FloatArray, y: FloatArray, fit: Fit, ahead: int) -> tuple[ForecastPoint, ...]:
    """The next `ahead` positions. Raises ValueError when they are more than half of the length seen."""
    length = int(x[-1] - x[0] + 1)
    if not 1 <= ahead <= length * HORIZON_RATIO_MAX:
        raise ValueError(f"{ahead} intervals ahead of {length} seen: at most half of what was seen can be forecast")
    future = x[-1] + 1 + np.arange(ahead)
    paths = _paths(x, y, fit, future)
    value = np.median(paths, axis=0)
    if fit.rival is not None:
        paths = np.concatenate([paths, _paths(x, y, fit.rival, future)])
    low, high = np.quantile(paths, (0.025, 0.975), axis=0)
    return tuple(
        ForecastPoint(int(p), float(v), float(a), float(b)) for p, v, a, b in zip(future, value, low, high, strict=True)
    )


def reach(x: FloatArray, y: FloatArray, fit: Fit, limit: float) -> Reach:
    """When the line, not a single value, meets `limit`. 0 where it is there already."""
    shaped = fit.shape == "exponential"
    if shaped and limit <= 0:
        return Reach(None, None, None)
    goal = math.log(limit) if shaped else limit
    slope = fit.slope
    now = slope.level + slope.slope * x[-1]
    toward = 1 if goal >= now else -1
    if goal == now:
        return Reach(0.0, 0.0, 0.0)

    def until(one: float) -> float | None:
        return (
            (goal - now) / one if math.isfinite(one) and one * toward > 0 else 0.0 if not math.isfinite(one) else None
        )

    slow, fast = (slope.low, slope.high) if toward > 0 else (slope.high, slope.low)
    return Reach(until(slope.slope), until(fast), until(slow) if math.isfinite(slow) else None)


def _scaled(y: FloatArray, shape: Shape) -> FloatArray:
    return np.log(y) if shape == "exponential" else y


def _fitted(x: FloatArray, y: FloatArray, shape: Shape, season: int) -> tuple[Slope, FloatArray]:
    values = _scaled(y, shape)
    if not season:
        return slope_of(x, values), np.zeros(0)
    # The slope over whole cycles first, so that the season cannot bend it; then the season, then the slope without it.
    phase = x.astype(np.int64) % season
    pattern = np.zeros(season)
    for _ in range(2):
        slope = slope_of(x, values - pattern[phase])
        left = values - slope.level - slope.slope * x
        pattern = np.array([float(np.median(left[phase == p])) if (phase == p).any() else 0.0 for p in range(season)])
        pattern -= pattern.mean()
    return slope_of(x, values - pattern[phase]), pattern


def _error(x: FloatArray, y: FloatArray, shape: Shape, season: int) -> float:
    """Mean absolute error of fits on the values that follow what they saw."""
    errors: list[float] = []
    for share in ORIGINS:
        seen = int(len(x) * share)
        after = slice(seen, min(len(x), seen + max(1, int(len(x) * AHEAD))))
        slope, pattern = _fitted(x[:seen], y[:seen], shape, season)
        with np.errstate(over="ignore"):
            guess = Fit(shape, season, slope, None, None, pattern).line(x[after])
        errors.append(float(np.mean(np.abs(guess - y[after]))))
    return float(np.mean(errors))


def _paths(x: FloatArray, y: FloatArray, fit: Fit, future: FloatArray) -> FloatArray:
    """Simulated continuations in the series' unit, one a row."""
    paths = _continued(x, _scaled(y, fit.shape), fit, future)
    return (
        np.asarray(np.exp(np.minimum(paths, EXPONENT_MAX)), dtype=np.float64) if fit.shape == "exponential" else paths
    )


def _continued(x: FloatArray, values: FloatArray, fit: Fit, future: FloatArray) -> FloatArray:
    random = np.random.default_rng(SEED)
    slope, n = fit.slope, len(x)
    season = fit.pattern[x.astype(np.int64) % fit.season] if fit.season else np.zeros(n)
    coming = fit.pattern[future.astype(np.int64) % fit.season] if fit.season else np.zeros(len(future))
    left = values - season - slope.level - slope.slope * x
    phi = lag_correlation(x, left, fitted=2)
    shocks = _shocks(x, left, phi, fit.season)
    middle = float(np.mean(x))
    error = slope.standard_error if math.isfinite(slope.standard_error) else abs(float(np.ptp(values))) / max(1.0, n)
    freedom = max(4.0, slope.independent - 2)
    steeper = random.standard_t(freedom, PATHS) * error
    level = random.standard_normal(PATHS) * float(np.std(left)) / math.sqrt(max(1.0, slope.independent))
    base = slope.level + slope.slope * future + coming
    moved = level[:, None] + steeper[:, None] * (future - middle)
    # The last residual against each drawn line, and from there on an autoregression of drawn shocks.
    state = left[-1] - level - steeper * (x[-1] - middle)
    drawn = random.choice(shocks, (PATHS, len(future)))
    result = np.empty((PATHS, len(future)))
    for step in range(len(future)):
        state = phi * state + drawn[:, step]
        result[:, step] = base[step] + moved[:, step] + state
    return result


def _shocks(x: FloatArray, left: FloatArray, phi: float, season: int) -> FloatArray:
    """What the autoregression did not foresee, widened for the values that the fit used up."""
    next_to = np.flatnonzero(np.diff(x) == 1)
    shocks: FloatArray = left[next_to + 1] - phi * left[next_to] if len(next_to) >= POINTS_MIN // 2 else left
    used = 3 + season / CYCLES_MIN
    n = len(shocks)
    wider = math.sqrt(n / max(1.0, n - used))
    return np.asarray((shocks - shocks.mean()) * wider, dtype=np.float64)
