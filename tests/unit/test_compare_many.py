"""Many comparisons at once give what each gives alone, in any order, whatever else is asked."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from reports.compare.align import Sample
from reports.compare.cases import DOUBLE_UNITS_MAX
from reports.compare.measures import measure_of
from reports.compare.ratio import Estimate, Sides, compare_means, estimate_all
from reports.compare.resample import order_of_draws
from reports.compare.statistics import compare, estimated, prepare
from reports.compare.success import paired_test, unpaired_test

DRAWS = 1_000


def _sides(units: dict[str, int], *, columns: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    sides = {name: rng.lognormal(0, 0.8, (n, columns)) for name, n in units.items()}
    if columns == 2:
        for values in sides.values():
            values[:, 1] = rng.random(len(values)) < 0.8
    return sides


def _problem(sides: dict[str, np.ndarray], a: str, b: str, *, paired: bool) -> Sides:
    signs = (1,) if sides[a].shape[1] == 1 else (1, -1)
    return Sides(sides[a], sides[b], paired, signs, (a, b))


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize(
    ("units", "paired"),
    [
        (dict.fromkeys("abcd", 40), True),
        (dict.fromkeys("abcd", 700), True),
        ({"a": 12, "b": 12, "c": 30, "d": 300}, False),
        (dict.fromkeys("abcd", 1_200), False),
    ],
    ids=["paired", "paired, single precision", "unpaired", "unpaired, drawn labels"],
)
@pytest.mark.parametrize("always_draw", [True, False], ids=["drawn", "large ones in closed form"])
def test_an_estimate_is_the_same_alone_and_among_others(
    units: dict[str, int], paired: bool, columns: int, always_draw: bool
) -> None:
    how = {"draws": DRAWS, "always_draw": always_draw}
    sides = _sides(units, columns=columns)
    pairs = list(combinations(units, 2))
    together = estimate_all([(_problem(sides, a, b, paired=paired), "log") for a, b in pairs], **how)
    backwards = estimate_all([(_problem(sides, a, b, paired=paired), "log") for a, b in pairs[::-1]], **how)
    alone = [compare_means(_problem(sides, a, b, paired=paired), scale="log", **how) for a, b in pairs]
    if sorted(units.values())[-2] <= DOUBLE_UNITS_MAX:
        assert together == alone == backwards[::-1]
    # Single precision: processors add up what is left over from their steps in an order of its own.
    for one, among, turned in zip(alone, together, backwards[::-1], strict=True):
        assert _digits(among) == pytest.approx(_digits(one), rel=1e-6)
        assert _digits(turned) == pytest.approx(_digits(one), rel=1e-6)


def _digits(found: object) -> list[float]:
    assert isinstance(found, Estimate)
    return [found.value, found.low or 0.0, found.high or 0.0, found.p_value or 0.0, found.standard_error or 0.0]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("units", [50, 900])
def test_the_order_of_two_sides_turns_the_result_round_and_changes_nothing_else(
    paired: bool, columns: int, units: int
) -> None:
    sides = _sides({"a": units, "b": units}, columns=columns)
    there, back = (
        compare_means(_problem(sides, *names, paired=paired), scale="log", draws=DRAWS) for names in ("ab", "ba")
    )
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert there.low == pytest.approx(1 / (back.high or 0), rel=1e-9)
    assert there.high == pytest.approx(1 / (back.low or 0), rel=1e-9)


def test_a_finding_is_the_same_alone_and_in_a_report() -> None:
    rng = np.random.default_rng(2)
    sides = [
        Sample(name, {f"t{i}": float(x) for i, x in enumerate(rng.lognormal(size=30))}, "task", frozenset(), True)
        for name in "abc"
    ]
    measure = measure_of("task_duration")
    pairs = list(combinations(sides, 2))
    together = estimated([prepare(measure, a, b) for a, b in pairs], draws=DRAWS)
    assert together == [compare(measure, a, b, draws=DRAWS)[0] for a, b in pairs]


def test_two_unpaired_sides_of_one_size_are_resampled_independently() -> None:
    orders = [order_of_draws(name, draws=10_000, seed=1) for name in ("swarm-a", "swarm-b")]
    assert (orders[0] == orders[1]).sum() < 10  # one is expected by chance
    values = np.random.default_rng(3).lognormal(size=(200, 1))
    same = compare_means(Sides(values, values.copy(), False), scale="log", draws=4_000)
    # Drawn alike the two sides would always be equal, and the interval a point.
    assert same.low is not None
    assert np.log(same.low) == pytest.approx(-1.96 * (same.standard_error or 0), rel=0.1)


def test_unpaired_sides_of_one_name_are_refused() -> None:
    values = np.arange(1.0, 20.0)[:, None]
    with pytest.raises(ValueError, match="both sides are called 'a'"):
        compare_means(Sides(values, values + 1, False, names=("a", "a")), scale="log", draws=DRAWS)


@pytest.mark.parametrize("always_draw", [True, False])
def test_pairs_that_differ_by_a_trifle_keep_their_digits(always_draw: bool) -> None:
    # 1,000 tasks alike but for a few units in the sixth digit: single precision would see rounding only.
    rng = np.random.default_rng(4)
    a = rng.lognormal(10, 1, (1_000, 1))
    b = a + rng.normal(0.2, 1.0, a.shape)
    e = compare_means(Sides(a, b, True), scale="linear", draws=4_000, always_draw=always_draw)
    reference = stats.ttest_rel(a[:, 0], b[:, 0]).confidence_interval()
    assert isinstance(e, Estimate)
    assert e.low == pytest.approx(reference.low, abs=0.1 * (e.standard_error or 0))
    assert e.high == pytest.approx(reference.high, abs=0.1 * (e.standard_error or 0))


@pytest.mark.parametrize(
    ("k_a", "n_a", "k_b", "n_b"), [(9, 20, 18, 25), (0, 12, 3, 12), (12, 12, 12, 12), (40, 90, 41, 95)]
)
def test_exact_tests_agree_with_scipys(k_a: int, n_a: int, k_b: int, n_b: int) -> None:
    a, b = (np.array([1.0] * k + [0.0] * (n - k)) for k, n in ((k_a, n_a), (k_b, n_b)))
    assert unpaired_test(a, b).p_value == pytest.approx(stats.fisher_exact([[k_a, n_a - k_a], [k_b, n_b - k_b]]).pvalue)
    paired = paired_test(a, np.resize(b[::-1], n_a))
    discordant = (paired.only_a or 0) + (paired.only_b or 0)
    expected = stats.binomtest(paired.only_a or 0, discordant, 0.5).pvalue if discordant else 1.0
    assert paired.p_value == pytest.approx(expected)
