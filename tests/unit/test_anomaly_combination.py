"""Several series together: the strongest few decide, quiet ones stay within their promise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly.combination import Combination, joint_rarity, rarity_of

RARITIES = st.lists(st.floats(0, 12), min_size=1, max_size=40)


@given(st.floats(0, 11.9))
def test_one_series_alone_keeps_its_own_rarity(rarity: float) -> None:
    assert joint_rarity([rarity]) == pytest.approx(rarity, abs=1e-9)


@given(RARITIES, st.data())
def test_a_rarer_series_never_makes_all_of_them_less_rare(rarities: list[float], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rarities) - 1))
    rarer = [*rarities[:at], rarities[at] + 1.0, *rarities[at + 1 :]]
    assert joint_rarity(rarer) >= joint_rarity(rarities) - 1e-9


@given(RARITIES)
def test_the_order_of_the_series_says_nothing(rarities: list[float]) -> None:
    assert joint_rarity(rarities) == pytest.approx(joint_rarity(rarities[::-1]))


@pytest.mark.parametrize("series", [1, 2, 3, 5, 20, 40])
def test_quiet_independent_series_together_are_rare_no_more_often_than_promised(series: int) -> None:
    chance = random.Random(series)
    rows = 30_000
    odd = sum(joint_rarity([rarity_of(chance.random()) for _ in range(series)]) > 2.0 for _ in range(rows))
    assert odd / rows < 0.0115  # one in a hundred, and two standard errors


def test_a_fault_that_lasts_is_one_alarm_and_the_next_one_another() -> None:
    joint = Combination(score_min=0.999)
    alarms = []
    for i in range(1_000):
        fault = 300 <= i < 308 or i >= 900
        scores = [0.5, 0.9, 1 - 1e-5 if fault else 0.2, 1 - 1e-5 if fault else 0.3]
        if joint.step(60_000 * i, scores).alarm:
            alarms.append(i)
    assert alarms == [300, 900]


def test_a_state_round_trip_changes_nothing() -> None:
    chance = random.Random(2)
    one, other = Combination(score_min=0.999), Combination(score_min=0.999)
    for i in range(500):
        scores = [chance.random() ** 0.01 for _ in range(5)]
        assert one.step(60_000 * i, scores) == other.step(60_000 * i, scores)
        other = Combination.restore(other.state())
