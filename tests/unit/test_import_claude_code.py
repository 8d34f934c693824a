"""Transcripts that are not in the real data: other versions, sub-agent files, resumed sessions, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.claude_code.discovery import default_roots, transcripts
from interfaces.importers.claude_code.emission import activities
from interfaces.importers.claude_code.reader import Transcripts
from interfaces.importers.paths import NothingToImportError
from models.events import ActivityEvent
from tests.support.transcripts import SECRET, Author, at_ms, text, thinking, tool_use, usage, write

Event = dict[str, Any]


def imported(root: Path, *, now_ms: int | None = None, swarm: str = "") -> tuple[list[Event], Transcripts]:
    read = Transcripts()
    for path in transcripts([root], defaults=[]):
        read.read(path)
    events = list(activities(read, now_ms=now_ms, swarm=swarm))
    for event in events:
        ActivityEvent.model_validate(event)
        assert SECRET not in json.dumps(event)
    return events, read


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["kind"] == kind]


def one(events: list[Event], kind: str) -> Event:
    (event,) = of_kind(events, kind)
    return event


def test_lines_of_one_response_are_one_call_with_the_maximum_of_each_count(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(2, "m1", thinking(), usage=usage(read=100, write=50, output=1, uncached=3))
    main.assistant(3, "m1", text(), usage=usage(read=100, write=50, output=40, uncached=3))
    main.assistant(4, "m1", tool_use("t1"), usage=usage(read=100, write=50, output=7, uncached=3))
    write(tmp_path / "s1.jsonl", main.lines)
    call = one(imported(tmp_path)[0], "model_call")
    assert (call["started_at"], call["ended_at"], call["duration_ms"]) == (at_ms(0), at_ms(4), 4000)
    assert (call["input_tokens"], call["cache_read_tokens"], call["output_tokens"]) == (3, 100, 40)
    assert "cost_usd" not in call


@pytest.mark.parametrize(
    ("given", "write_5m", "write_1h"),
    [
        (usage(write=70), 70, 0),
        (usage(write=70, cache_creation={"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 50}), 20, 50),
        (usage(write=70, cache_creation={"ephemeral_1h_input_tokens": 50}), 20, 50),
        (usage(write=70, cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}), 70, 0),
        ({"input_tokens": 1, "output_tokens": 2}, None, None),
    ],
)
def test_cache_writes_are_split_by_lifetime_where_the_transcript_says(
    tmp_path: Path, given: dict[str, Any], write_5m: int | None, write_1h: int | None
) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=given)
    write(tmp_path / "s1.jsonl", main.lines)
    call = one(imported(tmp_path)[0], "model_call")
    assert (call["cache_write_5m_tokens"], call["cache_write_1h_tokens"]) == (write_5m, write_1h)


def test_a_response_without_usage_is_a_call_with_unmeasured_tokens(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1")
    write(tmp_path / "s1.jsonl", main.lines)
    call = one(imported(tmp_path)[0], "model_call")
    assert [call[name] for name in call if name.endswith("_tokens")] == [None] * 5


def test_without_request_ids_the_message_id_alone_is_the_key(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage(output=1), request_id=None)
    main.assistant(2, "m1", usage=usage(output=9), request_id=None)
    main.assistant(3, "m2", usage=usage(output=5), request_id="r")
    main.assistant(4, "m2", usage=usage(output=6), request_id=None)
    write(tmp_path / "s1.jsonl", main.lines)
    calls = of_kind(imported(tmp_path)[0], "model_call")
    assert sorted(call["output_tokens"] for call in calls) == [6, 9]


def test_two_requests_with_one_message_id_are_two_calls(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage(output=1), request_id="r1")
    main.assistant(2, "m1", usage=usage(output=2), request_id="r2")
    write(tmp_path / "s1.jsonl", main.lines)
    assert len(of_kind(imported(tmp_path)[0], "model_call")) == 2


def test_the_tools_own_cost_is_kept_as_declared_and_never_becomes_the_cost(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage(output=1), costUSD=0.25)
    write(tmp_path / "s1.jsonl", main.lines)
    call = one(imported(tmp_path)[0], "model_call")
    assert call["tags"]["declared_cost_usd"] == "0.25"
    assert "cost_usd" not in call


def test_synthetic_lines_are_no_calls_and_api_errors_are_marks(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", model="<synthetic>", usage=usage(), request_id=None, isApiErrorMessage=True)
    main.line("system", 2, subtype="api_error", level="error", retryAttempt=3, error={"status": 529, "message": SECRET})
    write(tmp_path / "s1.jsonl", main.lines)
    events, read = imported(tmp_path)
    assert not of_kind(events, "model_call")
    assert read.counts["synthetic lines"] == 1
    errors = of_kind(events, "lifecycle")
    assert [(e["status"], e["error_type"]) for e in errors] == [("failed", "api_error")] * 2
    assert errors[1]["retries"] == 3
    assert errors[1]["tags"]["status_code"] == "529"


@pytest.mark.parametrize(
    ("result", "content", "error_type"),
    [
        ("Error: Exit code 1\n" + SECRET, SECRET, "exit_code"),
        ("User rejected tool use", "The user doesn't want to proceed with this tool use.", "user_rejected"),
        (None, [{"type": "text", "text": "<tool_use_error>InputValidationError: x</tool_use_error>"}], "invalid_input"),
        (None, "<tool_use_error>File has not been read yet</tool_use_error>", "invalid_use"),
        ("Error: Command timed out after 2m 0.0s", SECRET, "timeout"),
        ({"stdout": SECRET, "stderr": SECRET, "interrupted": True}, SECRET, "interrupted"),
        (["unexpected"], None, "tool_error"),
        (7, 7, "tool_error"),
    ],
)
def test_a_failed_tool_call_has_a_class_of_error_and_no_text(
    tmp_path: Path, result: Any, content: Any, error_type: str
) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", tool_use("t1"))
    main.result(3.5, "t1", content=content, is_error=True, result=result)
    write(tmp_path / "s1.jsonl", main.lines)
    tool = one(imported(tmp_path)[0], "tool_call")
    assert (tool["status"], tool["error_type"], tool["success"]) == ("failed", error_type, False)
    assert tool["duration_ms"] == 2500
    assert tool["tags"]["duration_includes"] == "approval"


def test_equal_arguments_have_an_equal_hash_and_different_ones_another(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", tool_use("t1", a=1, b=2), tool_use("t2", b=2, a=1), tool_use("t3", a=1))
    for tool_id in ("t1", "t2", "t3"):
        main.result(2, tool_id)
    write(tmp_path / "s1.jsonl", main.lines)
    first, second, third = (tool["input_hash"] for tool in of_kind(imported(tmp_path)[0], "tool_call"))
    assert first == second != third


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


def test_a_clock_that_runs_backwards_gives_no_duration_instead_of_a_negative_one(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(100)
    main.assistant(50, "m1", tool_use("t1"))
    main.result(40, "t1")
    write(tmp_path / "s1.jsonl", main.lines)
    events, _ = imported(tmp_path)
    for event in of_kind(events, "model_call") + of_kind(events, "tool_call"):
        assert "duration_ms" not in event
        assert event["ended_at"] >= event["started_at"]


def test_text_content_summaries_and_unknown_lines_do_no_harm(tmp_path: Path) -> None:
    main = Author("s1")
    main.lines.append({"type": "summary", "summary": SECRET, "leafUuid": "x", "uuid": "s"})
    main.lines.append({"type": "file-history-snapshot", "snapshot": {"timestamp": "x"}, "uuid": "f"})
    main.user(0, content=SECRET)
    main.line("attachment", 0.5, attachment={"type": "file", "content": SECRET})
    main.assistant(1, "m1", text(), {"type": "image", "source": {"data": SECRET}}, {"type": "never_seen"})
    main.line("something-new", 2, data=[1, 2])
    write(tmp_path / "s1.jsonl", main.lines)
    events, read = imported(tmp_path)
    assert read.issues.total == 0
    call = one(events, "model_call")
    assert call["started_at"] == at_ms(0.5), "the call answers the attachment"
    assert one(events, "session")["tags"]["project"] == "my-project"


def test_half_a_character_in_a_text_does_not_cost_the_line(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", {"type": "text", "text": "cut \ud83d"}, tool_use("t1", q="\ud83d"), usage=usage(output=5))
    main.result(2, "t1", content="\udc00")
    write(tmp_path / "s1.jsonl", main.lines)
    events, read = imported(tmp_path)
    assert read.issues.total == 0
    assert one(events, "model_call")["output_tokens"] == 5
    assert one(events, "tool_call")["input_hash"]


DAMAGE = [
    (b'{"type":"user","uuid":"x","message":{"ro', "half-written line"),
    (b'{"type":"user","timestamp":NaN}\n', "not JSON"),
    (b"\xff\xfe\x00broken\n", "not JSON"),
    (b"[1,2,3]\n", "not an object"),
    (b'"text"\n', "not an object"),
    (b'{"type":"user","sessionId":"s1","message":"text"}\n', "no message"),
    (b'{"type":"assistant","sessionId":"s1","message":{"id":"m9"},"timestamp":"yesterday"}\n', "no timestamp"),
    (b'{"type":"assistant","sessionId":"s1","message":{"id":"m9"},"timestamp":99}\n', "no timestamp"),
    (b"[" * 100_000 + b"\n", "not JSON"),
    (b'{"type":"user","text":"\\ud83d","timestamp":NaN}\n', "not JSON"),
]


@pytest.mark.parametrize(("damage", "kind"), DAMAGE)
def test_a_damaged_line_is_counted_and_named_and_the_rest_is_imported(tmp_path: Path, damage: bytes, kind: str) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage(output=5))
    path = write(tmp_path / "s1.jsonl", main.lines, tail=damage)
    events, read = imported(tmp_path)
    assert one(events, "model_call")["output_tokens"] == 5
    assert read.issues.counts == {kind: 1}
    assert str(read.issues.named[0]).startswith(f"{path.resolve()}:3: ")


@pytest.mark.parametrize("wrong", [-1, "5", True, 1.5, [5], {"a": 1}, 2**80, None])
def test_a_count_of_the_wrong_type_is_left_out_and_named(tmp_path: Path, wrong: Any) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage={"output_tokens": wrong, "input_tokens": 4})
    write(tmp_path / "s1.jsonl", main.lines)
    events, read = imported(tmp_path)
    call = one(events, "model_call")
    assert (call["output_tokens"], call["input_tokens"]) == (None, 4)
    assert read.issues.total == (0 if wrong is None else 1)


@pytest.mark.parametrize("usage_value", ["many", 5, [1], True])
def test_usage_that_is_no_object_is_named(tmp_path: Path, usage_value: Any) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage_value)
    write(tmp_path / "s1.jsonl", main.lines)
    assert imported(tmp_path)[1].issues.counts == {"wrong usage": 1}


def test_a_session_that_is_still_written_is_running_and_its_open_ends_wait(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", tool_use("t1"), usage=usage(output=5))
    main.result(2, "t1")
    main.assistant(3, "m2", tool_use("t2"), usage=usage(output=5))
    write(tmp_path / "s1.jsonl", main.lines)
    fresh, read = imported(tmp_path, now_ms=at_ms(4))
    session = one(fresh, "session")
    assert session["status"] == "running"
    assert "ended_at" not in session
    assert len(of_kind(fresh, "model_call")) == len(of_kind(fresh, "tool_call")) == 1
    assert (read.counts["calls still being written"], read.counts["tool calls still running"]) == (1, 1)

    settled, _ = imported(tmp_path, now_ms=at_ms(4000))
    assert one(settled, "session")["status"] == "completed"
    assert len(of_kind(settled, "model_call")) == 2
    unanswered = one(settled, "lifecycle")
    assert (unanswered["status"], unanswered["error_type"]) == ("blocked", "no_result")

    main.result(9000, "t2")
    write(tmp_path / "s1.jsonl", main.lines)
    answered = [tool for tool in of_kind(imported(tmp_path)[0], "tool_call") if tool["id"] == unanswered["id"]]
    assert len(answered) == 1, "the late result takes the place of the call without one"


def test_one_swarm_for_all_sessions_keeps_them_apart_as_runs(tmp_path: Path) -> None:
    for session in ("s1", "s2"):
        main = Author(session)
        main.user(0)
        main.assistant(1, f"m-{session}")
        write(tmp_path / f"{session}.jsonl", main.lines)
    plain, _ = imported(tmp_path)
    joined, _ = imported(tmp_path, swarm="all")
    assert {event["swarm_id"] for event in joined} == {"all"}
    assert {event["run_id"] for event in joined} == {"s1", "s2"}
    assert not {event["id"] for event in joined} & {event["id"] for event in plain}, "another swarm, other events"


def test_a_file_that_is_no_transcript_gives_nothing(tmp_path: Path) -> None:
    lines = [{"display": SECRET, "timestamp": 1_770_000_000_000, "project": "p", "sessionId": "s9"}]
    write(tmp_path / "history.jsonl", lines)
    events, read = imported(tmp_path)
    assert events == []
    assert read.counts["other lines"] == 1


def test_places_without_transcripts_are_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NothingToImportError, match="no such file or folder"):
        transcripts([tmp_path / "nowhere"], defaults=[])
    with pytest.raises(NothingToImportError, match=r"no \*.jsonl file"):
        transcripts([tmp_path], defaults=[])
    with pytest.raises(NothingToImportError, match=r"\.claude/projects.*give a path"):
        transcripts([], defaults=default_roots(tmp_path, None))


def test_the_config_folder_replaces_the_usual_places(tmp_path: Path) -> None:
    assert default_roots(tmp_path, f"{tmp_path}/a,{tmp_path}/b") == [tmp_path / "a/projects", tmp_path / "b/projects"]
    assert default_roots(tmp_path, None) == [tmp_path / ".claude/projects", tmp_path / ".config/claude/projects"]


def test_a_folder_given_twice_is_read_once(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    write(tmp_path / "project" / "s1.jsonl", main.lines)
    assert len(transcripts([tmp_path, tmp_path / "project", tmp_path / "project" / "s1.jsonl"], defaults=[])) == 1
