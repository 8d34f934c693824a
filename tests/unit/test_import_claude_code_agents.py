"""Transcripts of sub-agents and resumed sessions: a response counts once, for the agent and session it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.imported import imported, of_kind, one
from tests.support.transcripts import SECRET, Author, at_ms, tool_use, usage, write


def delegating(session: str = "s1") -> Author:
    main = Author(session)
    main.user(0)
    main.assistant(1, "m1", tool_use("t1", "Task", subagent_type="Explore", prompt=SECRET), usage=usage(output=5))
    return main


def test_a_sub_agents_file_gives_an_agent_with_role_and_parent(tmp_path: Path) -> None:
    main, sub = delegating(), Author("s1", agent="a1b2")
    sub.user(2)
    sub.assistant(4, "m2", tool_use("t2"), usage=usage(output=7), model="claude-haiku-4-5")
    sub.result(5, "t2")
    main.result(6, "t1", result={"agentId": "a1b2", "status": "completed", "totalDurationMs": 4000, "content": SECRET})
    write(tmp_path / "s1.jsonl", main.lines)
    write(tmp_path / "s1" / "subagents" / "agent-a1b2.jsonl", sub.lines)
    events, _ = imported(tmp_path)
    agent = one(events, "task")
    assert (agent["agent_id"], agent["parent_agent_id"], agent["role"]) == ("a1b2", "main", "Explore")
    assert (agent["status"], agent["started_at"], agent["ended_at"]) == ("completed", at_ms(2), at_ms(5))
    (call,) = (c for c in of_kind(events, "model_call") if c["agent_id"] == "a1b2")
    assert (call["duration_ms"], call["model"], call["swarm_id"]) == (2000, "claude-haiku-4-5", "s1")
    assert {t["agent_id"] for t in of_kind(events, "tool_call")} == {"main", "a1b2"}
    assert one(events, "session")["tags"]["models"] == "claude-haiku-4-5,claude-opus-4-6"


def test_an_agent_file_beside_its_session_and_a_meta_file_are_understood(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1")
    sub = Author("s1", agent="a1")
    sub.user(2)
    sub.assistant(3, "m2")
    write(tmp_path / "s1.jsonl", main.lines)
    write(tmp_path / "agent-a1.jsonl", sub.lines)
    (tmp_path / "agent-a1.meta.json").write_text('{"agentType": "reviewer"}')
    agent = one(imported(tmp_path)[0], "task")
    assert (agent["agent_id"], agent["role"], agent["parent_agent_id"]) == ("a1", "reviewer", "main")


def test_a_message_inline_and_in_the_sub_agents_file_counts_once(tmp_path: Path) -> None:
    main, sub = delegating(), Author("s1", agent="a1")
    sub.user(2)
    sub.assistant(4, "m2", tool_use("t2"), usage=usage(output=7))
    for seconds, line in zip((2, 4), list(sub.lines), strict=True):
        inner = {key: line[key] for key in ("type", "timestamp", "message", "requestId") if key in line}
        progress = {"type": "agent_progress", "agentId": "a1", "prompt": SECRET, "message": inner}
        main.line("progress", seconds, data=progress, toolUseID="agent_msg", parentToolUseID="t1")
    main.result(6, "t1")
    write(tmp_path / "s1.jsonl", main.lines)
    alone, _ = imported(tmp_path)
    write(tmp_path / "s1" / "subagents" / "agent-a1.jsonl", sub.lines)
    both, _ = imported(tmp_path)
    assert {e["id"] for e in alone} == {e["id"] for e in both}
    (call,) = (c for c in of_kind(both, "model_call") if c["agent_id"] == "a1")
    assert (call["duration_ms"], call["role"], call["output_tokens"]) == (2000, "Explore", 7)


def test_a_sub_agent_of_a_sub_agent_has_that_one_as_its_parent(tmp_path: Path) -> None:
    main, first, second = delegating(), Author("s1", agent="a1"), Author("s1", agent="a2")
    first.user(2)
    first.assistant(3, "m2", tool_use("t2", "Agent", subagent_type="Plan"))
    second.user(4)
    second.assistant(5, "m3")
    first.result(6, "t2", result={"agentId": "a2"})
    main.result(7, "t1", result={"agentId": "a1"})
    write(tmp_path / "s1.jsonl", main.lines)
    write(tmp_path / "s1/subagents/agent-a1.jsonl", first.lines)
    write(tmp_path / "s1/subagents/agent-a2.jsonl", second.lines)
    agents = {e["agent_id"]: (e["parent_agent_id"], e["role"]) for e in of_kind(imported(tmp_path)[0], "task")}
    assert agents == {"a1": ("main", "Explore"), "a2": ("a1", "Plan")}


def test_the_main_agents_copy_of_a_message_wins_over_a_side_chains(tmp_path: Path) -> None:
    main, fork = Author("s1"), Author("s1", agent="a1")
    main.user(0)
    main.assistant(1, "m1", tool_use("t1"), usage=usage(output=5))
    main.result(2, "t1")
    fork.user(10)
    fork.assistant(11, "m1", tool_use("t1"), usage=usage(output=5))
    write(tmp_path / "s1.jsonl", main.lines)
    write(tmp_path / "s1/subagents/agent-a1.jsonl", fork.lines)
    events, _ = imported(tmp_path)
    call = one(events, "model_call")
    assert (call["agent_id"], call["ended_at"]) == ("main", at_ms(1))
    assert one(events, "tool_call")["agent_id"] == "main"
    assert not of_kind(events, "task"), "an agent without a call of its own did nothing"


def test_the_main_agents_copy_wins_also_when_the_side_chains_stands_before_it(tmp_path: Path) -> None:
    main, side = Author("s1"), Author("s1", agent="a1")
    side.user(10)
    side.assistant(11, "m1", tool_use("t1"), usage=usage(output=9))
    main.user(0)
    main.assistant(1, "m1", tool_use("t1"), usage=usage(output=5))
    main.result(2, "t1")
    write(tmp_path / "s1.jsonl", side.lines + main.lines)
    events, _ = imported(tmp_path)
    call, tool = one(events, "model_call"), one(events, "tool_call")
    assert (call["agent_id"], call["started_at"], call["ended_at"]) == ("main", at_ms(0), at_ms(1))
    assert call["output_tokens"] == 9
    assert (tool["agent_id"], tool["started_at"], tool["duration_ms"]) == ("main", at_ms(1), 1000)


def test_a_side_chain_without_an_agent_id_becomes_one_agent_of_its_spawning_call(tmp_path: Path) -> None:
    main, side = delegating(), Author("s1", sidechain=True)
    side.user(2)
    side.assistant(3, "m2")
    side.assistant(4, "m3")
    main.result(5, "t1")
    lines = sorted(main.lines + side.lines, key=lambda line: line["timestamp"])
    write(tmp_path / "s1.jsonl", lines)
    agent = one(imported(tmp_path)[0], "task")
    assert (agent["parent_agent_id"], agent["role"]) == ("main", "Explore")
    calls = [c for c in of_kind(imported(tmp_path)[0], "model_call") if c["agent_id"] == agent["agent_id"]]
    assert [call["duration_ms"] for call in calls] == [1000, 1000]


@pytest.mark.parametrize("new_uuids", [False, True])
def test_a_resumed_session_that_repeats_earlier_lines_counts_them_once_for_the_first(
    tmp_path: Path, new_uuids: bool
) -> None:
    first = Author("first")
    first.user(0)
    first.assistant(1, "m1", tool_use("t1"), usage=usage(output=5))
    first.result(2, "t1")
    resumed = Author("zz-resumed")
    resumed.lines = [{**line, "sessionId": "zz-resumed"} for line in first.lines]
    if new_uuids:
        resumed.lines = [{**line, "uuid": f"copy-{line['uuid']}"} for line in resumed.lines]
    resumed.user(100)
    resumed.assistant(101, "m2", usage=usage(output=6))
    # The resumed file sorts first by name, so that the order of names cannot decide.
    write(tmp_path / "zz-first.jsonl", first.lines)
    write(tmp_path / "aa-resumed.jsonl", resumed.lines)
    events, read = imported(tmp_path)
    calls = {call["swarm_id"]: call["output_tokens"] for call in of_kind(events, "model_call")}
    assert calls == {"first": 5, "zz-resumed": 6}
    assert one(events, "tool_call")["swarm_id"] == "first"
    assert read.counts["repeated lines"] == (0 if new_uuids else 3)
