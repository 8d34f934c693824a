"""Execution JSONL: what a line becomes, and which lines are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.chunk import valid_events
from interfaces.importers.executions import chunks
from interfaces.importers.pipeline import Summary

Event = dict[str, Any]
LINE = {
    "timestamp": "2026-01-01T00:00:10Z",
    "agent_name": "coder",
    "task_hash": "abc",
    "success": True,
    "execution_time_ms": 1200.5,
    "model": "claude-opus-4-6",
    "input_tokens": 10,
    "output_tokens": 20,
    "total_tokens": 30,
    "estimated_cost": 0.01,
    "workflow_id": "wf-1",
}
END_MS = 1_767_225_610_000


def imported(path: Path, lines: list[Any], *, swarm: str = "") -> tuple[list[Event], Summary]:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = Summary()
    events = [e for chunk in chunks(path, summary, swarm=swarm) for e in valid_events(chunk, summary.issues)]
    return events, summary


def test_an_execution_is_a_task_and_the_use_of_a_model(tmp_path: Path) -> None:
    (task, call), summary = imported(tmp_path / "runs.jsonl", [LINE])
    assert summary.issues.total == 0
    assert (task["kind"], task["status"], task["success"], task["duration_ms"]) == ("task", "completed", True, 1200.5)
    assert (task["started_at"], task["ended_at"]) == (END_MS - 1200, END_MS)
    assert (task["swarm_id"], task["agent_id"], task["task_hash"]) == ("wf-1", "coder", "abc")
    assert not [name for name in task if name.endswith("_tokens") or name == "cost_usd"], "counted once, in the call"
    assert (call["kind"], call["input_tokens"], call["output_tokens"]) == ("model_call", 10, 20)
    assert (call["cost_usd"], call["cost_provenance"]) == (0.01, "estimated")
    assert "duration_ms" not in call, "an execution's time is not a call's latency"


def test_what_a_line_does_not_say_stays_unmeasured(tmp_path: Path) -> None:
    (task,), _ = imported(tmp_path / "runs.jsonl", [{"timestamp": END_MS, "success": False, "error_type": "timeout"}])
    assert (task["status"], task["success"], task["error_type"]) == ("failed", False, "timeout")
    assert (task["swarm_id"], task["started_at"]) == ("runs", END_MS)
    assert not {"duration_ms", "input_tokens", "model", "agent_id"} & set(task)


def test_a_swarm_that_was_given_wins_and_the_workflow_stays_the_run(tmp_path: Path) -> None:
    events, _ = imported(tmp_path / "runs.jsonl", [LINE], swarm="nightly")
    assert {(e["swarm_id"], e["run_id"]) for e in events} == {("nightly", "wf-1")}


def test_executions_with_one_hash_are_repeats_of_one_task_in_every_swarm(tmp_path: Path) -> None:
    events, _ = imported(tmp_path / "runs.jsonl", [LINE, LINE | {"success": False}, LINE | {"task_hash": None}])
    tasks, calls = ([e for e in events if e["kind"] == kind] for kind in ("task", "model_call"))
    assert [task["task_id"] for task in tasks] == ["abc", "abc", tasks[2]["id"]]
    assert [call["task_id"] for call in calls] == [task["task_id"] for task in tasks]
    assert len({e["id"] for e in events}) == 6
    other, _ = imported(tmp_path / "other.jsonl", [LINE], swarm="b")
    assert other[0]["task_id"] == "abc", "so that two swarms' executions of it can be paired"


def test_equal_lines_are_two_executions_and_a_second_reading_gives_the_same_ids(tmp_path: Path) -> None:
    first, _ = imported(tmp_path / "a.jsonl", [LINE, LINE, {**LINE, "unknown_field": 1}])
    second, _ = imported(tmp_path / "renamed.jsonl", [LINE, LINE, LINE, LINE])
    assert len({e["id"] for e in first}) == 6
    assert [e["id"] for e in first] == [e["id"] for e in second][:6]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "yesterday"),
        ("timestamp", 5),
        ("timestamp", None),
        ("success", "true"),
        ("success", None),
        ("execution_time_ms", "12"),
        ("execution_time_ms", -1),
        ("input_tokens", 1.5),
        ("output_tokens", True),
        ("total_tokens", -3),
        ("estimated_cost", "0.1"),
        ("model", 7),
        ("agent_name", ["x"]),
    ],
)
def test_a_line_with_a_wrong_value_is_refused_with_its_number(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "runs.jsonl"
    events, summary = imported(path, [LINE, {**LINE, field: value}, LINE])
    assert len(events) == 4
    (issue,) = summary.issues.named
    assert str(issue).startswith(f"{path}:2: {field} ")
