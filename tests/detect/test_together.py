"""Agents among each other: hand-offs in turn, waits in a circle, tokens without progress, silence of all kinds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.detecting import Event, activity, found_by, second_of, told

MIN = 60


def _hand_off(second: float, sender: str, receiver: str, **fields: Any) -> Event:
    message = {"message_type": "hand-off", "from_agent_id": sender, "to_agent_id": receiver, "task_id": "t"}
    return activity(second, "message", agent_id=sender, **(message | fields))


def _in_turn(count: int, **fields: Any) -> list[Event]:
    return [_hand_off(i * 10, *(("a", "b") if i % 2 == 0 else ("b", "a")), **fields) for i in range(count)]


def test_the_sixth_hand_off_in_turn_is_told_once() -> None:
    rows = found_by(_in_turn(10))
    assert told(rows) == [("handoff_ping_pong", "handoffs", 6.0, "medium")]
    assert second_of(rows[0]) == 50.0
    assert dict(rows[0]["evidence"]) == {"first": "a", "second": "b", "task_id": "t"}


@pytest.mark.parametrize("progress", [{"kind": "task"}, {"kind": "edit"}, {"kind": "phase"}])
def test_hand_offs_with_work_done_between_them_are_cooperation(progress: dict[str, str]) -> None:
    events = [e for i, e in enumerate(_in_turn(20)) for e in (e, activity(i * 10 + 5, **progress, agent_id="b"))]
    assert found_by(events) == []


def test_questions_and_answers_and_one_way_hand_offs_are_silent() -> None:
    assert found_by(_in_turn(40, message_type="question")) == []
    assert found_by([_hand_off(i, "a", "b") for i in range(40)]) == []
    assert found_by([e for i in range(20) for e in (_hand_off(i, "a", "b", task_id=f"{i}"),)]) == []


def _waits(second: float, who: str, whom: str, **fields: Any) -> Event:
    wait = {"from_agent_id": who, "to_agent_id": whom, "status": "blocked", "id": f"{who}-{whom}"}
    return activity(second, "message", agent_id=who, **(wait | fields))


def test_a_circle_of_waits_is_told_with_the_wait_that_closes_it() -> None:
    rows = found_by([_waits(0, "a", "b"), _waits(5, "b", "c"), _waits(9, "c", "a"), _waits(10, "c", "a", id="again")])
    assert told(rows) == [("wait_cycle", "wait_cycle", 3.0, "critical")]
    assert second_of(rows[0]) == 9.0
    assert dict(rows[0]["evidence"])["circle"] == "c -> a -> b -> c"


def test_a_wait_that_ended_closes_no_circle() -> None:
    answered = activity(6, "message", id="a-b", agent_id="a", from_agent_id="a", to_agent_id="b")
    assert found_by([_waits(0, "a", "b"), _waits(5, "b", "c"), answered, _waits(9, "c", "a")]) == []
    works = activity(8, "model_call", agent_id="a", cost_usd=0.1, cost_provenance="declared")
    assert found_by([_waits(0, "a", "b"), _waits(5, "b", "c"), works, _waits(9, "c", "a")]) == []


def test_a_chain_of_waits_is_no_circle() -> None:
    assert found_by([_waits(i, f"a{i}", f"a{i + 1}") for i in range(50)]) == []


def _spends(second: float, tokens: int, **fields: Any) -> Event:
    cost = {"cost_usd": 0.1, "cost_provenance": "declared", "model": "m"}
    return activity(second, "model_call", input_tokens=tokens, **(cost | fields))


def test_tokens_without_progress_are_told_at_the_limit_and_at_four_times_it() -> None:
    rows = found_by([_spends(i * 20, 20_000) for i in range(50)])
    assert told(rows) == [
        ("token_burn", "tokens_without_progress", 200_000.0, "medium"),
        ("token_burn", "tokens_without_progress", 800_000.0, "high"),
    ]
    assert second_of(rows[0]) == 9 * 20


@pytest.mark.parametrize(
    "progress", [{"kind": "edit"}, {"kind": "task"}, {"kind": "tool_call", "tool": "Bash"}, {"kind": "message"}]
)
def test_tokens_that_get_something_done_are_well_spent(progress: dict[str, str]) -> None:
    spent = [_spends(i * 20, 20_000) for i in range(50)]
    assert found_by([e for i, s in enumerate(spent) for e in (s, activity(i * 20 + 9, **progress))]) == []


def test_failed_tools_and_repeated_inputs_are_no_progress() -> None:
    failed = {"tool": "Bash", "status": "failed", "error_type": "exit_code"}
    spent = [_spends(i * 200, 20_000) for i in range(12)]
    again = [activity(i * 200 + 9, tool="Bash", input_hash="same", id=f"r{i}") for i in range(12)]
    rows = found_by([e for pair in zip(again, spent, strict=True) for e in pair])
    assert told(rows, "token_burn") == [("token_burn", "tokens_without_progress", 200_000.0, "medium")]
    rows = found_by([e for i, s in enumerate(spent) for e in (s, activity(i * 200 + 9, **failed))])
    assert dict(rows[-1]["evidence"])["failed_tool_calls"] == "9"


def _others(until: float, *, since: float = 0) -> list[Event]:
    """Another agent that works on all the while."""
    return [activity(float(t), tool="Read", agent_id="other") for t in range(int(since), int(until), 30)]


def _work(second: float, **fields: Any) -> Event:
    return activity(second, **({"kind": "task", "agent_id": "a", "status": "running", "id": "work"} | fields))


def _ordered(*parts: list[Event]) -> list[Event]:
    return sorted((e for part in parts for e in part), key=lambda e: e.get("ended_at") or e["started_at"])


def test_an_agent_that_falls_silent_over_its_work_is_dead() -> None:
    rows = found_by(_ordered([_work(0)], _others(30 * MIN)))
    assert told(rows) == [("agent_state", "agent_silence", 690_000.0, "high")]
    assert dict(rows[0]["evidence"])["state"] == "dead"
    assert 10 * MIN <= second_of(rows[0]) <= 12 * MIN


def test_an_agent_that_speaks_but_never_ends_a_tool_call_is_stuck() -> None:
    speaks = [activity(float(t), tool="Read", agent_id="a") for t in range(60, 50 * MIN, 60)]
    rows = found_by(_ordered([_work(0, kind="tool_call", tool="Bash")], speaks))
    assert [(row["reason"].split(":")[0], row["severity"]) for row in rows] == [("a is stuck", "medium")]
    assert 30 * MIN <= second_of(rows[0]) <= 31 * MIN


def test_an_agent_that_waits_is_waiting_and_neither_dead_nor_stuck() -> None:
    rows = found_by(_ordered([_work(0, status="blocked")], _others(3 * 60 * MIN)))
    assert [dict(row["evidence"])["state"] for row in rows] == ["waiting"]
    assert 30 * MIN <= second_of(rows[0]) <= 31 * MIN


@pytest.mark.parametrize(
    "quiet",
    [
        [_work(0), activity(5, "lifecycle", agent_id="a", tags={"event": "paused"})],
        [_work(0), activity(5, "lifecycle", agent_id="a", tags={"event": "stopped"})],
        [_work(0), _work(5, status="completed", id="work")],
        [activity(0, tool="Read", agent_id="a")],
    ],
    ids=["paused", "stopped", "done", "idle"],
)
def test_paused_stopped_done_and_idle_agents_are_left_alone(quiet: list[Event]) -> None:
    assert found_by(_ordered(quiet, _others(5 * 60 * MIN, since=10))) == []


def test_a_swarm_that_slept_as_a_whole_has_no_dead_agents() -> None:
    slept = [_work(0), *_others(60), *_others(8 * 60 * MIN + 300, since=8 * 60 * MIN)]
    wakes = activity(8 * 60 * MIN + 20.0, tool="Read", agent_id="a")
    # Its one task has been running for eight hours all the same: that is said, and nothing else.
    assert told(found_by(_ordered(slept, [wakes]))) == [("agent_state", "work_age", 28_820_000.0, "medium")]
