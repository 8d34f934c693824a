"""Transcripts with damage, and places without any: the rest is imported, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.claude_code.discovery import default_roots, transcripts
from interfaces.importers.paths import NothingToImportError
from tests.support.imported import imported, of_kind, one
from tests.support.transcripts import SECRET, Author, at_ms, text, tool_use, usage, write


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
