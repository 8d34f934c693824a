"""Laws of the importers, on the real transcripts and on whatever hypothesis invents."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.importers.chunk import Chunk, event_time_ms, valid_events
from interfaces.importers.claude_code.discovery import transcripts
from interfaces.importers.claude_code.emission import QUIET_MS, activities
from interfaces.importers.claude_code.reader import Transcripts
from interfaces.importers.fields import as_time_ms
from interfaces.importers.issues import Issues
from interfaces.importers.records import EVENTS_PER_RECORD, pack
from models.events import TERMINAL_STATUSES, ActivityEvent
from murmur.options import RECORD_BYTES_MAX

DATA = Path(__file__).parents[3] / "shared" / "data" / "claude_code" / "sessions"
real = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/claude_code is not here")

Event = dict[str, Any]


def read_all(paths: list[Path], *, now_ms: int | None = None) -> list[Event]:
    read = Transcripts()
    for path in paths:
        read.read(path)
    return list(activities(read, now_ms=now_ms))


@real
@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 30))
def test_what_is_final_in_a_growing_transcript_is_the_same_when_it_has_grown(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    path = chance.choice(sorted(DATA.glob("*.jsonl")))
    lines = path.read_bytes().splitlines(keepends=True)
    cut = chance.randrange(1, len(lines) + 1)
    prefix = tmp_path_factory.mktemp("cut") / path.name
    prefix.write_bytes(b"".join(lines[:cut]))
    last_ms = max(as_time_ms(json.loads(line)["timestamp"]) or 0 for line in lines[:cut])
    full = {event["id"]: event for event in read_all([path])}
    for event in read_all([prefix], now_ms=last_ms + QUIET_MS // 2):
        assert event["id"] in full
        if event["status"] in TERMINAL_STATUSES and event["kind"] != "session":
            assert event == full[event["id"]]


@real
def test_the_order_of_reading_session_files_does_not_matter() -> None:
    paths = transcripts([DATA], defaults=[])
    shuffled = random.Random(7).sample(paths, len(paths))
    assert read_all(paths) == read_all(shuffled)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=4,  # the reader looks three levels deep; a line has twenty of these
)
KEYS = (
    "type", "uuid", "parentUuid", "sessionId", "timestamp", "version", "isSidechain", "agentId", "requestId", "message",
    "toolUseResult", "data", "parentToolUseID", "subtype", "durationMs", "compactMetadata", "retryAttempt", "costUSD",
    "cwd", "error",
)  # fmt: skip
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["tool_use", "tool_result", "text"])},
    optional={"id": JSON, "tool_use_id": JSON, "name": JSON, "input": JSON, "is_error": JSON, "content": JSON},
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["m1", "m2"]) | JSON,
        "role": st.sampled_from(["user", "assistant"]) | JSON,
        "model": st.just("claude-opus-4-6") | JSON,
        "content": st.lists(BLOCK, max_size=3) | JSON,
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "cache_creation"]), JSON) | JSON,
        "stop_reason": JSON,
    },
)
LINE = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(KEYS, JSON),
        "type": st.sampled_from(["user", "assistant", "system", "progress"]) | JSON,
        "subtype": st.sampled_from(["turn_duration", "api_error", "compact_boundary"]) | JSON,
        "sessionId": st.sampled_from(["s1", "s2"]) | JSON,
        "uuid": st.sampled_from(["u1", "u2", "u3"]) | JSON,
        "timestamp": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"]) | JSON,
        "message": MESSAGE | JSON,
    },
)


@settings(max_examples=150)
@given(lines=st.lists(LINE, max_size=8), now_ms=st.none() | st.just(1_767_225_610_000))
def test_any_json_is_read_without_an_exception_into_valid_events(
    lines: list[dict[str, Any]], now_ms: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "s1.jsonl"  # one file, written anew: 150 folders would be most of the work
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    events = read_all([path], now_ms=now_ms)
    issues = Issues()
    chunk = Chunk()
    for event in events:
        chunk.add(event)
    valid = valid_events(chunk, issues)
    assert len(valid) + issues.total == len(events)
    assert len({event["id"] for event in events}) == len(events)
    for event in valid:
        ActivityEvent.model_validate(msgspec.json.decode(msgspec.json.encode(event)))


METRIC = st.builds(
    lambda swarm, at_ms, size: {"swarm_id": swarm, "metric": "m", "timestamp": at_ms, "value": 1, "id": "x" * size},
    st.sampled_from(["a", "b", "c"]),
    st.integers(1_767_225_600_000, 1_767_225_700_000),
    st.integers(0, 50),
)


@settings(max_examples=100)
@given(events=st.lists(METRIC, max_size=1200), span_ms=st.sampled_from([0, 5_000, 1_000_000]))
def test_packing_keeps_every_event_once_in_order_of_time(events: list[Event], span_ms: int) -> None:
    records = list(pack(events, topic_prefix="t.", span_ms=span_ms))
    unpacked: list[Event] = []
    for record in records:
        inside = msgspec.json.decode(record.value)
        assert record.topic == "t.swarm.metrics"
        assert {event["swarm_id"].encode() for event in inside} == {record.key}
        assert len(inside) == record.events <= EVENTS_PER_RECORD
        times = [event_time_ms(event) for event in inside]
        assert times == sorted(times)
        assert times[-1] - times[0] <= span_ms
        unpacked.extend(inside)
    # No event stands behind one of any swarm that is more than the span younger: none is late for the watermark.
    newest_ms = 0
    for event in unpacked:
        assert event["timestamp"] >= newest_ms - span_ms
        newest_ms = max(newest_ms, event["timestamp"])
    assert sorted(map(repr, unpacked)) == sorted(map(repr, events))


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(300_000, 400_000), min_size=4, max_size=12))
def test_a_record_never_passes_its_bound_in_bytes(sizes: list[int]) -> None:
    events = [
        {"swarm_id": "a", "metric": "m", "timestamp": 1_767_225_600_000, "value": 1, "tags": {"k": "x" * size}}
        for size in sizes
    ]
    records = list(pack(events, topic_prefix="", span_ms=5_000))
    assert sum(record.events for record in records) == len(events)
    assert all(len(record.value) <= RECORD_BYTES_MAX for record in records)
