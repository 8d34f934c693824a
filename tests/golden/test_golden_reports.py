"""Reports come out byte for byte the same: fixed rows, fixed clock, fixed id."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from reports.build import render
from reports.config import TextFormat
from tests.golden.kinds import report_of

TEXT_FORMATS = get_args(TextFormat)


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_comparison_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"comparison.{name}", render(report_of("comparison"), name))


def test_an_executive_report_is_byte_for_byte_the_same(golden: Callable[[str, str], None]) -> None:
    golden("executive.html", render(report_of("executive"), "html"))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_technical_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"technical.{name}", render(report_of("technical"), name))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_trend_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"trend.{name}", render(report_of("trend"), name))


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_final_report_is_byte_for_byte_the_same(name: TextFormat, golden: Callable[[str, str], None]) -> None:
    golden(f"final.{name}", render(report_of("final"), name))


def test_each_chart_is_byte_for_byte_the_same_svg(golden: Callable[[str, str], None]) -> None:
    charts = report_of("comparison").charts
    assert [c.name for c in charts] == ["ratios", "durations", "time-task-duration", "cost"]
    for chart in charts:
        golden(f"{chart.name}.svg", chart.svg + "\n")
