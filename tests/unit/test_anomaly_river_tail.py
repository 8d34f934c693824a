"""What the River scorer does beyond the contract: log space, zeros, new levels, size, speed."""

from __future__ import annotations

import math
import random
import sys
import time

import msgspec
import pytest

from models.anomaly import Verdict, WindowPoint, new_scorer
from models.anomaly.river_tail import RiverTailScorer
from models.anomaly.tuning import REBASELINE_WINDOWS

MEMORY_BYTES_MAX = 1_024  # of one series' scorer
STEP_US_MAX = 60.0  # a guard against a slip of an order, on a machine shared with others; the goal is 15


def point(index: int, mean: float, *, events: int = 8, stddev: float = 0.0) -> WindowPoint:
    return WindowPoint(1_700_000_000_000 + index * 10_000, 10_000, events, events, mean, mean, mean, stddev, mean)


def feed(scorer: RiverTailScorer, means: list[float], *, start: int = 0) -> list[Verdict]:
    return [scorer.step(point(start + index, mean)) for index, mean in enumerate(means)]


def alarms(verdicts: list[Verdict]) -> list[int]:
    return [index for index, verdict in enumerate(verdicts) if verdict.alarm]


def lognormal(count: int, *, median: float = 100.0, sigma: float = 0.3, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [source.lognormvariate(math.log(median), sigma) for _ in range(count)]


@pytest.fixture
def scorer() -> RiverTailScorer:
    return RiverTailScorer(score_min=0.999)


def test_a_positive_series_is_judged_in_ratios_so_its_unit_does_not_matter() -> None:
    in_ms, in_s = RiverTailScorer(score_min=0.999), RiverTailScorer(score_min=0.999)
    means = [*lognormal(300), 900.0]
    for left, right in zip(feed(in_ms, means), feed(in_s, [mean / 1e3 for mean in means]), strict=True):
        assert left.alarm == right.alarm
        assert left.score == (None if right.score is None else pytest.approx(right.score, abs=1e-9))


def test_the_expected_range_holds_nearly_all_quiet_windows(scorer: RiverTailScorer) -> None:
    means = lognormal(3_000)
    verdicts = feed(scorer, means)
    outside = sum(
        not verdict.expected_low <= mean <= verdict.expected_high
        for mean, verdict in zip(means[200:], verdicts[200:], strict=True)
    )
    assert outside <= 8  # 0.1 % of 2,800 is 2.8; up to three standard errors more


def test_a_lasting_new_level_is_the_level_after_the_stated_windows(scorer: RiverTailScorer) -> None:
    verdicts = feed(scorer, lognormal(100) + lognormal(100, median=1_000.0, seed=2))
    last = 100 + REBASELINE_WINDOWS
    assert verdicts[last - 1].expected_high < 1_000.0
    assert verdicts[last + 1].expected_low < 1_000.0 < verdicts[last + 1].expected_high
    assert all(verdict.score is not None and verdict.score < 0.999 for verdict in verdicts[last + 1 :])


def test_a_first_error_among_zeros_is_no_alarm_but_a_row_of_them_is(scorer: RiverTailScorer) -> None:
    assert not alarms(feed(scorer, [0.0] * 30 + [1.0] + [0.0] * 30))
    assert alarms(feed(RiverTailScorer(score_min=0.999), [0.0] * 30 + [1.0] * 5)) == [32]


def test_half_the_events_failing_counts_more_the_more_events_there_are() -> None:
    def score(events: int) -> float:
        fresh = RiverTailScorer(score_min=0.999)
        for index in range(20):
            fresh.step(point(index, 0.0, events=events))
        fresh.step(point(20, 0.5, events=events, stddev=0.5))
        found = fresh.step(point(21, 0.5, events=events, stddev=0.5)).score
        assert found is not None
        return found

    assert score(2) < score(20)
    assert score(20) >= 0.999


def test_a_slow_drift_of_a_correlated_series_is_no_alarm(scorer: RiverTailScorer) -> None:
    source = random.Random(5)
    means, level = [], 100.0
    for _ in range(1_000):
        level *= math.exp(source.gauss(0.0005, 0.01))
        means.append(level)
    assert len(alarms(feed(scorer, means))) <= 1


def test_a_series_that_turns_negative_is_judged_in_plain_values(scorer: RiverTailScorer) -> None:
    source = random.Random(6)
    positive = [source.gauss(10.0, 1.0) for _ in range(100)]
    signed = [source.gauss(0.0, 5.0) for _ in range(300)]
    feed(scorer, positive + signed)
    quiet = scorer.step(point(400, 3.0))
    loud = scorer.step(point(401, 80.0))
    assert quiet.score is not None
    assert quiet.score < 0.9
    assert loud.alarm
    assert loud.expected_low < 0.0 < loud.expected_high


def test_one_series_stays_within_its_budget_of_memory(scorer: RiverTailScorer) -> None:
    feed(scorer, lognormal(500))
    held = sys.getsizeof(scorer) + sys.getsizeof(scorer._state) + sys.getsizeof(scorer._score_min)
    packed = len(msgspec.msgpack.encode(scorer.state()))
    print(f"one series: {held} bytes in memory, {packed} bytes packed")
    assert not hasattr(scorer, "__dict__")
    assert held <= MEMORY_BYTES_MAX
    assert packed <= 700


def test_a_window_costs_microseconds() -> None:
    points = [point(index, mean) for index, mean in enumerate(lognormal(2_000))]
    best = math.inf
    for _ in range(3):
        fresh = new_scorer("task_duration", mode="lean")
        began = time.process_time()
        for each in points:
            fresh.step(each)
        best = min(best, (time.process_time() - began) / len(points) * 1e6)
    print(f"{best:.1f} us a window")
    assert best <= STEP_US_MAX
