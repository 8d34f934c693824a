"""The full scorer once its views judge: windows of five minutes, more than a day of them."""

from __future__ import annotations

import gc
import hashlib
import math
import random
import time
import tracemalloc

import msgspec
import numpy as np
import pytest
from numpy.random import Generator

from models.anomaly import Verdict, WindowPoint, new_scorer, restore_scorer
from models.anomaly.full_tuning import FULL_VERSION
from models.anomaly.river_full import RiverFullScorer, bent

FIVE_MINUTES_MS = 300_000
DAY = 288  # windows
MEMORY_BYTES_MAX = 8_192
SERIES = 30
STEP_US_MAX = 60.0  # several times what a quiet machine needs: a busy one must not fail


def point(index: int, mean: float) -> WindowPoint:
    return WindowPoint(
        1_700_000_000_000 + index * FIVE_MINUTES_MS, FIVE_MINUTES_MS, 1, 1.0, mean, mean, mean, 0.0, mean
    )


def feed(scorer: RiverFullScorer, means: list[float], *, start: int = 0) -> list[Verdict]:
    return [scorer.step(point(start + index, mean)) for index, mean in enumerate(means)]


def daily(windows: int, seed: int = 1) -> list[float]:
    """A day's rhythm with noise."""
    source = random.Random(seed)
    return [100.0 + 40.0 * math.sin(2 * math.pi * i / DAY) + source.gauss(0.0, 3.0) for i in range(windows)]


@pytest.fixture
def scorer() -> RiverFullScorer:
    return RiverFullScorer(score_min=0.999)


def rarity(verdict: Verdict) -> float:
    assert verdict.score is not None
    return -math.log10(1.0 - verdict.score)


def test_a_value_usual_by_day_is_odd_by_night(scorer: RiverFullScorer) -> None:
    feed(scorer, daily(10 * DAY))
    night = 10 * DAY + 3 * DAY // 4  # the rhythm's lowest point, about 60
    feed(scorer, daily(night - 10 * DAY, seed=2), start=10 * DAY)
    verdict = scorer.step(point(night, 135.0))
    assert verdict.alarm
    assert verdict.direction == "above"
    assert verdict.expected_high < 135.0
    assert "135" in verdict.reason


def test_a_state_round_trip_at_any_window_changes_nothing(scorer: RiverFullScorer) -> None:
    restored = RiverFullScorer(score_min=0.999)
    source = random.Random(5)
    index = 0
    for number, mean in enumerate(daily(1_200)):
        index += 1 if source.random() < 0.99 else source.randrange(2, 400)
        if number % 7 == 0:
            packed = msgspec.msgpack.encode(restored.state())
            again = restore_scorer(msgspec.msgpack.decode(packed))
            assert isinstance(again, RiverFullScorer)
            restored = again
        assert restored.step(point(index, mean)) == scorer.step(point(index, mean))
    assert restored.state() == scorer.state()


def test_of_two_extreme_windows_the_odder_one_scores_higher() -> None:
    rarities = []
    for factor in (2.0, 5.0, 20.0, 100.0, 1e4, 1e8):
        fresh = RiverFullScorer(score_min=0.999)
        feed(fresh, daily(5 * DAY))
        verdict = fresh.step(point(5 * DAY, 100.0 * factor))
        assert verdict.score is not None
        rarities.append(verdict.score)
    assert rarities == sorted(set(rarities))
    assert rarities[-1] < 1.0


def test_the_bend_keeps_order_and_small_rarities() -> None:
    at = [bent(x) for x in (0.0, 3.0, 6.0, 6.1, 10.0, 30.0, 100.0, 1e4)]
    assert at[:3] == [0.0, 3.0, 6.0]
    assert at == sorted(set(at))
    assert at[-1] < 12.0


def test_a_series_that_stops_for_121_hours_raises_no_alarm_when_it_goes_on(scorer: RiverFullScorer) -> None:
    source = random.Random(4)
    quiet = [source.gauss(100.0, 3.0) for _ in range(4 * DAY)]
    feed(scorer, quiet)
    after = feed(scorer, quiet[::-1], start=4 * DAY + 121 * 12)
    assert not any(verdict.alarm for verdict in after)


