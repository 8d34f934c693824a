"""A trend is claimed where the periods show one, and not otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.analysis.trend import TrendLine, trend_lines
from reports.compare.verdict import LEVEL
from reports.queries.port import TaskRow

PERIODS = [(f"day-{i}", i * 86_400_000) for i in range(8)]


def task(i: int, duration_ms: float | None, *, cost_usd: float | None = None, success: bool = True) -> TaskRow:
    row = TaskRow("s", f"t-{i}", True, 1, 1, 1, 1, None, None, None, None, None, None, ("measured",), ())
    return replace(row, successes=int(success), duration_ms=duration_ms, cost_usd=cost_usd)


def days(
    rng: np.random.Generator, slope: float, *, tasks: int = 40, day_spread: float = 0.0
) -> dict[str, list[TaskRow]]:
    """Log-normal durations around 1 s that change by `slope` of it a day; days differ by `day_spread`."""
    return {
        label: [
            task(i, 1000 * float((1 + slope * day) * np.exp(day_spread * common) * rng.lognormal(0, 0.3)))
            for i in range(tasks)
        ]
        for day, (label, _) in enumerate(PERIODS)
        for common in [rng.normal()]
    }


def line(tasks: dict[str, list[TaskRow]], metric: str = "task_duration") -> TrendLine:
    return next(found for found in trend_lines(PERIODS, tasks) if found.metric == metric)


def test_durations_that_grow_are_worsening_and_the_interval_holds_the_truth() -> None:
    found = line(days(np.random.default_rng(1), 0.1))
    assert found.verdict == "worsening"
    assert found.slope_low is not None
    assert found.slope_high is not None
    assert found.slope_low < 100 * np.exp(0.045) < found.slope_high  # the mean of a log-normal is exp(s^2 / 2)


def test_durations_that_fall_are_improving() -> None:
    assert line(days(np.random.default_rng(2), -0.08)).verdict == "improving"


def test_days_that_only_differ_from_each_other_are_claimed_a_trend_no_more_often_than_promised() -> None:
    """What happens to a day happens to all its tasks: with the task as the unit this would claim most of them."""
    rng, runs = np.random.default_rng(3), 300
    claimed = sum(line(days(rng, 0.0, tasks=12, day_spread=0.2)).verdict != "no trend shown" for _ in range(runs))
    print(f"false trends {claimed} of {runs}")
    assert claimed / runs <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / runs) ** 0.5


def test_four_periods_are_too_few_for_a_line_and_the_reason_is_said() -> None:
    tasks = days(np.random.default_rng(4), 0.5)
    few = {label: rows for label, rows in tasks.items() if label in {"day-0", "day-2", "day-4", "day-7"}}
    found = line(few)
    assert (found.verdict, found.slope) == ("not enough periods", None)
    assert found.why == "4 of 8 periods have 10 tasks; a line needs 5"


def test_a_period_without_tasks_is_not_measured_and_the_line_passes_over_it_where_it_is() -> None:
    tasks = {label: [task(i, 1000.0 + 100 * day) for i in range(10)] for day, (label, _) in enumerate(PERIODS)}
    del tasks["day-3"]
    found = line(tasks)
    assert found.points[3].value is None
    assert found.points[3].n == 0
    assert found.slope == pytest.approx(100)


def test_values_that_never_change_are_no_trend_and_no_test() -> None:
    found = line({label: [task(i, 1000.0) for i in range(10)] for label, _ in PERIODS})
    assert (found.verdict, found.slope, found.p_value) == ("no trend shown", 0.0, None)


def test_costs_that_are_all_zero_are_not_reported_and_give_no_line() -> None:
    tasks = {label: [task(i, 1.0, cost_usd=0.0) for i in range(10)] for label, _ in PERIODS}
    assert "cost_usd" not in {found.metric for found in trend_lines(PERIODS, tasks)}


def test_success_that_falls_is_worsening() -> None:
    tasks = {label: [task(i, 1.0, success=i % 20 >= day) for i in range(40)] for day, (label, _) in enumerate(PERIODS)}
    assert line(tasks, "task_success").verdict == "worsening"
