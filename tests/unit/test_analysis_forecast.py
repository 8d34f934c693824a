"""Forecasts held to what really comes next, on series of many kinds; shapes chosen by what they had not seen."""

from __future__ import annotations

import numpy as np
import pytest

from reports.analysis.forecast import fit_series, forecast, reach
from tests.unit.test_analysis_slope import NORMAL, correlated

SERIES = 60
SEASON = 12


def series(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    """One series of a kind that telemetry shows."""
    t = np.arange(n)
    match kind:
        case "noise":
            return random.standard_normal(n)
        case "correlated":
            return correlated(random, n, 0.8, NORMAL)
        case "heavy":
            return correlated(random, n, 0.6, lambda r, k: r.standard_t(3, k))
        case "trend":
            return 0.1 * t + correlated(random, n, 0.5, NORMAL)
        case "season":
            return 3 * np.sin(2 * np.pi * t / SEASON) + 0.02 * t + random.standard_normal(n)
        case "growth":
            return np.exp(0.02 * t + 0.1 * correlated(random, n, 0.4, NORMAL))
        case "skewed":
            return np.exp(random.standard_normal(n))
        case _:
            return np.cumsum(random.standard_normal(n))


@pytest.mark.parametrize("n", [30, 120])
@pytest.mark.parametrize("kind", ["noise", "correlated", "heavy", "trend", "season", "growth", "skewed", "walk"])
def test_the_interval_holds_what_comes(kind: str, n: int) -> None:
    random = np.random.default_rng(20_261_121)
    ahead, held = n // 5, []
    for _ in range(SERIES):
        y = series(kind, n + ahead, random)
        x = np.arange(float(n))
        points = forecast(x, y[:n], fit_series(x, y[:n], (SEASON,)), ahead)
        held += [point.low <= value <= point.high for point, value in zip(points, y[n:], strict=True)]
    assert np.mean(held) >= 0.88, "95 % is asked for; growth seen for a short time is the hardest"


def test_the_interval_is_not_just_wide() -> None:
    random = np.random.default_rng(5)
    x = np.arange(120.0)
    y = random.standard_normal(120)
    widths = [point.high - point.low for point in forecast(x, y, fit_series(x, y), 24)]
    assert np.mean(widths) <= 2 * 1.96 * 1.3, "of normal noise with deviation 1"


def test_the_shape_is_the_one_that_foresees() -> None:
    random = np.random.default_rng(6)
    x = np.arange(120.0)
    grown = fit_series(x, np.exp(0.03 * x + random.normal(0, 0.1, 120)))
    assert grown.shape == "exponential"
    assert grown.slope.slope == pytest.approx(0.03, rel=0.05)
    assert grown.error_exponential is not None
    assert grown.error_linear is not None
    assert grown.error_exponential < 0.5 * grown.error_linear
    assert grown.rival is None
    straight = fit_series(x, 50 + 0.5 * x + random.normal(0, 3, 120))
    assert straight.shape == "linear"
    assert fit_series(x, x - 60).error_exponential is None, "no logarithm of what is not above 0"


def test_a_season_is_taken_where_it_helps_and_its_slope_is_without_it() -> None:
    random = np.random.default_rng(8)
    x = np.arange(96.0)
    daily = 5 * np.sin(2 * np.pi * x / SEASON) + 0.1 * x + random.normal(0, 0.5, 96)
    fit = fit_series(x, daily, (SEASON,))
    assert fit.season == SEASON
    assert fit.slope.low <= 0.1 <= fit.slope.high
    assert fit.slope.high - fit.slope.low < 0.05
    assert fit_series(x, random.standard_normal(96), (SEASON,)).season == 0


def test_a_limit_is_met_when_the_line_says_so_and_never_backwards() -> None:
    random = np.random.default_rng(9)
    x = np.arange(60.0)
    y = 10 + 2 * x + random.normal(0, 1, 60)
    met = reach(x, y, fit_series(x, y), 10 + 2 * 159)
    assert met.expected == pytest.approx(100, rel=0.05)
    assert met.earliest is not None
    assert met.latest is not None
    assert met.earliest <= 100 <= met.latest
    assert reach(x, y, fit_series(x, y), 0.0).expected is None
    noise = random.standard_normal(60)
    assert reach(x, noise, fit_series(x, noise), 100.0).latest is None
    growing = np.exp(0.05 * x + random.normal(0, 0.02, 60))
    assert reach(x, growing, fit_series(x, growing), float(np.exp(0.05 * 89))).expected == pytest.approx(30, rel=0.1)


def test_further_than_half_of_what_was_seen_is_refused_and_the_same_rows_give_the_same_forecast() -> None:
    x, y = np.arange(30.0), np.arange(30.0) % 7
    fit = fit_series(x, y)
    with pytest.raises(ValueError, match="at most half"):
        forecast(x, y, fit, 16)
    assert forecast(x, y, fit, 15) == forecast(x, y, fit, 15)
