"""Slopes against SciPy's where nothing is correlated, and by simulation where neighbours are alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reports.analysis.slope import POINTS_MIN, Slope, parts_of, slope_of

SERIES = 200  # a simulation; the standard error of a rate of 5 % is then 1.5 points
FALSE_MAX = 0.10
COVERED_MIN = 0.90

Shocks = Callable[[np.random.Generator, int], np.ndarray]
NORMAL: Shocks = lambda random, n: random.standard_normal(n)  # noqa: E731  # a table of shapes
HEAVY: Shocks = lambda random, n: random.standard_t(2.5, n)  # noqa: E731


def correlated(random: np.random.Generator, n: int, phi: float, shocks: Shocks) -> np.ndarray:
    """An autoregression, long after its start."""
    drawn = shocks(random, n + 100)
    values = np.zeros(n + 100)
    for place in range(1, n + 100):
        values[place] = phi * values[place - 1] + drawn[place]
    return values[100:]


def test_without_correlation_slope_and_test_are_the_textbooks() -> None:
    from scipy.stats import kendalltau, theilslopes

    random = np.random.default_rng(7)
    x = np.arange(80.0)
    y = np.round(0.03 * x + random.standard_normal(80), 1)  # rounded: ties
    found = slope_of(x, y)
    theirs = theilslopes(y, x)
    assert found.slope == pytest.approx(theirs.slope)
    assert found.phi < 0.2
    # Their interval and test do not know of correlation; ours are at least as wide, and the same where there is none.
    assert found.low <= theirs.low_slope + 1e-9
    assert found.high >= theirs.high_slope - 1e-9
    noise = random.standard_normal(40)
    alone = slope_of(x[::2], noise)  # no neighbours left: nothing to correct for
    assert alone.phi == 0
    assert alone.p_value == pytest.approx(kendalltau(x[::2], noise, method="asymptotic").pvalue, abs=0.03)


def test_a_gross_outlier_does_not_turn_the_slope() -> None:
    x = np.arange(40.0)
    y = 2.0 * x
    y[5], y[30] = 1e6, -1e6
    found = slope_of(x, y)
    assert found.slope == pytest.approx(2.0, abs=0.2)
    assert found.shown


@pytest.mark.parametrize("n", [15, 60])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("shocks", [NORMAL, HEAVY], ids=["normal", "heavy"])
def test_correlated_noise_shows_a_trend_in_at_most_one_of_ten_and_its_interval_holds(
    n: int, phi: float, shocks: Shocks
) -> None:
    random = np.random.default_rng(20_261_121)
    x = np.arange(float(n))
    found = [slope_of(x, correlated(random, n, phi, shocks)) for _ in range(SERIES)]
    assert sum(one.shown for one in found) / SERIES <= FALSE_MAX
    steep = [slope_of(x, correlated(random, n, phi, shocks) + 0.1 * x) for _ in range(SERIES)]
    assert sum(one.low <= 0.1 <= one.high for one in steep) / SERIES >= COVERED_MIN


def test_the_uncorrected_test_would_be_wrong_so_the_correction_is_needed() -> None:
    from scipy.stats import kendalltau

    random = np.random.default_rng(1)
    x = np.arange(60.0)
    series = [correlated(random, 60, 0.8, NORMAL) for _ in range(SERIES)]
    assert sum(kendalltau(x, y).pvalue <= 0.05 for y in series) / SERIES > 0.3
    assert sum(slope_of(x, y).shown for y in series) / SERIES <= FALSE_MAX


def test_a_real_trend_is_found_in_noise() -> None:
    random = np.random.default_rng(2)
    x = np.arange(100.0)
    found = [slope_of(x, 0.05 * x + correlated(random, 100, 0.5, NORMAL)) for _ in range(50)]
    assert sum(one.shown and one.slope > 0 for one in found) >= 45


def test_a_leak_between_restarts_is_one_slope_although_the_whole_has_none() -> None:
    random = np.random.default_rng(3)
    x = np.arange(120.0)
    y = 100 + 5 * (x % 30) + random.normal(0, 3, 120)
    part = parts_of(y)
    assert list(np.flatnonzero(np.diff(part)) + 1) == [30, 60, 90]
    found: Slope = slope_of(x, y, part)
    assert found.low <= 5 <= found.high
    assert found.shown
    assert not slope_of(x, y).shown


def test_noise_is_hardly_ever_a_restart() -> None:
    random = np.random.default_rng(4)
    heavy = [np.exp(random.standard_normal(150)) for _ in range(SERIES)]
    assert sum(parts_of(y)[-1] > 0 for y in heavy) / SERIES <= 0.05


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match=f"a slope needs {POINTS_MIN} to"):
        slope_of(np.arange(5.0), np.arange(5.0))
