"""When a scheduled report is due, and that a period has one report only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reports.periods import KINDS, PeriodKind, parse_date
from reports.request import request_of
from reports.schedule import CATCH_UP_MAX, Schedule, due, left_out, next_due

NOON_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def schedule(**changes: Any) -> Schedule:
    values = {"name": "nightly", "request": request_of({"swarms": ["a"]}), "period": "daily", "at_minutes": 360}
    return Schedule(**{**values, "channels": ("slack",), "created_ms": NOON_MS, **changes})


def nothing(_report_id: str) -> bool:
    return False


def labels(made: Schedule, now_ms: int) -> list[str]:
    return [period.label for period in due(made, now_ms, nothing)]


def test_a_new_schedule_does_not_begin_with_history() -> None:
    assert labels(schedule(), NOON_MS + 17 * HOUR_MS) == []


def test_a_report_is_due_at_its_minute_after_the_period_and_not_before() -> None:
    at_ms = NOON_MS + 18 * HOUR_MS  # 06:00 of the next day
    assert labels(schedule(), at_ms - 1) == []
    assert labels(schedule(), at_ms) == ["2026-03-01"]


def test_a_schedule_made_after_midnight_and_before_its_time_still_reports_the_day_that_ended() -> None:
    made = schedule(created_ms=NOON_MS + 13 * HOUR_MS)
    assert labels(made, NOON_MS + 18 * HOUR_MS) == ["2026-03-01"]


def test_what_is_settled_is_not_due_again() -> None:
    made = schedule()
    done = {made.report_id(parse_date("daily", "2026-03-01"))}
    assert due(made, NOON_MS + 18 * HOUR_MS, done.__contains__) == []


def test_after_a_stop_the_newest_periods_are_made_up_for_in_order_and_the_others_counted() -> None:
    now_ms = NOON_MS + 10 * DAY_MS
    assert labels(schedule(), now_ms) == ["2026-03-08", "2026-03-09", "2026-03-10"]
    assert len(labels(schedule(), now_ms)) == CATCH_UP_MAX
    assert left_out(schedule(), now_ms, 0) == 7
    assert left_out(schedule(), now_ms, now_ms - HOUR_MS) == 0


@given(
    kind=st.sampled_from(KINDS),
    at_minutes=st.integers(0, 59),
    created_ms=st.integers(NOON_MS, NOON_MS + 400 * DAY_MS),
    passed_ms=st.integers(0, 400 * DAY_MS),
)
def test_the_next_report_is_the_first_that_becomes_due_after_now(
    kind: PeriodKind, at_minutes: int, created_ms: int, passed_ms: int
) -> None:
    made, now_ms = schedule(period=kind, at_minutes=at_minutes, created_ms=created_ms), created_ms + passed_ms
    coming = next_due(made, now_ms)
    assert made.due_ms(coming) > now_ms
    assert coming not in due(made, now_ms, nothing)
    assert coming in due(made, made.due_ms(coming), nothing)


def test_a_period_has_one_report_id_also_when_the_schedule_is_changed() -> None:
    day, other = parse_date("daily", "2026-03-01"), parse_date("daily", "2026-03-02")
    changed = schedule(created_ms=NOON_MS + 1, at_minutes=480, request=request_of({"swarms": ["b"]}))
    assert schedule().report_id(day) == schedule().report_id(day) == changed.report_id(day)
    assert len({schedule().report_id(day), schedule().report_id(other), schedule(name="b").report_id(day)}) == 3


def test_a_report_is_about_exactly_its_period_and_a_trend_about_those_that_end_with_it() -> None:
    day = parse_date("daily", "2026-03-01")
    config = schedule().config(day)
    assert (config.from_ms, config.to_ms, config.title) == (day.from_ms, day.to_ms, "nightly, 2026-03-01")
    trend = schedule(request=request_of({"swarms": ["a"], "kind": "trend", "periods": 5})).config(day)
    assert (trend.from_ms, trend.to_ms) == (day.from_ms - 4 * DAY_MS, day.to_ms)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Nightly report"}, "name"),
        ({"channels": ()}, "channels"),
        ({"channels": ("pigeon",)}, "channels"),
        ({"channels": ("slack", "slack")}, "named twice"),
        ({"period": "hourly", "at_minutes": 60}, "longer than"),
        ({"request": request_of({"swarms": ["a"], "kind": "final"})}, "about one run"),
        ({"request": request_of({"swarms": ["a"], "time_range": "last-24h"})}, "leave out time_range"),
        ({"request": request_of({"swarms": []})}, "swarms"),
        ({"email_to": "a@example.org\r\nBcc: b@example.org"}, "email_to"),
    ],
)
def test_a_schedule_that_could_never_work_is_refused_when_it_is_made(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        schedule(**changes)
