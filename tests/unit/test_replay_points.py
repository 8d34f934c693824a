"""How a point of the log is written."""

from __future__ import annotations

import pytest

from streams.replay import From, StartPoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("earliest", StartPoint(From.EARLIEST)),
        ("offset:0", StartPoint(From.OFFSET, 0)),
        ("offset:12345", StartPoint(From.OFFSET, 12_345)),
        ("time:2026-01-31T12:00:00Z", StartPoint(From.TIME, 1_769_860_800_000)),
        ("time:2026-01-31T13:00:00.250+01:00", StartPoint(From.TIME, 1_769_860_800_250)),
        ("time:2026-01-31", StartPoint(From.TIME, 1_769_817_600_000)),  # UTC
    ],
)
def test_a_point_is_the_start_an_offset_or_a_time(text: str, expected: StartPoint) -> None:
    assert StartPoint.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "latest", "offset:", "offset:-1", "offset:1e3", "time:noon", "12", "offset:" + "9" * 19]
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"no point of the log: write earliest, offset:N or time:"):
        StartPoint.parse(text)
