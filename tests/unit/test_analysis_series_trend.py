"""Trends of series from their intervals: what is a point, which words a slope gets, when a limit is met."""

from __future__ import annotations

import numpy as np
import pytest

from reports.analysis.series_trend import HOUR_MS, SeriesTrend, Stat, interval_of, points_of, series_trends
from reports.analysis.told import told_of_trends
from reports.queries.measured import BucketRow

MINUTE_MS = 60_000
START_MS = 1_772_323_200_000


def buckets(
    values: np.ndarray, *, of: str = "", unit: str = "bytes", places: np.ndarray | None = None, n: int = 3
) -> list[BucketRow]:
    at = np.arange(len(values)) if places is None else places
    return [
        BucketRow(
            "s", of, START_MS + int(place) * MINUTE_MS, n, float(v), float(v) + 1, float(v) + 2, float(v) * n, unit
        )
        for place, v in zip(at, values, strict=True)
    ]


def trend_of(
    series: str, rows: list[BucketRow], *, stat: Stat = "mean", limit: float | None = None, ahead_ms: int = 0
) -> SeriesTrend:
    (one,) = series_trends(series, rows, MINUTE_MS, stat=stat, limit=limit, ahead_ms=ahead_ms)
    return one


def leaking(random: np.random.Generator, n: int = 120) -> np.ndarray:
    """1 MB a minute above 100 MB, with noise."""
    return np.asarray(100e6 + 1e6 * np.arange(n) + random.normal(0, 2e6, n))


def test_a_leak_has_its_slope_and_the_time_until_the_limit() -> None:
    values = leaking(np.random.default_rng(1))
    one = trend_of("memory_usage", buckets(values), limit=400e6, ahead_ms=30 * MINUTE_MS)
    assert one.verdict == "worsening", "less memory is better"
    assert one.slope_low is not None
    assert one.slope_high is not None
    assert one.slope_low <= 60e6 <= one.slope_high, "a million bytes a minute"
    assert one.limit_in_ms == pytest.approx((400e6 - 219e6) / 1e6 * MINUTE_MS, rel=0.05)
    assert one.limit_earliest_ms is not None
    assert one.limit_latest_ms is not None
    assert one.limit_earliest_ms < one.limit_in_ms < one.limit_latest_ms
    assert len(one.forecast) == 30
    assert one.forecast[0].at_ms == START_MS + 120 * MINUTE_MS
    trend, limit = (sentence.text for sentence in told_of_trends([one]))
    assert "worsening, +57.2 MiB an hour" in trend
    assert limit.startswith("s: memory_usage meets 381 MiB in 3.0")


def test_a_leak_that_restarts_hide_is_found_and_not_forecast() -> None:
    random = np.random.default_rng(2)
    values = 100e6 + 5e6 * (np.arange(120) % 40) + random.normal(0, 2e6, 120)
    one = trend_of("memory_usage", buckets(values), limit=1e9, ahead_ms=10 * MINUTE_MS)
    assert (one.restarts, one.verdict) == (2, "worsening")
    assert one.slope_per_hour == pytest.approx(300e6, rel=0.03)
    assert one.limit_in_ms == pytest.approx((1e9 - 295e6) / 5e6 * MINUTE_MS, rel=0.05)
    assert (one.forecast, one.forecast_why) == ((), "a forecast would have to know the next restart")
    assert trend_of("task_duration", buckets(values, unit="ms")).restarts == 0, "durations do not restart"


def test_noise_shows_no_trend_and_no_limit() -> None:
    random = np.random.default_rng(3)
    one = trend_of("memory_usage", buckets(100e6 + random.normal(0, 1e6, 100)), limit=500e6)
    assert one.verdict == "no trend shown"
    texts = [sentence.text for sentence in told_of_trends([one])]
    assert texts[1] == "s: memory_usage is not shown to be on its way to 477 MiB."


