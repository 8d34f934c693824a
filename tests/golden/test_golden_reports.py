"""Reports come out byte for byte the same: fixed rows, fixed clock, fixed id."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import get_args

import pytest

from models.clock import ManualClock
from reports.build import build_report, render
from reports.config import ReportConfig, TextFormat
from reports.render.view import Report
from tests.golden.recorded import DAY_0_MS, DAY_MS, SWARMS, T0_MS, DailyReader, RecordedReader

TEXT_FORMATS = get_args(TextFormat)
TREND = {
    "kind": "trend",
    "swarms": ("careful",),
    "period": "daily",
    "from_ms": DAY_0_MS,
    "to_ms": DAY_0_MS + 9 * DAY_MS,
}


@cache
def _report(**config: object) -> Report:
    return build_report(
        DailyReader() if config.get("kind") == "trend" else RecordedReader(),
        ReportConfig(**{"swarms": SWARMS, **config}),  # type: ignore[arg-type]  # pydantic checks them
        clock=ManualClock(T0_MS + 3_600_000),
        report_id="00000000000000000000000000000001",
    )


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_comparison_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"comparison.{name}", render(_report(title="Careful or hasty?"), name))


def test_an_executive_report_is_byte_for_byte_the_same(golden: Callable[[str, str], None]) -> None:
    golden("executive.html", render(_report(kind="executive", title="In short"), "html"))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_technical_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"technical.{name}", render(_report(kind="technical", title="Everything"), name))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_trend_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"trend.{name}", render(_report(**TREND), name))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_final_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"final.{name}", render(_report(kind="final", swarms=("careful",)), name))


def test_each_chart_is_byte_for_byte_the_same_svg(golden: Callable[[str, str], None]) -> None:
    charts = _report().charts
    assert [c.name for c in charts] == ["ratios", "durations", "time-task-duration", "cost"]
    for chart in charts:
        golden(f"{chart.name}.svg", chart.svg + "\n")
