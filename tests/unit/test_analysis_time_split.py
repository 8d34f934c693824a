"""The split of time, drawn by hand and recounted millisecond by millisecond on random activities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.time_split import By, TimeSplit, time_splits
from reports.queries.measured import TimeSpanRow


def span(
    kind: str,
    start: int,
    stop: int,
    *,
    agent: str = "a",
    parent: str = "",
    tool: str = "",
    provenance: str = "measured",
    approval: int = 0,
) -> TimeSpanRow:
    return TimeSpanRow("s", "s", "r", agent, parent, kind, tool, start, stop, provenance, approval)


def parts(one: TimeSplit) -> tuple[int, ...]:
    return one.model_ms, one.tool_ms, one.agents_ms, one.people_ms, one.other_ms, one.idle_ms


def test_what_overlaps_counts_once_and_the_model_goes_first() -> None:
    # task   |------------------------|             0..100
    # model     |------|                            10..40
    # tool           |------|                       30..60
    # tool                              |----|      120..150
    rows = [
        span("task", 0, 100),
        span("model_call", 10, 40),
        span("tool_call", 30, 60, tool="Bash"),
        span("tool_call", 120, 150, tool="Bash", approval=1),
    ]
    (one,) = time_splits(rows, "agent")
    assert parts(one) == (30, 20 + 30, 0, 0, 10 + 40, 20)
    assert (one.wall_ms, one.tool_approval_ms) == (150, 30)
    assert one.model_ratio == pytest.approx(0.2)


def test_a_call_that_holds_a_sub_agent_waits_for_it_and_the_run_does_what_the_sub_agent_does() -> None:
    rows = [
        span("tool_call", 0, 1_000, tool="Task", agent="main"),
        span("model_call", 100, 400, agent="sub", parent="main"),
        span("tool_call", 450, 600, agent="sub", parent="main", tool="Bash"),
        span("tool_call", 1_000, 1_100, tool="Bash", agent="main"),
    ]
    by_agent = {one.agent_id: one for one in time_splits(rows, "agent")}
    assert parts(by_agent["main"]) == (0, 100, 1_000, 0, 0, 0)
    assert parts(by_agent["sub"]) == (300, 150, 0, 0, 0, 50)
    (run,) = time_splits(rows, "run")
    assert parts(run) == (300, 150 + 100, 550, 0, 0, 0)


def test_between_turns_and_in_a_question_the_agent_waits_for_a_person() -> None:
    rows = [
        span("turn", 0, 100),
        span("turn", 400, 500),
        span("tool_call", 20, 60, tool="AskUserQuestion"),
        span("model_call", 390, 450),
    ]
    (one,) = time_splits(rows, "agent")
    assert parts(one) == (60, 0, 0, 40 + 290, 60 + 50, 0)


def test_what_was_not_measured_is_said() -> None:
    rows = [span("model_call", 0, 30), span("tool_call", 30, 40, provenance="derived"), span("model_call", 90, 100)]
    (one,) = time_splits(rows, "run")
    assert one.measured_ratio == pytest.approx(40 / 50)
    (instant,) = time_splits([span("model_call", 5, 5)], "run")
    assert (instant.wall_ms, instant.model_ratio, instant.measured_ratio) == (0, None, None)
    assert time_splits([], "run") == ()


KINDS = ("model_call", "tool_call", "message", "task", "edit", "turn")
spans = st.lists(
    st.builds(
        lambda kind, start, length, agent, provenance: span(
            kind, start, start + length, agent=agent, provenance=provenance
        ),
        st.sampled_from(KINDS),
        st.integers(0, 60),
        st.integers(0, 25),
        st.sampled_from(("a", "b")),
        st.sampled_from(("measured", "estimated")),
    ),
    min_size=1,
    max_size=14,
)


def recounted(rows: list[TimeSpanRow]) -> tuple[int, ...]:
    """The same, one millisecond after the other."""
    order = ("model_call", ("tool_call", "edit"), "message", "gap", ("task", "turn"))
    counts = [0] * 6
    for ms in range(min(row.started_ms for row in rows), max(row.ended_ms for row in rows)):
        here = {row.kind for row in rows if row.started_ms <= ms < row.ended_ms}
        for agent in ("a", "b"):
            turns = [row for row in rows if row.kind == "turn" and row.agent_id == agent]
            before = any(row.ended_ms <= ms for row in turns)
            inside = any(row.started_ms <= ms < row.ended_ms for row in turns)
            if before and not inside and any(row.started_ms > ms for row in turns):
                here.add("gap")
        counts[
            next(
                (n for n, kinds in enumerate(order) if here.intersection([kinds] if isinstance(kinds, str) else kinds)),
                5,
            )
        ] += 1
    return tuple(counts)


@given(spans)
def test_the_sweep_and_a_count_of_every_millisecond_agree(rows: list[TimeSpanRow]) -> None:
    (run,) = time_splits(rows, "run")
    assert parts(run) == recounted(rows)
    for one in time_splits(rows, "agent"):
        own = [row for row in rows if row.agent_id == one.agent_id]
        assert parts(one) == recounted(own)
        assert sum(parts(one)) == one.wall_ms


@pytest.mark.parametrize("by", ["run", "agent"])
def test_half_a_million_activities_take_seconds(by: By) -> None:
    rows = [
        span(KINDS[n % 3], 10 * n, 10 * n + 25, agent=f"a{n % 500}", parent="a0" if n % 500 else "")
        for n in range(500_000)
    ]
    found = time_splits(rows, by)
    assert sum(one.activities for one in found) == 500_000
