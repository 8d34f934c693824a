"""Reports come out byte for byte the same: fixed rows, fixed clock, fixed id."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from models.clock import ManualClock
from reports.build import build_report, render
from reports.config import ReportConfig
from reports.render.view import Report
from tests.golden.recorded import SWARMS, T0_MS, RecordedReader


@cache
def _report(**config: object) -> Report:
    return build_report(
        RecordedReader(),
        ReportConfig(swarms=SWARMS, **config),  # type: ignore[arg-type]  # pydantic checks them
        clock=ManualClock(T0_MS + 3_600_000),
        report_id="00000000000000000000000000000001",
    )


@pytest.mark.parametrize("name", ["html", "md", "json"])
def test_a_comparison_report_is_byte_for_byte_the_same(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"comparison.{name}", render(_report(title="Careful or hasty?"), name))  # type: ignore[arg-type]


def test_an_executive_report_is_byte_for_byte_the_same(golden: Callable[[str, str], None]) -> None:
    golden("executive.html", render(_report(kind="executive", title="In short"), "html"))


def test_each_chart_is_byte_for_byte_the_same_svg(golden: Callable[[str, str], None]) -> None:
    charts = _report().charts
    assert [c.name for c in charts] == ["ratios", "durations", "time-task-duration", "cost"]
    for chart in charts:
        golden(f"{chart.name}.svg", chart.svg + "\n")
