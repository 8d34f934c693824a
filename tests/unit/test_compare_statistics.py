"""The numbers of a comparison against SciPy, against arithmetic, and at the edges."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from reports.compare.align import Sample, align
from reports.compare.correction import holm
from reports.compare.describe import UNITS_MIN
from reports.compare.effect import effect
from reports.compare.finding import Finding
from reports.compare.measures import MEASURES, measure_of
from reports.compare.ratio import Sides, compare_means
from reports.compare.resample import (
    BLOCK_UNITS,
    bootstrap_block,
    label_chunks,
    poisson_table,
    swap_block,
    weighted_sums,
)
from reports.compare.statistics import compare
from reports.compare.success import paired_test, unpaired_test, wilson
from reports.compare.verdict import conclude

RNG_SEED = 7


def _sample(side: str, values: list[float | None], *, pairable: bool = True, **more: object) -> Sample:
    keyed = {f"task-{i:04d}": v for i, v in enumerate(values)}
    return Sample(side, keyed, "task", frozenset({"measured"}), pairable=pairable, **more)  # type: ignore[arg-type]


def _one(metric: str, a: Sample, b: Sample, **more: object) -> Finding:
    finding, success = compare(measure_of(metric), a, b, draws=2_000, **more)  # type: ignore[arg-type]
    (concluded,), _ = conclude([finding], [success] if success else [])
    return concluded


def _skewed(n: int, *, factor: float = 1.0, seed: int = RNG_SEED) -> list[float | None]:
    return [float(x) for x in factor * np.random.default_rng(seed).lognormal(0, 0.6, n)]


def test_the_ratio_is_the_ratio_of_means_and_the_median_is_of_the_pairs() -> None:
    a, b = _skewed(50, factor=2.0, seed=1), _skewed(50, seed=2)
    f = _one("task_duration", _sample("a", a), _sample("b", b))
    assert f.ratio == pytest.approx(np.mean(a) / np.mean(b))
    assert f.median_pair_ratio == pytest.approx(np.median(np.array(a) / np.array(b)))
    assert f.p50_a == pytest.approx(np.quantile(a, 0.5))
    assert f.p95_b == pytest.approx(np.quantile(b, 0.95))


def test_the_interval_agrees_with_scipys_bootstrap_t_free_estimate_of_the_spread() -> None:
    a, b = np.array(_skewed(400, seed=1)), np.array(_skewed(400, seed=2))
    reference = stats.bootstrap(
        (a, b), lambda x, y, axis: np.log(x.mean(axis=axis) / y.mean(axis=axis)), paired=True, rng=3
    )
    e = compare_means(Sides(a[:, None], b[:, None], True), scale="log")
    assert e.standard_error == pytest.approx(reference.standard_error, rel=0.05)
    assert math.log(e.low or 0) == pytest.approx(reference.confidence_interval.low, abs=0.3 * (e.standard_error or 0))
    assert math.log(e.high or 0) == pytest.approx(reference.confidence_interval.high, abs=0.3 * (e.standard_error or 0))


def test_the_permutation_p_value_agrees_with_scipys() -> None:
    a, b = np.array(_skewed(40, factor=1.25, seed=4)), np.array(_skewed(40, seed=5))

    def studentised(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        mx, my = x.mean(axis=axis), y.mean(axis=axis)
        d = x / np.expand_dims(mx, axis) - y / np.expand_dims(my, axis)
        return np.log(mx / my) / (d.std(axis=axis, ddof=1) / np.sqrt(x.shape[axis]))

    reference = stats.permutation_test(
        (a, b), studentised, permutation_type="samples", vectorized=True, n_resamples=9_999, rng=1
    )
    e = compare_means(Sides(a[:, None], b[:, None], True), scale="log")
    assert e.p_value == pytest.approx(reference.pvalue, abs=0.02)


def test_p_values_go_on_below_one_in_the_number_of_draws() -> None:
    a, b = np.array(_skewed(200, factor=3.0, seed=1)), np.array(_skewed(200, seed=2))
    e = compare_means(Sides(a[:, None], b[:, None], True), scale="log", draws=500)
    assert e.p_value is not None
    assert 0 < e.p_value < 1e-6


@pytest.mark.parametrize("paired", [True, False])
def test_swapping_the_sides_inverts_the_ratio_and_its_interval(paired: bool) -> None:
    a, b = np.array(_skewed(60, factor=1.5, seed=1)), np.array(_skewed(60, seed=2))
    there = compare_means(Sides(a[:, None], b[:, None], paired), scale="log")
    back = compare_means(Sides(b[:, None], a[:, None], paired), scale="log")
    assert there.value == pytest.approx(1 / (back.value or 0))
    tolerance = 1e-9 if paired else 0.02  # unpaired sides draw from their own streams
    assert there.low == pytest.approx(1 / (back.high or 0), rel=tolerance)
    assert there.p_value == pytest.approx(back.p_value, abs=0.01)


def test_pairing_makes_the_interval_narrower_when_tasks_differ_more_than_sides() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.lognormal(0, 1.2, 80)
    a = _sample("a", list(difficulty * rng.normal(1.2, 0.05, 80)))
    b = _sample("b", list(difficulty * rng.normal(1.0, 0.05, 80)))
    paired, unpaired = _one("task_duration", a, b), _one("task_duration", a, b, pairing="never")
    assert paired.verdict == "worse"
    assert unpaired.verdict == "no difference shown"
    assert (paired.ratio_high or 0) - (paired.ratio_low or 0) < (unpaired.ratio_high or 0) - (unpaired.ratio_low or 0)


def test_ten_thousand_draws_of_ten_thousand_tasks_take_seconds_not_minutes() -> None:
    rng = np.random.default_rng(1)
    x = rng.lognormal(size=(10_000, 2))
    started = time.process_time()
    e = compare_means(Sides(x[:, :1], x[:, 1:], True), scale="log")
    assert e.low is not None
    assert time.process_time() - started < 8  # about one second of wall time when the machine is free


def test_identical_sides_are_no_difference_and_cost_the_correction_nothing() -> None:
    values = _skewed(30)
    same = _one("task_duration", _sample("a", values), _sample("b", values))
    assert same.verdict == "no difference shown"
    assert same.p_value is None
    assert same.ratio_low == same.ratio_high == 1.0


def test_a_constant_factor_has_a_point_for_an_interval_and_is_a_difference() -> None:
    values = _skewed(30)
    twice = _one("task_duration", _sample("a", [2 * (v or 0) for v in values]), _sample("b", values))
    assert twice.ratio_low == pytest.approx(2.0)
    assert twice.ratio_high == pytest.approx(2.0)
    assert twice.verdict == "worse"


@pytest.mark.parametrize("n", [0, 1, UNITS_MIN - 1])
def test_too_few_units_are_said_to_be_too_few(n: int) -> None:
    f = _one("task_duration", _sample("a", _skewed(n)), _sample("b", _skewed(n)))
    assert f.verdict == "not enough data"
    assert f.p_value is None
    assert ("not measured" in f.why) if n == 0 else (f"about {UNITS_MIN - n} more" in f.why)


def test_declared_numbers_are_shown_but_never_ranked() -> None:
    values = _skewed(50)
    declared = Sample("b", {f"task-{i:04d}": v for i, v in enumerate(values)}, "task", frozenset({"declared"}), True)
    f = _one("task_duration", _sample("a", _skewed(50, factor=5)), declared)
    assert f.verdict == "not ranked"
    assert f.mean_b is not None
    assert f.p_value is None


def test_missing_costs_are_left_out_and_named() -> None:
    a, b = _skewed(40), _skewed(40, seed=9)
    a[3] = a[7] = None
    f = _one("cost_usd", _sample("a", a), _sample("b", b))
    assert f.n_a == f.n_b == 38
    assert f.missing_a == 2
    assert f.left_out_b == 2
    assert any("not priced" in w for w in f.warnings)


def test_a_cost_of_zero_among_real_costs_was_not_reported_and_is_no_free_task() -> None:
    costs = _skewed(40)
    with_zeros = [0.0 if i % 4 == 0 else cost for i, cost in enumerate(costs)]
    f = _one("cost_usd", _sample("a", with_zeros), _sample("b", _skewed(40, seed=9)))
    assert (f.n_a, f.missing_a) == (30, 10)
    assert f.mean_a == pytest.approx(np.mean([cost for i, cost in enumerate(costs) if i % 4]))
    assert "a: costs of exactly 0, which count as not reported: 10" in f.warnings


def test_a_side_whose_every_cost_is_zero_is_not_compared() -> None:
    f = _one("cost_usd", _sample("a", [0.0] * 40), _sample("b", _skewed(40)))
    assert (f.verdict, f.mean_a, f.ratio, f.p_value) == ("not enough data", None, None, None)
    assert "a cost nobody reported" in f.why


@pytest.mark.parametrize(
    ("p_value", "low", "high", "verdict"),
    [
        (0.001, 1.1, 1.5, "worse"),
        (0.001, 0.6, 0.9, "better"),
        (0.001, 0.9, 1.5, "no difference shown"),  # the test shows one, the interval does not
        (0.2, 1.1, 1.5, "no difference shown"),  # the interval shows one, the test does not
        (0.05, 1.1, 1.5, "worse"),  # the level itself still counts
    ],
)
def test_a_verdict_needs_the_test_and_the_interval(p_value: float, low: float, high: float, verdict: str) -> None:
    f = Finding("task_duration", "task duration", "ms", "lower", "task", "a", "b", 50, 50, True, 0, 0, 0, 0)
    f = replace(f, ratio=1.2, ratio_low=low, ratio_high=high, p_value=p_value, interval="bootstrap", test="permutation")
    (concluded,), _ = conclude([f])
    assert concluded.verdict == verdict


def test_a_permutation_without_a_statistic_counts_against_the_finding() -> None:
    # Of 23 values 10 are 0: shuffled, b's three are all 0 in 6.8 %, and the logarithm of its mean does not exist.
    a, b = np.array([0.0] * 8 + [float(x) for x in range(95, 107)]), np.array([0.0, 0.0, 1.0])
    e = compare_means(Sides(a[:, None], b[:, None], False), scale="log", draws=4_000)
    without_statistic = float(stats.hypergeom.pmf(3, 23, 10, 3))
    assert e.p_value is not None
    assert without_statistic < e.p_value < 2 * without_statistic


def test_a_measure_without_a_better_direction_is_higher_or_lower_never_better() -> None:
    a = {f"agent-{i}": 5.0 + i / 100 for i in range(20)}
    b = {f"agent-{i}": 1.0 + i / 100 for i in range(20)}
    sides = [Sample(n, v, "agent", frozenset({"measured"})) for n, v in (("a", a), ("b", b))]
    assert _one("my.custom_metric", *sides).verdict == "higher"
    assert _one("throughput", *sides).verdict == "better"
    assert _one("memory_usage", *sides).verdict == "worse"


def test_signed_values_are_compared_by_difference_because_a_ratio_means_nothing() -> None:
    rng = np.random.default_rng(2)
    a = {f"agent-{i}": float(x) for i, x in enumerate(rng.normal(1, 1, 40))}
    b = {f"agent-{i}": float(x) for i, x in enumerate(rng.normal(-1, 1, 40))}
    f = _one("score_delta", *[Sample(n, v, "agent", frozenset()) for n, v in (("a", a), ("b", b))])
    assert f.ratio is None
    assert f.difference_low is not None
    assert f.difference_low > 0
    assert f.verdict == "higher"


def test_cost_per_success_divides_all_cost_by_the_successes() -> None:
    cost_a, cost_b = _skewed(60, seed=1), _skewed(60, seed=2)
    won_a = {f"task-{i:04d}": float(i % 2) for i in range(60)}
    won_b = {f"task-{i:04d}": 1.0 for i in range(60)}
    f = _one(
        "cost_usd_per_success",
        _sample("a", cost_a, denominators=won_a),
        _sample("b", cost_b, denominators=won_b),
    )
    expected = (np.sum(cost_a) / 30) / (np.sum(cost_b) / 60)
    assert f.ratio == pytest.approx(expected)
    assert f.ratio_low is not None
    assert f.ratio_low < expected < (f.ratio_high or 0)
    assert f.verdict == "worse"


def test_cost_per_success_without_any_success_has_no_ratio() -> None:
    none = {f"task-{i:04d}": 0.0 for i in range(20)}
    f = _one(
        "cost_usd_per_success",
        _sample("a", _skewed(20), denominators=none),
        _sample("b", _skewed(20), denominators=dict.fromkeys(none, 1.0)),
    )
    assert f.verdict == "not enough data"
    assert f.why == "a has no successful task"


def test_repeats_are_averaged_a_task_and_success_then_needs_no_mcnemar() -> None:
    a = _sample("a", [0.5, 1.0, 0.75, 1.0] * 10)
    b = _sample("b", [0.25, 0.5, 0.5, 0.75] * 10)
    f = _one("task_success", a, b)
    assert f.test is not None
    assert "McNemar" not in f.test
    assert f.ratio_low is None
    assert f.difference == pytest.approx(0.3125)
    assert f.verdict == "better"


def test_tasks_pair_only_when_the_sides_did_the_same_ones() -> None:
    a = Sample("a", {str(i): 1.0 for i in range(100)}, "task", pairable=True)
    most = Sample("b", {str(i): 1.0 for i in range(5, 105)}, "task", pairable=True)
    few = Sample("b", {str(i): 1.0 for i in range(90, 190)}, "task", pairable=True)
    assert align(a, most).paired
    assert align(a, most).left_out_a == 5
    assert not align(a, few).paired
    assert align(a, few, pairing="always").paired
    assert len(align(a, few, pairing="always").a) == 10
    assert not align(a, most, pairing="never").paired


def test_agents_never_pair_even_when_their_names_agree() -> None:
    a = Sample("a", {"agent-1": 1.0}, "agent")
    assert not align(a, Sample("b", {"agent-1": 2.0}, "agent"), pairing="always").paired


def test_ranks_agree_with_scipy_where_values_tie() -> None:
    a, b = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0], [2.0, 2.0, 1.0, 1.0, 4.0, 9.0, 5.0, 5.0, 1.0, 1.0]
    pairs, apart = (align(_sample("a", a), _sample("b", b), pairing=how) for how in ("always", "never"))
    difference = np.array([x - y for x, y in zip(a, b, strict=True) if x != y])
    ranks = stats.rankdata(np.abs(difference))
    assert effect(pairs)[0] == pytest.approx((np.sign(difference) * ranks).sum() / ranks.sum())
    assert effect(apart)[0] == pytest.approx(2 * stats.mannwhitneyu(a, b).statistic / 100 - 1)


def test_wilson_agrees_with_scipy_and_stays_inside_zero_and_one() -> None:
    for k, n in ((0, 10), (10, 10), (391, 500), (1, 3)):
        reference = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert wilson(k, n) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert wilson(0, 0) is None


def test_newcombes_intervals_agree_with_his_published_examples() -> None:
    # Newcombe, Statistics in Medicine 17 (1998): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    a, b = np.array([1.0] * 56 + [0.0] * 14), np.array([1.0] * 48 + [0.0] * 32)
    result = unpaired_test(a, b)
    assert (result.low, result.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    # Newcombe, Statistics in Medicine 17 (1998) 2635: 36, 12, 2, 0 of 50 paired, method 10: 0.0569 to 0.3404.
    a = np.array([1.0] * 36 + [1.0] * 12 + [0.0] * 2)
    b = np.array([1.0] * 36 + [0.0] * 12 + [1.0] * 2)
    result = paired_test(a, b)
    assert (result.low, result.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert (result.only_a, result.only_b) == (12, 2)


def test_unpaired_success_uses_fishers_exact_test() -> None:
    a, b = [1.0] * 18 + [0.0] * 2, [1.0] * 9 + [0.0] * 13
    f = _one("task_success", _sample("a", a, pairable=False), _sample("b", b, pairable=False))
    assert f.p_value == pytest.approx(stats.fisher_exact([[18, 2], [9, 13]]).pvalue)
    assert f.test == "Fisher exact"
    assert f.verdict == "better"


def test_holm_agrees_with_the_textbook_and_skips_what_was_not_tested() -> None:
    adjusted = holm([0.01, None, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, None, 0.06, 0.06, 0.02])


def test_a_finding_that_correction_takes_away_is_called_no_difference_and_says_so() -> None:
    a, b = _skewed(60, factor=1.5, seed=1), _skewed(60, seed=2)
    one, _ = compare(MEASURES["task_duration"], _sample("a", a), _sample("b", b))
    assert one.p_value is not None
    assert 0.001 < one.p_value < 0.05
    (alone,), _ = conclude([one])
    noise = [
        compare(
            MEASURES["task_duration"],
            _sample("a", _skewed(60, seed=10 + i)),
            _sample("b", _skewed(60, seed=50 + i)),
        )[0]
        for i in range(60)
    ]
    among = conclude([one, *noise])[0][0]
    assert alone.verdict == "worse"
    assert among.verdict == "no difference shown"
    assert "not after correction" in among.why
    assert among.tests_corrected == 61


def test_no_difference_says_how_many_more_tasks_would_be_needed() -> None:
    f = _one("task_duration", _sample("a", _skewed(30, seed=1)), _sample("b", _skewed(30, seed=2)))
    assert f.verdict == "no difference shown"
    assert f.units_needed is not None
    assert f.units_needed > 30
    assert f"about {f.units_needed - 30} more tasks are needed" in f.why


def test_the_poisson_bytes_have_mean_and_variance_one() -> None:
    table = poisson_table()
    assert len(table) == 256
    assert table.sum() == 256
    assert ((table - 1) ** 2).sum() == 256


def test_resamples_are_what_they_claim_and_the_same_each_time() -> None:
    draws = 4_000
    weights, swaps = (make(3, BLOCK_UNITS, draws, 7, np.float64) for make in (bootstrap_block, swap_block))
    assert weights.shape == swaps.shape == (BLOCK_UNITS, draws)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert swaps.mean() == pytest.approx(0.5, abs=0.01)
    assert (weights == bootstrap_block(3, BLOCK_UNITS, draws, 7, np.float32)).all()
    assert not (weights == bootstrap_block(4, BLOCK_UNITS, draws, 7, np.float64)).all()


@pytest.mark.parametrize("n", [7, 300, 5_000])
def test_labels_are_shuffles_and_the_same_each_time(n: int) -> None:
    draws = 400
    labels, again = (np.concatenate(list(label_chunks(n, 2 * n, draws=draws))) for _ in range(2))
    assert labels.shape == (draws, 3 * n)
    assert labels.mean() == pytest.approx(1 / 3, abs=0.01)
    assert labels.mean(axis=0) == pytest.approx(np.full(3 * n, 1 / 3), abs=0.15)  # six standard errors
    if 3 * n <= 2_000:
        assert (labels.sum(axis=1) == n).all()
    assert (labels == again).all()


@pytest.mark.parametrize("n", [5, 256, 300, 700])
def test_a_designs_sums_do_not_depend_on_the_designs_beside_it(n: int) -> None:
    rng = np.random.default_rng(1)
    own, others = rng.normal(size=(n, 3)), [rng.normal(size=(m, 4)) for m in (900, 20, 256)]

    def sums(*designs: np.ndarray) -> np.ndarray:
        return weighted_sums(bootstrap_block, designs, draws=500, seed=7, precision=np.float64)[0]

    weights = np.concatenate([bootstrap_block(i, BLOCK_UNITS, 500, 7, np.float64) for i in range(3)])[:n]
    assert sums(own) == pytest.approx(own.T @ weights)
    assert (sums(own) == sums(own, *others)).all()
