"""Periods are half-open, follow each other without a gap, and are named as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.periods import KINDS, PeriodKind, after, before, last_complete, parse_date, period_at, series, split
from reports.queries.port import TimeRange

MOMENTS = st.integers(min_value=86_400_000 * 400, max_value=4_000_000_000_000)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("kind", KINDS)
@given(at_ms=MOMENTS)
def test_every_moment_is_in_one_period_and_its_neighbours_touch_it(kind: PeriodKind, at_ms: int) -> None:
    period = period_at(kind, at_ms)
    assert period.from_ms <= at_ms < period.to_ms
    assert before(period).to_ms == period.from_ms
    assert after(period).from_ms == period.to_ms
    assert period_at(kind, period.to_ms - 1) == period


@pytest.mark.parametrize("kind", KINDS)
@given(at_ms=MOMENTS)
def test_the_last_complete_period_has_ended_and_the_next_has_not(kind: PeriodKind, at_ms: int) -> None:
    period = last_complete(kind, at_ms)
    assert period.to_ms <= at_ms < after(period).to_ms


@pytest.mark.parametrize(
    ("kind", "text", "label", "start", "end"),
    [
        ("hourly", "2026-03-01T12", "2026-03-01 12:00", "2026-03-01T12:00", "2026-03-01T13:00"),
        ("daily", "2026-02-28", "2026-02-28", "2026-02-28T00:00", "2026-03-01T00:00"),
        ("daily", "2028-02-29", "2028-02-29", "2028-02-29T00:00", "2028-03-01T00:00"),
        ("weekly", "2026-W01", "2026-W01", "2025-12-29T00:00", "2026-01-05T00:00"),
        ("weekly", "2026-01-01", "2026-W01", "2025-12-29T00:00", "2026-01-05T00:00"),
        ("monthly", "2026-12", "2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_date_names_its_period(kind: PeriodKind, text: str, label: str, start: str, end: str) -> None:
    period = parse_date(kind, text)
    assert (period.label, period.from_ms, period.to_ms) == (label, ms(start), ms(end))


@pytest.mark.parametrize(
    ("kind", "text"), [("daily", "yesterday"), ("daily", "2026-02-30"), ("weekly", "2026-W60"), ("monthly", "2026-13")]
)
def test_what_names_no_period_is_refused_with_an_example(kind: PeriodKind, text: str) -> None:
    with pytest.raises(ValueError, match=rf"{text}.*write 2026-"):
        parse_date(kind, text)


def test_a_range_of_whole_periods_is_split_into_them() -> None:
    last = parse_date("daily", "2026-03-03")
    periods = series(last, 3)
    assert [p.label for p in periods] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert split("daily", TimeRange(periods[0].from_ms, last.to_ms)) == periods


@pytest.mark.parametrize("shift_ms", [(1, 0), (0, 1), (0, -1)])
def test_a_range_that_cuts_a_period_is_no_trend(shift_ms: tuple[int, int]) -> None:
    period = parse_date("daily", "2026-03-03")
    with pytest.raises(ValueError, match="does not begin and end"):
        split("daily", TimeRange(period.from_ms + shift_ms[0], period.to_ms + shift_ms[1]))


def test_more_periods_than_fit_side_by_side_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 31"):
        split("hourly", TimeRange(ms("2026-03-01T00:00"), ms("2026-03-03T00:00")))
