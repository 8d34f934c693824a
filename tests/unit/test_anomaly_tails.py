"""Tail probabilities against scipy, River's statistics against their public API, the alarm against its rules."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import stats as river_stats
from scipy import stats

from models.anomaly import alarm, tails
from models.anomaly.fields import SINCE, SIZE
from models.anomaly.port import severity_of
from models.anomaly.statistics import fading_update
from models.anomaly.tuning import REARM_WINDOWS


@pytest.mark.parametrize("dof", [11.0, 20.0, 50.0, 199.0])
@pytest.mark.parametrize("t", [0.5, 1.0, 2.0, 3.3, 5.0, 7.0])
def test_students_tail_agrees_with_scipy(t: float, dof: float) -> None:
    exact = float(stats.t.sf(t, dof))
    assert tails.student_tail(t, dof) == pytest.approx(exact, rel=0.06)


@given(st.floats(0.01, 5.0), st.floats(11.0, 1_000.0))
def test_students_quantile_inverts_its_tail(z: float, dof: float) -> None:
    t = tails.student_quantile(z, dof)
    assert tails.student_tail(t, dof) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2.0)), rel=1e-6)


@given(
    st.floats(0.0, 0.0005),
    st.floats(0.0, 500.0),
    st.floats(1.0, 5_000.0),
    st.floats(0.01, 10.0),
    st.floats(0.0, 100.0),
)
def test_the_peaks_quantile_inverts_the_peaks_tail(
    probability: float, peaks: float, seen: float, mean: float, variance: float
) -> None:
    probability = max(probability, 1e-9)
    excess = tails.peaks_quantile(probability, peaks, peaks + seen, mean, variance)
    if excess > 0.0:
        again = tails.peaks_tail(excess, peaks, peaks + seen, mean, variance)
        assert again == pytest.approx(probability, rel=1e-6)


def test_a_tail_falls_with_the_excess_and_never_reaches_zero() -> None:
    values = [tails.peaks_tail(excess, 50.0, 1_000.0, 0.5, 0.3) for excess in (0.0, 1.0, 5.0, 50.0, 1e3, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= tails.PROBABILITY_MIN > 0.0
    assert values[0] == pytest.approx(51.0 / 1_002.0)


def test_few_peaks_make_a_heavier_tail() -> None:
    few = tails.peaks_tail(5.0, 5.0, 100.0, 0.5, 0.25)
    many = tails.peaks_tail(5.0, 500.0, 10_000.0, 0.5, 0.25)
    assert few > 5.0 * many


@pytest.mark.parametrize(("hits", "trials", "hits_before", "trials_before"), [(5, 10, 0, 200), (9, 30, 20, 400)])
def test_a_rate_change_is_about_as_rare_as_fishers_exact_test_says(
    hits: int, trials: int, hits_before: int, trials_before: int
) -> None:
    ours = 2.0 * tails.rate_change_tail(hits, trials, hits_before, trials_before, 1.0)
    exact = stats.fisher_exact([[hits, trials - hits], [hits_before, trials_before - hits_before]]).pvalue
    assert exact / 30.0 <= ours <= exact * 30.0


@given(st.floats(0.0, 1.0), st.floats(1.0, 1e6), st.floats(0.0, 1.0), st.floats(1.0, 1e6), st.floats(1.0, 50.0))
def test_a_rate_change_is_a_probability_for_every_rate(
    share: float, trials: float, share_before: float, trials_before: float, surplus: float
) -> None:
    tail = tails.rate_change_tail(share * trials, trials, share_before * trials_before, trials_before, surplus)
    assert 0.0 < tail <= 0.5


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.01, 1.0)), min_size=1, max_size=60))
def test_fading_update_without_fading_is_rivers_weighted_variance(pairs: list[tuple[float, float]]) -> None:
    state, river = (0.0, 0.0, 0.0), river_stats.Var(ddof=0)
    for value, weight in pairs:
        state = fading_update(*state, value, weight, 1e9)
        river.update(value, weight)
    assert state[0] == pytest.approx(river.mean.n, rel=1e-9)
    assert state[1] == pytest.approx(river.mean.get(), rel=1e-9, abs=1e-9)
    assert state[2] == pytest.approx(river.get(), rel=1e-6, abs=1e-3)


def test_fading_update_forgets_an_old_level() -> None:
    state = (0.0, 0.0, 0.0)
    for value in [0.0] * 500 + [10.0] * 150:
        state = fading_update(*state, value, 1.0, 50.0)
    assert state[0] == pytest.approx(50.0)
    assert state[1] > 9.0


def _alarms(probabilities: list[float], score_min: float = 0.999) -> list[int]:
    state = array("d", bytes(8 * SIZE))
    state[SINCE] = -1.0
    return [
        index
        for index, probability in enumerate(probabilities)
        if alarm.step(state, probability, 1.0 - probability, score_min=score_min)
    ]


def test_an_event_fires_once_and_re_arms_after_quiet_windows() -> None:
    hot, quiet = 1e-6, 0.5
    assert _alarms([hot] * 50) == [0]
    assert _alarms([hot] + [quiet] * (REARM_WINDOWS - 1) + [hot] * 5) == [0]
    assert _alarms([hot] + [quiet] * REARM_WINDOWS + [hot] * 5) == [0, REARM_WINDOWS + 1]


def test_after_an_alarm_the_bar_is_higher_for_a_while() -> None:
    barely, quiet = 9e-4, 0.5
    assert _alarms([barely] + [quiet] * 12 + [barely]) == [0]
    assert _alarms([barely] + [quiet] * 400 + [barely]) == [0, 401]


def test_severity_rises_with_every_nine() -> None:
    scores = [0.999, 0.99995, 0.999995, 0.9999999]
    assert [severity_of(score) for score in scores] == ["low", "medium", "high", "critical"]
