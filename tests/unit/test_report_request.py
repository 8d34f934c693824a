"""A report file and flags become one configuration, or one line with every mistake."""

from __future__ import annotations

from typing import Any

import pytest

from reports.request import RequestError, request_of

NOW_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z, a Sunday
DAY_MS = 86_400_000
MIDNIGHT_MS = NOW_MS - DAY_MS // 2


def times(**values: Any) -> tuple[int | None, int | None]:
    config = request_of({"swarms": ["a"], **values}).config(NOW_MS)
    return config.from_ms, config.to_ms


def test_a_period_without_date_is_the_last_complete_one() -> None:
    assert times(period="daily") == (MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)
    assert times(period="hourly") == (NOW_MS - 3_600_000, NOW_MS)


def test_a_period_with_date_is_that_one() -> None:
    assert times(period="monthly", date="2026-02") == (1_769_904_000_000, 1_772_323_200_000)


def test_a_trend_takes_the_periods_that_end_with_the_last() -> None:
    assert times(kind="trend", period="daily", periods=5) == (MIDNIGHT_MS - 5 * DAY_MS, MIDNIGHT_MS)
    assert times(kind="trend") == (MIDNIGHT_MS - 8 * DAY_MS, MIDNIGHT_MS)


def test_times_may_be_relative_absolute_or_none() -> None:
    assert times(time_range="last-24h") == (NOW_MS - DAY_MS, NOW_MS)
    assert times(**{"from": "2026-03-01", "to": "2026-03-01T01:00:00Z"}) == (MIDNIGHT_MS, MIDNIGHT_MS + 3_600_000)
    assert times() == (None, None)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"swarms": ["a"], "kind": "live"}, "kind: "),
        ({"swarms": ["a"], "colour": "red"}, "colour: Extra inputs"),
        ({"swarms": ["a"], "formats": ["docx"]}, "formats.0: "),
        ({"swarms": ["a"], "period": "daily", "time_range": "last-24h"}, "exclude each other"),
        ({"swarms": ["a"], "date": "2026-03-01"}, "give --period"),
        ({"swarms": ["a", "b"], "kind": "trend"}, "about one swarm"),
        ({"swarms": ["a"], "run": "r1"}, "kind final only"),
        ({"swarms": []}, "swarms: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field(values: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        request_of(values).config(NOW_MS)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    with pytest.raises(RequestError, match=r"report.yaml: .*kind: .*periods: ") as caught:
        request_of({"kind": "x", "periods": 99}, where="report.yaml")
    assert str(caught.value).count(";") == 1
