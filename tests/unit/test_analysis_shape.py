"""The shape of runs, correlations and the weight of settings, on small cases drawn by hand and on simulated ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.correlation import correlations
from reports.analysis.impact import impacts
from reports.analysis.run_shape import covered, critical_path, run_shapes
from reports.queries.analysis import RunOutcomeRow, SpanRow
from reports.queries.port import TaskRow


def span(agent: str, start: int, stop: int, *, kind: str = "model_call", name: str = "", parent: str = "") -> SpanRow:
    return SpanRow("s", "r", kind, agent, parent, name or f"{agent}{start}", start, stop)


def test_work_side_by_side_and_the_chain_that_decided_the_end() -> None:
    # a  |----------|                  |-----|      0..100, 300..360
    # b              |--------------|               100..290
    # c       |---|                                 50..90
    rows = [span("a", 0, 100), span("b", 100, 290), span("c", 50, 90), span("a", 300, 360)]
    (shape,) = run_shapes(rows)
    assert [row.name for row in critical_path(rows)] == ["a0", "b100", "a300"]
    assert (shape.wall_ms, shape.busy_ms, shape.idle_ms) == (360, 390, 10)
    assert (shape.path_work_ms, shape.path_wait_ms) == (350, 10)
    assert shape.parallelism == pytest.approx(390 / 350)
    assert shape.parallel_efficiency_ratio == pytest.approx(390 / (3 * 360))
    assert shape.off_path_ratio == pytest.approx(40 / 390)
    assert shape.coordination_ratio == pytest.approx(10 / 360)


def test_a_tool_call_that_holds_a_sub_agent_is_the_sub_agents_work() -> None:
    rows = [
        span("main", 0, 1_000, kind="tool_call", name="Task"),
        span("sub", 10, 400, parent="main"),
        span("sub", 420, 990, kind="tool_call", name="Bash", parent="main"),
        span("main", 1_000, 1_200),
    ]
    assert [row.name for row in critical_path(rows)] == ["sub10", "Bash", "main1000"]
    (shape,) = run_shapes(rows)
    assert shape.busy_ms == 1_200 + 960, "the caller did wait: it is busy, but not on the path"


def test_a_task_around_its_calls_is_counted_once() -> None:
    rows = [span("a", 0, 100, kind="task"), span("a", 10, 40), span("a", 50, 90)]
    (shape,) = run_shapes(rows)
    assert (shape.busy_ms, shape.path_work_ms, shape.path_wait_ms) == (100, 70, 30)


def test_messages_on_the_path_are_coordination() -> None:
    rows = [span("a", 0, 50), span("a", 50, 70, kind="message"), span("b", 70, 100)]
    (shape,) = run_shapes(rows)
    assert shape.coordination_ratio == pytest.approx(20 / 100)


spans = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 500), st.integers(0, 100)), min_size=1, max_size=40)


@given(spans)
def test_the_path_never_overlaps_itself_by_more_than_rounding_and_all_times_add_up(
    drawn: list[tuple[str, int, int]],
) -> None:
    rows = [span(agent, start, start + length) for agent, start, length in drawn]
    path = critical_path(rows)
    assert all(one.ended_ms <= after.started_ms + 5 for one, after in itertools.pairwise(path))
    (shape,) = run_shapes(rows)
    assert shape.path_work_ms + shape.path_wait_ms == shape.wall_ms
    assert 0 <= shape.path_work_ms <= shape.busy_ms
    assert 0 <= shape.idle_ms <= shape.wall_ms
    assert path[-1].ended_ms == max(row.ended_ms for row in rows)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=20))
def test_covered_counts_every_millisecond_once(drawn: list[tuple[int, int]]) -> None:
    pairs = [(start, start + length) for start, length in drawn]
    assert covered(pairs) == len({ms for start, stop in pairs for ms in range(start, stop)})


def task(i: int, *, duration: float, cost: float | None, success: int = 1) -> TaskRow:
    return TaskRow("s", f"t{i}", True, 1, 1, success, 1, duration, cost, None, None, None, None, ("measured",), ())


def test_measures_that_go_together_are_shown_and_those_that_do_not_are_not() -> None:
    rng = np.random.default_rng(4)
    durations, noise = rng.lognormal(0, 1, 80), rng.lognormal(0, 1, 80)
    rows = [
        task(i, duration=float(d), cost=float(d * e**0.2), success=i % 2)
        for i, (d, e) in enumerate(zip(durations, noise, strict=True))
    ]
    found = {(one.x, one.y): one for one in correlations("s", rows)}
    strong = found["task_duration", "cost_usd"]
    assert strong.shown
    assert strong.why.startswith("task_duration rises with cost_usd over 80 tasks")
    assert strong.rho is not None
    assert strong.low is not None
    assert strong.low > 0.9
    assert not found["task_success", "task_duration"].shown


def test_a_cost_of_0_is_no_cost_and_few_tasks_are_no_correlation() -> None:
    rows = [task(i, duration=float(i + 1), cost=0.0 if i > 4 else 1.0 + i) for i in range(20)]
    found = {(one.x, one.y): one for one in correlations("s", rows)}
    assert found["task_duration", "cost_usd"].n == 5
    assert "at least 10 are needed" in found["task_duration", "cost_usd"].why
    assert "the same in every task" in found["task_success", "task_duration"].why


def test_uncorrelated_measures_are_shown_to_correlate_in_less_than_a_twentieth_of_cases() -> None:
    rng, false = np.random.default_rng(5), 0
    for _ in range(400):
        draws = rng.lognormal(0, 1.5, (12, 2))
        rows = [
            task(i, duration=float(a), cost=float(b), success=int(rng.random() < 0.6)) for i, (a, b) in enumerate(draws)
        ]
        false += any(one.shown for one in correlations("s", rows))
    assert false / 400 <= 0.05 + 2 * 0.011  # two standard errors


def run(i: int, duration: float, **configuration: str) -> RunOutcomeRow:
    return RunOutcomeRow("s", f"r{i}", 5, duration, None, None, configuration, ("measured",), ())


def test_the_setting_that_makes_the_difference_comes_first_with_its_size() -> None:
    rng = np.random.default_rng(6)
    runs = [
        run(
            i, (2.0 if i % 2 else 1.0) * float(rng.lognormal(0, 0.1)), model="b" if i % 2 else "a", room=str(i // 2 % 2)
        )
        for i in range(40)
    ]
    found = [one for one in impacts(runs) if one.metric == "task_duration"]
    first, second = found
    assert (first.setting, first.value, first.finding.verdict) == ("model", "a", "better")
    assert first.finding.ratio == pytest.approx(0.5, rel=0.1)
    assert first.explained_ratio is not None
    assert first.explained_ratio > 0.9
    assert (second.setting, second.finding.verdict) == ("room", "no difference shown")
    assert first.finding.unit_of_analysis == "run"


def test_settings_that_always_change_together_are_named_as_inseparable() -> None:
    runs = [run(i, 1.0 + i % 2, model=str(i % 2), prompt="xy"[i % 2], tries=str(i % 3)) for i in range(24)]
    same = {one.setting: one.same_as for one in impacts(runs)}
    assert same == {"model": ("prompt",), "prompt": ("model",), "tries": ()}


def test_a_few_runs_are_not_enough() -> None:
    runs = [run(i, 1.0 + i % 2, model=str(i % 2)) for i in range(8)]
    (only,) = impacts(runs)
    assert only.finding.verdict == "not enough data"
    assert "about 6 more" in only.finding.why
