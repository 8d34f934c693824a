"""Quiet data stays quiet: the measured share of windows above 0.999 and 0.99, over many seeds and kinds of noise.

The promise is at most 1 closed window in 1,000 above 0.999. What is allowed here is the promise plus the
sampling error of the share itself (three standard errors of a Poisson count), and double that for windows 13
to 50, where a dozen windows are all that is known. `pytest -s` prints the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from models.anomaly import WindowPoint, new_scorer

YOUNG = range(13, 51)  # number of the closed window
GROWN = range(51, 100_000)
PROMISED_SHARE = 0.001  # of windows with a score above 0.999
SHORT_SERIES, SHORT_WINDOWS = 120, 120
LONG_SERIES, LONG_WINDOWS = 6, 2_000


def _ar1(source: Generator, windows: int) -> NDArray[np.float64]:
    noise = source.normal(0.0, 1.0, windows + 100)
    for index in range(1, len(noise)):
        noise[index] += 0.7 * noise[index - 1]
    return noise[100:] + 20.0


def _bimodal(source: Generator, windows: int) -> NDArray[np.float64]:
    return np.where(source.random(windows) < 0.5, source.normal(1.0, 0.1, windows), source.normal(5.0, 0.3, windows))


QUIET: dict[str, Callable[[Generator, int], NDArray[np.float64]]] = {
    "gaussian": lambda source, windows: source.normal(100.0, 10.0, windows),
    "gaussian, centred": lambda source, windows: source.normal(0.0, 1.0, windows),
    "lognormal, sigma 1": lambda source, windows: source.lognormal(0.0, 1.0, windows),
    "exponential": lambda source, windows: source.exponential(1.0, windows),
    "poisson, 0.1": lambda source, windows: source.poisson(0.1, windows).astype(float),
    "poisson, 1": lambda source, windows: source.poisson(1.0, windows).astype(float),
    "poisson, 5": lambda source, windows: source.poisson(5.0, windows).astype(float),
    "AR(1), 0.7": _ar1,
    "uniform": lambda source, windows: source.random(windows),
    "bimodal": _bimodal,
}


def _points(means: NDArray[np.float64]) -> list[WindowPoint]:
    return [
        WindowPoint(1_700_000_000_000 + index * 10_000, 10_000, 10, 10.0, mean, mean, mean, 0.0, mean)
        for index, mean in enumerate(means.tolist())
    ]


def _shares(series: list[list[WindowPoint]]) -> dict[str, tuple[int, int, int]]:
    """Age -> (windows, windows above 0.999, above 0.99)."""
    found = {"13-50": [0, 0, 0], "51-": [0, 0, 0]}
    for points in series:
        scorer = new_scorer("quiet")
        for number, each in enumerate(points, start=1):
            score = scorer.step(each).score
            if score is not None:
                row = found["13-50" if number in YOUNG else "51-"]
                row[0] += 1
                row[1] += score >= 0.999
                row[2] += score >= 0.99
    return {age: (row[0], row[1], row[2]) for age, row in found.items()}


def _allowed(windows: int, share: float) -> float:
    expected = windows * share
    return expected + 3.0 * math.sqrt(expected)


def _check(kind: str, series: list[list[WindowPoint]]) -> None:
    for age, (windows, above_999, above_99) in _shares(series).items():
        print(
            f"{kind:22} windows {age:6} n={windows:6}  above 0.999: {1000 * above_999 / windows:5.2f} per 1,000"
            f"  above 0.99: {100 * above_99 / windows:5.2f} per 100"
        )
        factor = 2.0 if age == "13-50" else 1.0
        assert above_999 <= _allowed(windows, factor * PROMISED_SHARE), (kind, age)
        assert above_99 <= _allowed(windows, factor * 10.0 * PROMISED_SHARE), (kind, age)


@pytest.mark.parametrize("kind", sorted(QUIET))
def test_quiet_series_rarely_score_above_the_threshold(kind: str) -> None:
    sizes = [SHORT_WINDOWS] * SHORT_SERIES + [LONG_WINDOWS] * LONG_SERIES
    _check(kind, [_points(QUIET[kind](np.random.default_rng(seed), size)) for seed, size in enumerate(sizes)])


@pytest.mark.parametrize(("events", "rate"), [(1, 0.05), (3, 0.01), (10, 0.05), (50, 0.002), (50, 0.3)])
def test_a_steady_error_rate_rarely_scores_above_the_threshold(events: int, rate: float) -> None:
    series = []
    for seed in range(SHORT_SERIES):
        source = np.random.default_rng(seed)
        points = []
        for index in range(SHORT_WINDOWS if seed >= LONG_SERIES else LONG_WINDOWS):
            held = max(1, int(source.poisson(events)))
            mean = float(source.binomial(held, rate)) / held
            stddev = math.sqrt(mean * (1.0 - mean))
            points.append(
                WindowPoint(1_700_000_000_000 + index * 10_000, 10_000, held, held, mean, 0.0, 1.0, stddev, 0.0)
            )
        series.append(points)
    _check(f"errors {rate} of {events}", series)


def test_a_quiet_series_is_not_simply_given_low_scores() -> None:
    """The other side of calibration: scores must spread over 0..1, or silence would pass the tests above."""
    scorer = new_scorer("quiet")
    scores = [scorer.step(each).score for each in _points(QUIET["gaussian"](np.random.default_rng(1), 3_000))]
    spoken = [score for score in scores[200:] if score is not None]
    assert 0.02 <= sum(score > 0.9 for score in spoken) / len(spoken) <= 0.15
    assert sum(score > 0.99 for score in spoken) / len(spoken) >= 0.002


@pytest.mark.parametrize("factor", [5.0, 10.0])
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_a_slowdown_after_twenty_windows_is_found_within_three(factor: float, spread: float) -> None:
    found = 0
    sigma = math.sqrt(math.log1p(spread * spread))
    for seed in range(100):
        source = np.random.default_rng(seed)
        scorer = new_scorer("task_duration")
        hit = False
        for index in range(23):
            held = max(1, int(source.poisson(8.0)))
            mean = 50.0 * float(source.lognormal(0.0, sigma, held).mean()) * (factor if index >= 20 else 1.0)
            verdict = scorer.step(
                WindowPoint(1_700_000_000_000 + index * 1_000, 1_000, held, held, mean, mean, mean, 0.0, mean)
            )
            hit |= verdict.alarm and index >= 20 and verdict.direction == "above"
        found += hit
    assert found >= 97


@pytest.mark.parametrize(("events", "within"), [(10, 8), (5, 20)])
def test_half_of_the_tasks_failing_after_twenty_clean_windows_is_found(events: int, within: int) -> None:
    found = 0
    for seed in range(100):
        source = np.random.default_rng(seed)
        scorer = new_scorer("error_rate")
        hit = False
        for index in range(20 + within):
            held = max(1, int(source.poisson(events)))
            mean = float(source.binomial(held, 0.5 if index >= 20 else 0.0)) / held
            stddev = math.sqrt(mean * (1.0 - mean))
            verdict = scorer.step(
                WindowPoint(1_700_000_000_000 + index * 1_000, 1_000, held, held, mean, 0.0, 1.0, stddev, 0.0)
            )
            hit |= verdict.alarm and verdict.direction == "above"
            assert index >= 20 or not verdict.alarm
        found += hit
    assert found >= 95
