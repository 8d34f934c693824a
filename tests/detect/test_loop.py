"""An agent that goes round in circles is found; one that works hard is not."""

from __future__ import annotations

import pytest

from tests.support.detecting import Event, activity, found_by, second_of, told


def _calls(inputs: str, *, every: float = 2.0) -> list[Event]:
    return [activity(i * every, tool="Bash", input_hash=name, agent_id="a") for i, name in enumerate(inputs)]


def test_the_fifth_same_call_in_a_row_is_a_loop_and_is_told_once() -> None:
    rows = found_by(_calls("xy" + "z" * 12))
    assert told(rows) == [("loop", "repeated_calls", 5.0, "medium")]
    (row,) = rows
    assert second_of(row) == 12.0
    assert (row["evidence_from_offset"], row["evidence_to_offset"]) == (2, 6)
    assert dict(row["evidence"]) == {"input_hash": "z", "period": "1", "tool": "Bash"}
    assert "5 times in a row" in row["reason"]


def test_four_times_the_limit_is_told_again_and_is_worse() -> None:
    assert told(found_by(_calls("z" * 40))) == [
        ("loop", "repeated_calls", 5.0, "medium"),
        ("loop", "repeated_calls", 20.0, "high"),
    ]


@pytest.mark.parametrize(("circle", "calls"), [("xy", 8), ("xyz", 12), ("xxy", 12)])
def test_two_or_three_calls_in_turn_are_a_circle(circle: str, calls: int) -> None:
    (row,) = found_by(_calls("abc" + circle * 5))
    assert row["value"] == calls
    assert second_of(row) == (3 + calls - 1) * 2.0


@pytest.mark.parametrize(
    "inputs",
    ["zzzz", "zzzzyzzzzy", "axbxcxdxexfxgx", "abcdefghij" * 3],
    ids=["four", "broken", "edit and test", "ten in turn"],
)
def test_repetition_with_something_new_in_it_is_work(inputs: str) -> None:
    assert found_by(_calls(inputs)) == []


def test_polling_once_in_two_minutes_is_waiting() -> None:
    assert found_by(_calls("z" * 30, every=120.0)) == []


def test_calls_without_an_input_hash_are_never_the_same() -> None:
    assert found_by([activity(i, tool="Bash") for i in range(50)]) == []


def _failures(count: int, **fields: object) -> list[Event]:
    failed = {"tool": "Edit", "status": "failed", "error_type": "invalid_input", **fields}
    return [activity(i, input_hash=f"{i}", lasted=0.4, **failed) for i in range(count)]


def test_the_same_error_five_times_in_a_row_is_a_loop() -> None:
    rows = found_by(_failures(9))
    assert told(rows) == [("loop", "repeated_errors", 5.0, "medium")]
    assert second_of(rows[0]) == 4.0
    assert dict(rows[0]["evidence"]) == {"error_type": "invalid_input", "tool": "Edit"}


def test_a_success_between_two_errors_begins_anew() -> None:
    mixed = [activity(i, tool="T", status="completed" if i % 5 == 4 else "failed", error_type="") for i in range(50)]
    assert found_by(mixed) == []


def test_errors_side_by_side_are_one_attempt_and_errors_far_apart_are_a_persons() -> None:
    assert found_by([event | {"started_at": event["started_at"] - 20_000} for event in _failures(20)]) == []
    failed = {"tool": "ExitPlanMode", "status": "failed", "error_type": "tool_error"}
    assert found_by([activity(i * 300, **failed) for i in range(20)]) == []


def test_what_a_person_refused_is_no_error_of_the_agent() -> None:
    assert found_by(_failures(30, error_type="user_rejected")) == []


def test_agents_are_told_apart() -> None:
    calls = [activity(i, tool="Bash", input_hash="z", agent_id=f"a{i % 4}") for i in range(16)]
    assert found_by(calls) == []


def test_an_agent_that_goes_from_circle_to_circle_is_told_once_in_ten_minutes() -> None:
    circles = "".join(name * 6 for name in "abcdefghijklmnopqrstuvwxyz")
    (row,) = found_by(_calls(circles))
    assert second_of(row) == 8.0
    again = found_by(_calls(circles, every=5.0))  # 13 minutes of it
    assert [second_of(row) for row in again] == [20.0, 620.0]
