"""Scales: values to pixels and back in order, ticks that are round, units that read well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts import scales
from reports.charts.scales import Scale

VALUES = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=30)


@given(VALUES)
def test_every_value_lies_inside_the_frame_and_larger_values_further_right(values: list[float]) -> None:
    scale = scales.fitting(values, 40, 440, unit="s")
    places = [scale.px(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(40 <= place <= 440 for place in places)


@given(VALUES, st.integers(2, 8))
def test_ticks_are_inside_ascending_and_about_as_many_as_asked_for(values: list[float], count: int) -> None:
    scale = scales.fitting(values, 0, 100, unit="s")
    ticks = scale.ticks(count)
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= count + 2
    assert all(scale.low * (1 - 1e-9) <= tick <= scale.high * (1 + 1e-9) for tick in ticks)


def test_an_axis_is_logarithmic_only_where_values_span_ten_times_and_none_is_zero() -> None:
    assert scales.fitting([1, 9], 0, 1, unit="s").kind == "linear"
    assert scales.fitting([1, 10], 0, 1, unit="s").kind == "log"
    assert scales.fitting([0, 10], 0, 1, unit="s").kind == "linear"
    assert scales.title("task duration", scales.fitting([1, 10], 0, 1, unit="s")) == "task duration (s, log scale)"


def test_an_axis_of_values_that_are_never_negative_is_not_negative_either() -> None:
    assert scales.linear([0.1, 90], 0, 1, unit="%").low == 0
    assert scales.linear([-1, 90], 0, 1, unit="%").low < -1


def test_one_single_value_still_has_an_axis_around_it() -> None:
    for value in (0.0, 5.0, -5.0):
        scale = scales.linear([value], 0, 100, unit="s")
        assert scale.low < value < scale.high or value == scale.low == 0
    assert scales.utc([7.0], 0, 100).px(7.0) == 0


@pytest.mark.parametrize(
    ("unit", "largest", "shown"),
    [
        ("ms", 1_900, (1.0, "ms")),
        ("ms", 2_000, (1 / 1000, "s")),
        ("ms", 7_200_000, (1 / 3_600_000, "h")),
        ("ratio", 0.4, (100.0, "%")),
        ("bytes", 5 * 1024**2, (1 / 1024**2, "MiB")),
        ("tokens", 5_000_000, (1.0, "tokens")),
        ("", 3, (1.0, "value")),
    ],
)
def test_a_unit_is_the_one_that_reads_best(unit: str, largest: float, shown: tuple[float, str]) -> None:
    found = scales.shown(unit, largest)
    assert (found.factor, found.unit) == shown


def test_a_distribution_over_many_powers_of_ten_takes_its_unit_from_its_middle() -> None:
    assert scales.shown_of("ms", [8.0] * 9 + [1_200_000.0]).unit == "ms"
    assert scales.shown_of("ms", [30_000.0, 40_000.0, 90_000.0]).unit == "s"


def test_moments_are_written_as_exactly_as_their_span_asks_for() -> None:
    noon = 1_772_366_400_000  # 2026-03-01T12:00:00Z
    spans = (1_000, 60_000, 3_600_000, 3 * 86_400_000, 30 * 86_400_000, 400 * 86_400_000)
    words = ["12:00:00.000", "12:00:00", "12:00", "Mar 1 12:00", "Mar 1", "2026-03-01"]
    assert [scales.clock(noon, span) for span in spans] == words


def test_ticks_of_time_are_those_of_a_clock() -> None:
    noon = 1_772_366_400_000
    ticks = Scale("utc", noon + 61_000, noon + 3_600_000, 0, 1).ticks(4)
    assert [scales.clock(tick, 3_600_000) for tick in ticks] == ["12:15", "12:30", "12:45", "13:00"]


def test_counts_have_whole_ticks() -> None:
    assert Scale("linear", 0, 3.2, 0, 1, scales.COUNT).ticks(5) == [0, 1, 2, 3]


def test_over_midnight_a_time_carries_its_date_where_it_is_a_new_one() -> None:
    midnight = 1_772_409_600_000  # 2026-03-02T00:00:00Z
    scale = scales.utc([midnight - 1_800_000, midnight + 1_800_000], 0, 1)
    assert scale.labels(scale.ticks(4)) == ["Mar 1 23:30", "23:45", "Mar 2 00:00", "00:15", "00:30"]
    within = scales.utc([midnight, midnight + 3_600_000], 0, 1)
    assert within.labels(within.ticks(2)) == ["00:00", "00:30", "01:00"]


def test_over_several_days_every_label_has_its_date_once() -> None:
    noon = 1_772_366_400_000
    scale = scales.utc([noon, noon + 3 * 86_400_000], 0, 1)
    assert scale.labels([noon, noon + 86_400_000]) == ["Mar 1 12:00", "Mar 2 12:00"]
