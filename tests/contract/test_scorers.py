"""Every anomaly scorer keeps the same promises.

One suite over all scorers the factory can make; a new scorer is added to SCORERS and must pass unchanged.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly import SCORER_CONFIG_FINGERPRINT, Scorer, Verdict, WindowPoint, new_scorer, restore_scorer
from models.anomaly.port import severity_of

START_MS = 1_700_000_000_000
WINDOW_MS = 10_000
STATE_BYTES_MAX = {
    "river_tail": 700,
    "river_full": 8_192,
    "zscore": 1_200,
    "iqr": 1_200,
}  # budget of one series' scorer in a snapshot
THRESHOLD = 0.999

SCORERS: dict[str, Callable[[], Scorer]] = {
    "river_full": lambda: new_scorer("task_duration"),
    "river_tail": lambda: new_scorer("task_duration", mode="lean"),
    # Sensitivities whose score on normal data is beyond THRESHOLD, as this suite asks of an alarm.
    "zscore": lambda: new_scorer("task_duration", mode="zscore", sensitivity=4.0),
    "iqr": lambda: new_scorer("task_duration", mode="iqr", sensitivity=3.0),
}


@pytest.fixture(params=sorted(SCORERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Scorer]:
    return SCORERS[request.param]


def point(index: int, mean: float, *, events: int = 8, stddev: float = 0.0) -> WindowPoint:
    return WindowPoint(START_MS + index * WINDOW_MS, WINDOW_MS, events, float(events), mean, mean, mean, stddev, mean)


def feed(scorer: Scorer, means: list[float], *, start: int = 0) -> list[Verdict]:
    return [scorer.step(point(start + index, mean)) for index, mean in enumerate(means)]


def assert_sound(verdict: Verdict) -> None:
    if verdict.score is None:
        assert verdict.learning_left >= 0
        assert not verdict.alarm
        return
    assert 0.0 <= verdict.score <= 1.0
    assert verdict.learning_left == 0
    assert verdict.direction in {"above", "below"}
    assert math.isfinite(verdict.expected_low)
    assert math.isfinite(verdict.expected_high)
    assert verdict.expected_low <= verdict.expected_high
    if verdict.alarm:
        assert verdict.score >= THRESHOLD
        assert verdict.severity == severity_of(verdict.score) != ""
        assert verdict.reason
    else:
        assert (verdict.severity, verdict.reason) == ("", "")


SERIES: dict[str, Callable[[random.Random], float]] = {
    "gaussian": lambda r: r.gauss(100.0, 10.0),
    "signed": lambda r: r.gauss(0.0, 1.0),
    "lognormal": lambda r: r.lognormvariate(3.0, 1.0),
    "mostly zero": lambda r: 0.0 if r.random() < 0.9 else r.random(),
    "zero or one": lambda r: float(r.random() < 0.2),
    "constant": lambda r: 42.0,
    "constant zero": lambda r: 0.0,
    "negative": lambda r: -r.lognormvariate(3.0, 1.0),
    "tiny": lambda r: r.choice([1e-300, 5e-324, 3e-300, 0.0]),
    "huge": lambda r: r.choice([1e300, 1.7e308, 1e299]),
    "huge of both signs": lambda r: r.choice([1e300, -1.7e308, 1e-300, 0.0, 5.0]),
}


def series(name: str, windows: int, seed: int = 7) -> list[WindowPoint]:
    """Seeded windows of one kind, with gaps and changing event counts."""
    source = random.Random(seed)
    index, points = 0, []
    for _ in range(windows):
        index += 1 if source.random() < 0.9 else source.randrange(2, 500)
        mean = SERIES[name](source)
        points.append(point(index, mean, events=source.randrange(1, 30), stddev=source.random()))
    return points


@pytest.mark.parametrize("name", sorted(SERIES))
def test_verdicts_are_sound_for_every_kind_of_series(make: Callable[[], Scorer], name: str) -> None:
    scorer = make()
    for each in series(name, 600):
        assert_sound(scorer.step(each))
    assert all(math.isfinite(number) for number in scorer.state() if isinstance(number, float))


@pytest.mark.parametrize("name", sorted(SERIES))
def test_the_same_windows_give_the_same_verdicts(make: Callable[[], Scorer], name: str) -> None:
    first, second = make(), make()
    for each in series(name, 300):
        assert first.step(each) == second.step(each)


@pytest.mark.parametrize("name", sorted(SERIES))
def test_a_state_round_trip_at_every_step_changes_nothing(make: Callable[[], Scorer], name: str) -> None:
    kept, restored = make(), make()
    for each in series(name, 300):
        packed = msgspec.msgpack.encode(restored.state())
        assert len(packed) <= STATE_BYTES_MAX[kept.name]
        restored = restore_scorer(msgspec.msgpack.decode(packed))
        assert restored.step(each) == kept.step(each)
        assert restored.state() == kept.state()


def test_the_state_of_the_lean_scorer_survives_json_too() -> None:
    scorer = SCORERS["river_tail"]()
    feed(scorer, [0.1 * index for index in range(100)])
    assert restore_scorer(json.loads(json.dumps(scorer.state()))).state() == scorer.state()


def test_the_state_of_another_version_is_refused(make: Callable[[], Scorer]) -> None:
    scorer = make()
    name, version, *rest = scorer.state()
    assert isinstance(version, int)
    for bad in ([name, version + 1, *rest], ["other", version, *rest], [name, version, *rest[:-1]], []):
        with pytest.raises(ValueError, match="start a new scorer"):
            restore_scorer(bad)


@settings(max_examples=60)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=80), st.data())
def test_no_finite_series_breaks_a_scorer(means: list[float], data: st.DataObject) -> None:
    for build in SCORERS.values():
        scorer = build()
        index = 0
        for mean in means * 3:
            index += data.draw(st.integers(1, 10_000)) if data.draw(st.booleans()) else 1
            assert_sound(scorer.step(point(index, mean, events=data.draw(st.integers(1, 10**9)))))


def test_a_scorer_says_nothing_before_its_declared_warm_up(make: Callable[[], Scorer]) -> None:
    scorer = make()
    verdicts = feed(scorer, [10.0 + index % 3 for index in range(scorer.warm_up + 1)])
    assert [verdict.score for verdict in verdicts[:-1]] == [None] * scorer.warm_up
    assert [verdict.learning_left for verdict in verdicts] == [*range(scorer.warm_up - 1, -1, -1), 0]
    assert verdicts[-1].score is not None


def test_a_constant_series_never_alarms_and_a_wobble_of_rounding_does_not_either(
    make: Callable[[], Scorer],
) -> None:
    for constant in (0.0, 1.0, 0.1 + 0.2, 99.3, -5.0, 1e-12, 1e12):
        wobble = [constant * (1.0 + (index % 5 == 4) * 1e-12) for index in range(300)]
        assert not any(verdict.alarm for verdict in feed(make(), wobble)), constant


@pytest.mark.parametrize(
    ("before", "after"),
    [(5.0, 50.0), (99.0, 60.0), (-5.0, -50.0), (1e-3, 1e-1), (1e9, 5e9), (0.0, 0.5), (0.0, 7.0)],
)
def test_a_real_jump_of_a_constant_series_alarms_once(make: Callable[[], Scorer], before: float, after: float) -> None:
    verdicts = feed(make(), [before] * 30 + [after] * 100)
    alarms = [index for index, verdict in enumerate(verdicts) if verdict.alarm]
    assert len(alarms) == 1
    assert 30 <= alarms[0] <= 32
    assert verdicts[alarms[0]].direction == ("above" if after > before else "below")


def test_one_lasting_event_is_one_alarm_and_the_way_back_another(make: Callable[[], Scorer]) -> None:
    source = random.Random(3)
    quiet = [source.gauss(100.0, 5.0) for _ in range(150)]
    event = [source.gauss(400.0, 20.0) for _ in range(150)]
    verdicts = feed(make(), quiet + event + quiet)
    alarms = [index for index, verdict in enumerate(verdicts) if verdict.alarm]
    assert alarms == [150, 300]


def test_a_short_event_is_not_learned(make: Callable[[], Scorer]) -> None:
    source = random.Random(4)
    quiet = [source.gauss(100.0, 5.0) for _ in range(100)]
    scorer = make()
    feed(scorer, quiet)
    before = scorer.step(point(100, 100.0))
    feed(scorer, [1_000.0] * 5, start=101)
    after = scorer.step(point(106, 100.0))
    assert after.expected_low >= 0.85 * before.expected_low
    assert after.expected_high <= 1.3 * before.expected_high


def test_a_gap_is_a_gap_and_not_a_row_of_zeros(make: Callable[[], Scorer]) -> None:
    source = random.Random(5)
    scorer = make()
    feed(scorer, [source.gauss(100.0, 5.0) for _ in range(60)])
    after_gap = feed(scorer, [source.gauss(100.0, 5.0) for _ in range(60)], start=5_000)
    assert not any(verdict.alarm for verdict in after_gap)
    assert all(verdict.score is not None for verdict in after_gap)


@pytest.mark.parametrize("name", ["river_full", "river_tail"])  # the textbook methods know nothing of events
def test_a_window_of_few_events_is_trusted_less(name: str) -> None:
    def score(events: int) -> float:
        source = random.Random(6)
        scorer = SCORERS[name]()
        for index in range(60):
            scorer.step(point(index, source.gauss(100.0, 10.0), events=100))
        found = scorer.step(point(60, 145.0, events=events)).score
        assert found is not None
        return found

    assert score(1) < score(10) < score(100)


def test_the_alarm_threshold_is_the_callers(make: Callable[[], Scorer]) -> None:
    source = random.Random(8)
    means = [source.gauss(100.0, 10.0) for _ in range(400)]

    def alarms(score_min: float) -> int:
        return sum(verdict.alarm for verdict in feed(new_scorer("m", score_min=score_min), means))

    assert alarms(0.8) > alarms(0.999)
    for bad in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            new_scorer("m", score_min=bad)


def test_the_reason_holds_the_value_the_range_and_the_direction(make: Callable[[], Scorer]) -> None:
    source = random.Random(9)
    verdicts = feed(make(), [source.gauss(100.0, 5.0) for _ in range(60)] + [731.5])
    assert verdicts[-1].alarm
    for part in ("731.5", "above", f"{verdicts[-1].expected_high:.6g}", f"{verdicts[-1].expected_low:.6g}"):
        assert part in verdicts[-1].reason


def test_the_factory_does_not_load_river() -> None:
    code = (
        "import sys; from models.anomaly import new_scorer; assert 'river' not in sys.modules;"
        "new_scorer('m'); assert 'river' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_fingerprint_is_stable_within_a_build() -> None:
    code = "from models.anomaly import SCORER_CONFIG_FINGERPRINT as f; print(f)"
    outputs: Iterator[str] = (
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert {text.strip() for text in outputs} == {SCORER_CONFIG_FINGERPRINT}
