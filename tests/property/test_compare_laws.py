"""Laws that every comparison keeps, whatever the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.compare.align import Sample
from reports.compare.correction import holm
from reports.compare.measures import measure_of
from reports.compare.ratio import Sides, compare_means
from reports.compare.statistics import compare
from reports.compare.success import paired_test, unpaired_test, wilson
from reports.compare.verdict import LEVEL, conclude

positive = st.floats(min_value=1e-3, max_value=1e6, allow_nan=False)
lists = st.lists(positive, min_size=12, max_size=40)
DRAWS = 300


@given(st.lists(st.one_of(st.none(), st.floats(min_value=0, max_value=1)), max_size=30))
def test_holm_never_lowers_a_p_value_keeps_the_order_and_the_gaps(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    pairs = [(p, q) for p, q in zip(p_values, adjusted, strict=True) if p is not None and q is not None]
    assert [p is None for p in p_values] == [q is None for q in adjusted]
    assert all(p <= q <= 1 for p, q in pairs)
    ordered = [q for _, q in sorted(pairs)]
    assert ordered == sorted(ordered)


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_contains_the_ratio_and_stays_within_bounds(k: int, extra: int) -> None:
    n = k + extra
    interval = wilson(k, n)
    assert interval is not None
    assert 0 <= interval[0] <= k / n <= interval[1] <= 1


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=10, max_size=80))
def test_success_tests_are_symmetric_and_their_intervals_contain_the_difference(
    outcomes: list[tuple[int, int]],
) -> None:
    a, b = (np.array([o[i] for o in outcomes], dtype=float) for i in (0, 1))
    for test in (paired_test, unpaired_test):
        there, back = test(a, b), test(b, a)
        assert there.p_value == pytest.approx(back.p_value)
        assert there.low == pytest.approx(-back.high)
        assert there.low - 1e-12 <= there.difference <= there.high + 1e-12


@settings(max_examples=40)
@given(lists, positive)
def test_the_ratio_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    rng = np.random.default_rng(0)
    a = np.array(values)
    b = a * rng.lognormal(0, 0.3, len(a))
    one = compare_means(Sides(a[:, None], b[:, None], True), scale="log", draws=DRAWS)
    other = compare_means(Sides(factor * a[:, None], factor * b[:, None], True), scale="log", draws=DRAWS)
    assert one.value == pytest.approx(other.value, rel=1e-9)
    if one.low is not None and other.low is not None:
        assert math.log(one.low) == pytest.approx(math.log(other.low), rel=1e-5, abs=1e-6)


@settings(max_examples=60)
@given(lists, lists, st.booleans())
def test_a_verdict_never_contradicts_its_own_interval_or_test(a: list[float], b: list[float], paired: bool) -> None:
    n = min(len(a), len(b)) if paired else None
    sides = [
        Sample(name, {f"t{i}": v for i, v in enumerate(values[:n])}, "task", frozenset({"measured"}), paired)
        for name, values in (("a", a), ("b", b))
    ]
    finding, _ = compare(measure_of("task_duration"), *sides, draws=DRAWS)
    (f,), _ = conclude([finding])
    if f.verdict in {"better", "worse"}:
        assert f.p_adjusted is not None
        assert f.p_adjusted <= LEVEL
        assert f.ratio_low is not None
        assert f.ratio_high is not None
        assert (f.ratio_high < 1) if f.verdict == "better" else (f.ratio_low > 1)
    assert f.why
    if f.ratio is not None and f.ratio_low is not None and f.ratio_high is not None:
        assert f.ratio_low <= f.ratio * (1 + 1e-9)
        assert f.ratio <= f.ratio_high * (1 + 1e-9)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=10, max_size=30))
def test_any_finite_numbers_give_a_finding_and_no_crash(values: list[float]) -> None:
    half = len(values) // 2
    sides = [
        Sample(name, {f"agent-{i}": v for i, v in enumerate(part * 3)}, "agent", frozenset())
        for name, part in (("a", values[:half]), ("b", values[half:]))
    ]
    finding, _ = compare(measure_of("my.metric"), *sides, draws=DRAWS)
    (f,), _ = conclude([finding])
    for number in (f.mean_a, f.ratio_low, f.difference_low, f.p_value):
        assert number is None or math.isfinite(number)
