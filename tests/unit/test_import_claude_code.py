"""Transcripts that are not in the real data: other versions, split responses, unfinished sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.imported import imported, of_kind, one
from tests.support.transcripts import SECRET, Author, at_ms, text, thinking, tool_use, usage, write


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
