"""A large sample is compared without draws: by the tails that draws tend to, and only where its moments allow it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from reports.compare.align import Sample
from reports.compare.cases import Case, Problem, cases_of
from reports.compare.closed import UNITS_RESAMPLED_MAX, Z_FAR, closed
from reports.compare.expansion import bootstrap_tail, permutation_tail
from reports.compare.measures import measure_of
from reports.compare.moments import Scale
from reports.compare.ratio import Estimate, Sides, compare_means
from reports.compare.statistics import compare
from reports.compare.success import Z_95

UNITS = 1_000
Z2 = Z_95**2

SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "skewed": lambda rng, n: rng.lognormal(0, 1.0, n),
    "zero-inflated": lambda rng, n: rng.lognormal(0, 1.0, n) * (rng.random(n) < 0.6),
    "normal": lambda rng, n: rng.normal(10, 2, n),
}


def _case(a: np.ndarray, b: np.ndarray, *, paired: bool, scale: Scale, rate: bool = False) -> Case:
    (case,) = cases_of([Problem(a, b, paired, (1, -1) if rate else (1,), ("a", "b"), scale)])
    return case


def _column(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def _paired(rng: np.random.Generator, n: int = UNITS, *, sigma: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    task = rng.lognormal(0, 0.5, n)
    return _column(task * rng.lognormal(0, sigma, n)), _column(task * rng.lognormal(0, sigma, n))


def _width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return math.log(estimate.high / estimate.low)


def test_the_bootstrap_of_a_mean_has_the_tail_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    d = rng.lognormal(0, 0.5, 4_000)
    case = _case(_column(d), np.zeros((len(d), 1)), paired=True, scale="linear")
    skew, kurtosis = float(stats.skew(d)), float(stats.kurtosis(d))
    # Hall (1992), 3.3: the second polynomial of a studentised mean, here with the variance's divisor n - 1.
    q = kurtosis / 12 * (Z2 - 3) - skew**2 / 18 * (Z2**2 + 2 * Z2 - 3) - (Z2 + 1) / 4
    assert bootstrap_tail(case).stretch(Z_95) == pytest.approx(-q / len(d), rel=2e-3)


@pytest.mark.parametrize("z", [1.0, Z_95, 3.0])
def test_swapped_pairs_have_the_tail_of_a_sum_of_random_signs(z: float) -> None:
    rng = np.random.default_rng(2)
    d = rng.normal(0.1, 1.0, 3_000) ** 3
    case = _case(_column(d), np.zeros((len(d), 1)), paired=True, scale="linear")
    # S = sum(sign * d) / root(sum(d^2)) has this fourth cumulant and no third; t = S root((n - 1) / (n - S^2)).
    fourth = -2 * (d**4).sum() / (d**2).sum() ** 2
    expected = fourth * (z * z - 3) / 24 + (z * z - 1) / (2 * len(d))
    assert permutation_tail(case).stretch(z) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("n_a", "n_b", "paired", "rate", "scale"),
    [
        (900, 900, True, False, "log"),
        (900, 900, True, True, "log"),
        (900, 900, True, False, "linear"),
        (700, 1_600, False, False, "log"),
        (1_600, 700, False, True, "log"),
        (700, 1_600, False, False, "linear"),
    ],
)
def test_the_closed_form_says_what_draws_of_the_same_sample_say(
    n_a: int, n_b: int, paired: bool, rate: bool, scale: Scale
) -> None:
    rng = np.random.default_rng(4)
    a, b = 1.05 * rng.lognormal(0, 0.9, (n_a, 1 + rate)), rng.lognormal(0, 0.9, (n_b, 1 + rate))
    sides = Sides(a, b, paired, (1, -1) if rate else (1,))
    without, drawn = (compare_means(sides, scale=scale, always_draw=draw) for draw in (False, True))
    assert (without.drawn, drawn.drawn) == (False, True)
    assert without.value == drawn.value
    for one, other in ((without.low, drawn.low), (without.high, drawn.high)):
        # Three standard errors of a half-width from 10,000 draws are 2.8 % of it.
        reach = 1.96 * (drawn.standard_error or 0) * (drawn.value or 0 if scale == "log" else 1.0)
        assert one == pytest.approx(other, abs=0.03 * abs(reach))
    p = drawn.p_value or 0
    assert without.p_value == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 10_000) + 0.02 * p)


def test_a_far_finding_has_the_p_value_of_students_tail_and_never_none() -> None:
    rng = np.random.default_rng(5)
    shifts = np.linspace(1.1, 1.6, 201)
    a, b = _paired(rng, sigma=0.5)
    found = [compare_means(Sides(shift * a, b, True), scale="log") for shift in shifts]
    assert not any(one.drawn for one in found)
    p_values = [one.p_value or 0.0 for one in found]
    assert p_values[0] > 5e-4 > 1e-12 > p_values[-1] > 0
    # A step of the shift moves the statistic by 0.1: no p-value falls by more than half, and none rises.
    assert all(0.5 < later / earlier <= 1 for earlier, later in pairwise(p_values) if earlier > 1e-6)
    last = found[-1]
    far = permutation_tail(_case(1.6 * a, b, paired=True, scale="log")).stretch(Z_FAR)
    t = math.log(last.value or 0) / (last.standard_error or 1) / (1 + max(far, 0))
    assert last.p_value == pytest.approx(2 * stats.t.sf(t, UNITS - 1), rel=1e-9)


def test_too_few_units_are_drawn_and_one_more_is_not() -> None:
    a, b = _paired(np.random.default_rng(6), UNITS_RESAMPLED_MAX + 1, sigma=0.4)
    assert closed(_case(a, b, paired=True, scale="log")) is not None
    assert closed(_case(a[:-1], b[:-1], paired=True, scale="log")) is None


def test_a_single_task_that_is_most_of_the_bill_keeps_a_large_sample_drawn() -> None:
    a, b = _paired(np.random.default_rng(7), sigma=0.4)
    assert closed(_case(a, b, paired=True, scale="log")) is not None
    a[0] = 200 * a.mean()
    assert closed(_case(a, b, paired=True, scale="log")) is None


@pytest.mark.parametrize("paired", [True, False])
def test_a_large_sample_in_which_few_units_differ_is_drawn(paired: bool) -> None:
    rng = np.random.default_rng(8)
    a, b = ((rng.random((4_000, 1)) < 0.05).astype(float) for _ in range(2))
    assert np.count_nonzero(a != b) < UNITS_RESAMPLED_MAX
    assert closed(_case(a, b, paired=paired, scale="linear")) is None


def test_sides_without_any_difference_have_no_closed_form() -> None:
    a, _ = _paired(np.random.default_rng(9))
    assert closed(_case(a, a.copy(), paired=True, scale="log")) is None


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("paired", [True, False])
def test_no_reader_sees_where_draws_end(shape: str, paired: bool) -> None:
    """The smallest sample in closed form, held against its own draws: both ends within 3 % of the half-width."""
    rng = np.random.default_rng(10)
    a, b = (_column(SHAPES[shape](rng, 2_000)) for _ in range(2))
    sizes = range(UNITS_RESAMPLED_MAX, len(a))
    smallest = next(n for n in sizes if closed(_case(a[:n], b[:n], paired=paired, scale="log")))
    sides = Sides(a[:smallest], b[:smallest], paired)
    without, drawn = (compare_means(sides, scale="log", always_draw=draw) for draw in (False, True))
    assert (without.drawn, drawn.drawn) == (False, True)
    half = _width(drawn) / 2
    for one, other in ((without.low, drawn.low), (without.high, drawn.high)):
        assert math.log(one or 0) == pytest.approx(math.log(other or 0), abs=0.03 * half)
    p = drawn.p_value or 0
    assert without.p_value == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 10_000))


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("paired", [True, False])
def test_large_equal_sides_are_called_different_as_seldom_as_promised(shape: str, paired: bool) -> None:
    rng, runs, units = np.random.default_rng(11), 500, 1_200
    false = covered = taken = 0
    for _ in range(runs):
        task = rng.lognormal(0, 0.3, units) if paired else np.ones(units)
        a, b = (_column(task * SHAPES[shape](rng, units)) for _ in range(2))
        case = _case(a, b, paired=paired, scale="log")
        found = closed(case)
        if found is None:
            continue
        taken += 1
        false += found.p_value <= 0.05
        covered += abs(case.theta) <= found.reach
    assert taken > 0.6 * runs
    limit = 4 * math.sqrt(0.05 * 0.95 / taken)
    assert abs(false / taken - 0.05) <= limit
    assert abs(covered / taken - 0.95) <= limit


def test_a_finding_names_the_way_it_was_computed() -> None:
    rng = np.random.default_rng(12)
    measure = measure_of("task_duration")
    for n, form in ((60, ""), (UNITS, " in closed form")):
        a, b = (
            Sample(side, {f"t{i}": float(x) for i, x in enumerate(rng.lognormal(0, 0.5, n))}, "task", pairable=True)
            for side in ("a", "b")
        )
        finding, _ = compare(measure, a, b)
        assert finding.test == f"permutation within pairs{form}, ratio of means"
        assert finding.interval == "symmetric bootstrap-t" + (f",{form}" if form else "")
