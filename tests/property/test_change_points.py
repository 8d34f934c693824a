"""Quiet series keep their level; one that was left is told once, with when and how far. `pytest -s` prints tables."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from models.anomaly import WindowPoint
from models.anomaly.change_point import SIZE, Change, fresh, step
from tests.property.test_anomaly_calibration import LONG_WINDOWS, QUIET, SHORT_WINDOWS

T0 = 1_700_000_000_000
RUN_LENGTH_MIN = 10_000  # windows a false change in a quiet series, at least
SHORT_SERIES, LONG_SERIES = 200, 15  # about 54,000 windows of each kind
Floats = NDArray[np.float64]


def _correlated(source: Generator, windows: int) -> Floats:
    """AR(1), 0.7, with standard deviation 1."""
    noise = source.normal(0.0, 1.0, windows + 100)
    for i in range(1, len(noise)):
        noise[i] = 0.7 * noise[i - 1] + 0.714 * noise[i]
    return noise[100:]


def _point(number: int, mean: float) -> WindowPoint:
    return WindowPoint(T0 + number * 10_000, 10_000, 10, 10.0, mean, mean, mean, 0.0, mean)


def _changes(means: Floats) -> list[tuple[int, Change]]:
    state, found = fresh(), []
    for number, mean in enumerate(means.tolist()):
        change = step(state, _point(number, mean), number)
        if change:
            found.append((number, change))
    return found


@pytest.mark.parametrize("kind", [*sorted(QUIET), "AR(1), 0.7, both signs", "error rates", "exponential, wide"])
def test_a_quiet_series_keeps_its_level(kind: str) -> None:
    draw = {
        "AR(1), 0.7, both signs": _correlated,
        "error rates": lambda source, n: source.binomial(10, 0.02, n) / 10.0,
        "exponential, wide": lambda source, n: source.exponential(1.0, n) ** 2,
    }.get(kind) or QUIET[kind]
    sizes = [SHORT_WINDOWS] * SHORT_SERIES + [LONG_WINDOWS] * LONG_SERIES
    changes = sum(len(_changes(draw(np.random.default_rng(seed), size))) for seed, size in enumerate(sizes))
    print(f"{kind:24} {changes} changes in {sum(sizes)} windows")
    assert changes <= sum(sizes) / RUN_LENGTH_MIN


@pytest.mark.parametrize(
    ("noise", "shift", "found_min", "delay_max"),
    [("normal", 1.5, 0.95, 30), ("normal", 2.0, 0.97, 20), ("normal", 3.0, 0.97, 14), ("AR(1), 0.7", 6.0, 0.9, 12)],
)
def test_a_lasting_shift_is_found_with_its_onset(noise: str, shift: float, found_min: float, delay_max: int) -> None:
    """shift: in standard deviations of one window."""
    delays, late_onsets = [], []
    for seed in range(100):
        source = np.random.default_rng(seed)
        means = 100.0 + 20.0 * (_correlated(source, 200) if noise != "normal" else source.normal(0.0, 1.0, 200))
        means[80:] += 20.0 * shift
        found = [(number, change) for number, change in _changes(means) if number >= 80]
        if found:
            delays.append(found[0][0] - 79)
            late_onsets.append((found[0][1].onset_ms - T0) // 10_000 - 80)
            assert found[0][1].direction == "above"
    print(
        f"{noise:10} shift {shift}: {len(delays)} of 100 found after {np.median(delays):.0f} windows (median), "
        f"onset told {np.median(late_onsets):+.0f} windows off, half of them within "
        f"{np.percentile(np.abs(late_onsets), 50):.0f}"
    )
    assert len(delays) >= 100 * found_min
    assert np.median(delays) <= delay_max
    assert abs(np.median(late_onsets)) <= 2


def test_a_change_names_both_levels_and_is_told_once() -> None:
    source = np.random.default_rng(1)
    means = source.normal(100.0, 5.0, 300)
    means[100:] += 60.0
    ((number, change),) = _changes(means)
    assert 105 <= number <= 108
    assert change.direction == "above"
    assert change.before == pytest.approx(100.0, rel=0.03)
    assert change.after == pytest.approx(160.0, rel=0.03)
    assert change.onset_ms == T0 + 100 * 10_000
    assert change.onset_offset == 100
    assert change.windows == number - 99


def test_the_way_back_is_a_change_of_its_own() -> None:
    source = np.random.default_rng(2)
    means = source.normal(100.0, 5.0, 400)
    means[100:200] += 60.0
    assert [change.direction for _, change in _changes(means)] == ["above", "below"]


def test_five_odd_windows_in_a_row_are_no_lasting_change() -> None:
    means = np.random.default_rng(3).normal(100.0, 5.0, 300)
    means[100:105] *= 20.0
    means[200] = 1e9
    assert _changes(means) == []


def test_a_level_that_moved_by_less_than_a_fifth_is_followed_and_not_told() -> None:
    means = np.random.default_rng(4).normal(100.0, 1.0, 300)
    means[100:] *= 1.15
    assert _changes(means) == []
    means[200:] *= 1.5
    ((_, change),) = _changes(means)
    assert change.before == pytest.approx(115.0, rel=0.02)


def test_a_constant_series_that_steps_and_one_that_starts_after_zeros_are_told() -> None:
    for before, after in ((5.0, 50.0), (0.0, 3.0), (-5.0, -50.0), (1.0, 0.0)):
        ((_, change),) = _changes(np.array([before] * 50 + [after] * 50))
        assert change.before == pytest.approx(before, rel=0.01)
        assert change.after == pytest.approx(after)


def test_a_vector_restored_at_any_window_goes_on_the_same() -> None:
    source = np.random.default_rng(5)
    means = np.concatenate([source.lognormal(3.0, 0.3, 90), source.lognormal(4.0, 0.3, 60), -source.random(90)])
    kept, restored = fresh(), fresh()
    for number, mean in enumerate(means.tolist()):
        restored = type(kept)("d", msgspec.msgpack.decode(msgspec.msgpack.encode(restored.tobytes())))
        assert step(kept, _point(number, mean), number) == step(restored, _point(number, mean), number)
        assert kept == restored
    assert len(kept.tobytes()) == 8 * SIZE


def test_no_finite_values_break_it() -> None:
    source = np.random.default_rng(6)
    for extremes in ([1e300, 1.7e308], [1e300, -1.7e308, 0.0, 5.0], [5e-324, 1e-300, 1.0], [0.0, 1e-12]):
        state = fresh()
        for number, mean in enumerate(source.choice(extremes, 300).tolist()):
            step(state, _point(number * int(source.integers(1, 50)) + number * 50, mean), number)
        assert np.isfinite(np.array(state)).all()