def test_clear_growth_is_a_trend_although_a_line_leaves_much_of_it() -> None:
    random = np.random.default_rng(7)
    one = trend_of("memory_usage", buckets(1e6 * np.exp(0.04 * np.arange(100) + random.normal(0, 0.05, 100))))
    assert (one.shape, one.shape_tied, one.verdict) == ("exponential", False, "worsening")
    assert one.growth_per_hour == pytest.approx(np.expm1(0.04 * 60), rel=0.1)
    perfect = trend_of("quality", buckets(0.5 + np.arange(25) / 100, unit="ratio"))
    assert perfect.verdict == "improving", "rounding is no correlation"


def test_too_little_is_said_and_a_constant_has_nothing_to_test() -> None:
    few = trend_of("memory_usage", buckets(np.arange(5.0)))
    assert (few.verdict, few.slope_per_hour) == ("not enough data", None)
    assert few.why == "5 intervals of 1.00 min have a value; a trend needs 12"
    flat = trend_of("memory_usage", buckets(np.full(30, 7.0)))
    assert (flat.verdict, flat.slope_per_hour, flat.p_value) == ("no trend shown", 0.0, None)


def test_better_and_worse_follow_the_measure() -> None:
    random = np.random.default_rng(4)
    rising = np.linspace(0.5, 0.9, 60) + random.normal(0, 0.02, 60)
    assert trend_of("quality", buckets(rising, unit="ratio")).verdict == "improving"
    assert trend_of("task_duration", buckets(rising, unit="ms")).verdict == "worsening"
    assert trend_of("nobody_knows", buckets(rising, unit="")).verdict == "rising"
    assert trend_of("task_duration", buckets(rising, unit="ms"), stat="sum").verdict == "rising", (
        "more may be more work"
    )


def test_a_ratio_is_forecast_as_a_ratio() -> None:
    random = np.random.default_rng(5)
    one = trend_of(
        "quality", buckets(np.clip(random.normal(0.97, 0.05, 60), 0, 1), unit="ratio"), ahead_ms=20 * MINUTE_MS
    )
    assert all(0 <= point.low <= point.value <= point.high <= 1 for point in one.forecast)
    far = trend_of("quality", buckets(np.linspace(0, 1, 20), unit="ratio"), ahead_ms=11 * MINUTE_MS)
    assert far.forecast == ()
    assert far.forecast_why == "20 intervals seen: at most half as many can be forecast, not 11"


def test_a_mean_has_gaps_and_a_count_has_zeros_and_no_partial_ends() -> None:
    rows = buckets(np.array([4.0, 5.0, 6.0]), places=np.array([0, 1, 4]))
    x, y = points_of(rows, MINUTE_MS, "mean")
    assert (x.tolist(), y.tolist()) == ([0, 1, 4], [4, 5, 6])
    x, y = points_of(rows, MINUTE_MS, "count")
    assert (x.tolist(), y.tolist()) == ([0, 1, 2], [3, 0, 0])
    assert points_of(rows, MINUTE_MS, "p95")[1].tolist() == [5, 6, 7]


def test_several_series_share_one_correction() -> None:
    random = np.random.default_rng(6)
    rows = [row for k in range(20) for row in buckets(random.standard_normal(40), of=f"a{k:02}")]
    rows += buckets(leaking(random, 40), of="leak")
    found = series_trends("memory_usage", rows, MINUTE_MS, stat="mean", limit=None, ahead_ms=0)
    assert found[0].of == "leak"
    assert [one.of for one in found if one.verdict == "worsening"] == ["leak"]
    assert all((one.p_adjusted or 0) >= (one.p_value or 0) for one in found)


@pytest.mark.parametrize(
    ("length_ms", "points", "interval_ms"),
    [
        (13 * HOUR_MS, 1_301, 5 * MINUTE_MS),
        (100 * MINUTE_MS, 174, 2 * MINUTE_MS),
        (30 * 24 * HOUR_MS, 10**6, 6 * HOUR_MS),
    ],
)
def test_the_interval_suits_the_length_and_the_points(length_ms: int, points: int, interval_ms: int) -> None:
    assert interval_of(0, length_ms, points) == interval_ms


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1,500; take longer ones"):
        trend_of("memory_usage", buckets(np.arange(1_600.0)))
