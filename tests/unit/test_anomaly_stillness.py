"""A series that stops moving: told soon where values never repeat, never where they rest by nature."""

from __future__ import annotations

import random
from array import array

import pytest

from models.anomaly import Verdict, WindowPoint, new_scorer, stillness
from models.anomaly.view_fields import SIZE

FIVE_MINUTES_MS = 300_000
DAY = 288  # windows


def fed(means: list[float]) -> list[Verdict]:
    scorer = new_scorer("value")
    return [
        scorer.step(
            WindowPoint(1_700_000_000_000 + i * FIVE_MINUTES_MS, FIVE_MINUTES_MS, 1, 1.0, mean, mean, mean, 0.0, mean)
        )
        for i, mean in enumerate(means)
    ]


def alarms(means: list[float], *, begin: int) -> list[int]:
    return [i for i, verdict in enumerate(fed(means)) if verdict.alarm and i >= begin]


def rarities(values: list[float]) -> list[float]:
    state = array("d", bytes(8 * SIZE))
    stillness.begin(state)
    return [stillness.step(state, value) for value in values]


def noise(windows: int, seed: int) -> list[float]:
    source = random.Random(seed)
    return [50.0 + source.gauss(0.0, 4.0) for _ in range(windows)]


@pytest.mark.parametrize("seed", range(5))
def test_a_gauge_that_repeats_its_usual_value_for_hours_is_told_once_in_words(seed: int) -> None:
    means = noise(4 * DAY, seed)
    verdicts = fed([*means, *[50.0] * 80])
    told = [verdict for verdict in verdicts[4 * DAY :] if verdict.alarm]
    assert len(told) == 1
    assert "stays exactly the same" in told[0].reason
    assert any(verdict.alarm for verdict in verdicts[4 * DAY : 4 * DAY + 60])


def test_a_series_that_never_moves_has_no_run_to_speak_of() -> None:
    assert set(rarities([7.0] * 5_000)) == {0.0}


def test_a_count_that_is_mostly_zero_may_be_zero_for_as_long_as_it_was_before() -> None:
    source = random.Random(3)
    means = [float(source.random() < 0.2) * source.randrange(1, 4) for _ in range(10 * DAY)]
    assert max(rarities(means)[DAY:]) < 4.55  # what one view alone needs for an alarm


def test_idle_hours_of_an_agent_are_no_news() -> None:
    source = random.Random(4)
    means: list[float] = []
    while len(means) < 10 * DAY:
        means += [source.gammavariate(2.0, 4_000.0) for _ in range(source.randrange(1, 25))]
        means += [0.0] * source.randrange(1, 50)
    assert alarms(means, begin=2 * DAY) == alarms([mean + 1e-3 * i % 7 for i, mean in enumerate(means)], begin=2 * DAY)


def test_a_longer_run_is_rarer_until_it_is_how_the_series_is() -> None:
    found = rarities([*noise(1_000, 1), *[50.0] * 200])[1_000:]
    assert found[:2] == [0.0, 0.0]
    assert found[3:79] == sorted(found[3:79])
    assert len(set(found[3:79])) == 76
    assert set(found[80:]) == {0.0}


def test_a_run_is_measured_against_those_before_it_and_teaches_when_it_is_over() -> None:
    before = noise(500, 2)
    once = rarities([*before, *[50.0] * 20, *before, *[50.0] * 20])
    assert max(once[500:520]) > 3.0
    assert max(once[1_020:]) == 0.0  # as long as the first, no longer