def test_a_constant_series_never_alarms_and_its_first_jump_does_once(scorer: RiverFullScorer) -> None:
    assert not any(v.alarm for v in feed(scorer, [99.3] * 3 * DAY))
    jumped = feed(scorer, [150.0] * DAY, start=3 * DAY)
    assert [i for i, v in enumerate(jumped) if v.alarm] == [0]


def test_a_young_series_gets_the_verdicts_of_the_lean_scorer(scorer: RiverFullScorer) -> None:
    lean = new_scorer("m", mode="lean")
    means = daily(200)
    assert feed(scorer, means) == [lean.step(point(i, mean)) for i, mean in enumerate(means)]


@pytest.mark.parametrize(
    "kind", [Generator.standard_normal, Generator.standard_exponential, lambda s: s.poisson(5.0), Generator.random]
)
def test_a_grown_quiet_series_rarely_scores_above_the_threshold(kind: object) -> None:
    assert callable(kind)
    above, windows = 0, 0
    for seed in range(6):
        source = np.random.default_rng(seed)
        verdicts = feed(RiverFullScorer(score_min=0.999), [float(kind(source)) for _ in range(3_000)])[500:]
        above += sum(v.score is not None and v.score >= 0.999 for v in verdicts)
        windows += len(verdicts)
    print(f"{1000 * above / windows:.2f} of 1,000 grown windows above 0.999")
    assert above <= 0.001 * windows + 3.0 * math.sqrt(0.001 * windows)


def test_one_series_stays_within_its_budgets(scorer: RiverFullScorer) -> None:
    points = [point(i, mean) for i, mean in enumerate(daily(6_000))]
    began = time.process_time()
    for each in points:
        scorer.step(each)
    step_us = (time.process_time() - began) / len(points) * 1e6
    packed = len(msgspec.msgpack.encode(scorer.state()))
    print(f"{step_us:.1f} us a window, {packed} bytes packed")
    assert packed <= 8_192
    assert step_us <= STEP_US_MAX


def test_a_grown_series_holds_less_than_8_kb() -> None:
    points = [point(i, mean) for i, mean in enumerate(daily(450))]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        scorers = [RiverFullScorer(score_min=0.999) for _ in range(SERIES)]
        for each in scorers:
            for window in points:
                each.step(window)
        gc.collect()  # gives back the freed tuples that the interpreter keeps: they belong to no series
        held = (tracemalloc.get_traced_memory()[0] - before) / SERIES
    finally:
        tracemalloc.stop()
    print(f"{held:.0f} bytes in memory")
    assert "river_tail" not in scorers[0].state()
    assert held <= MEMORY_BYTES_MAX


def test_a_series_of_short_windows_has_no_views_in_its_first_hour_and_gives_up_the_tail_when_they_are_grown() -> None:
    full, lean = RiverFullScorer(score_min=0.999), new_scorer("value", mode="lean", score_min=0.999)
    means = daily(3 * 8_640)
    windows = [point(0, mean)._replace(window_start_ms=10_000 * i, window_ms=10_000) for i, mean in enumerate(means)]
    for window in windows[:360]:
        assert full.step(window) == lean.step(window)
    assert len(full.state()) < len(lean.state()) + 12
    for window in windows[360:]:
        full.step(window)
    assert "river_tail" not in full.state()


def test_the_verdicts_of_awkward_series_are_what_they_were() -> None:
    """A change for speed or memory changes no digit here; a change of results means another FULL_VERSION."""
    digest = hashlib.sha256()
    for seed in range(4):
        source = random.Random(seed)
        scorer = RiverFullScorer(score_min=0.999)
        at_ms = 1_700_000_000_000
        for _ in range(2_500):
            at_ms += source.choice([60_000, 300_000, 300_000, 5_000_000 if source.random() < 0.01 else 300_000])
            events = source.randrange(1, 9)
            calm = source.lognormvariate(0.0, 1.0)
            mean = source.choice([0.0, 1.0, source.gauss(0.0, 1e3)]) if seed % 2 and source.random() < 0.5 else calm
            verdict = scorer.step(WindowPoint(at_ms, 60_000, events, float(events), mean, mean, mean, 0.1, mean))
            said = (verdict.score or 0.0, verdict.expected_low, verdict.expected_high)
            digest.update(f"{said[0]:.9f} {said[1]:.6e} {said[2]:.6e} {verdict.alarm}".encode())
    assert (FULL_VERSION, digest.hexdigest()[:16]) == (2, "97ec4a4dbd1da6c6")
