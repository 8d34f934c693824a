"""Execution JSONL -> task activities and what their models used: one line, one execution of an agent.

In: lines {timestamp, agent_name, task_hash, success, execution_time_ms, model, input_tokens, output_tokens,
total_tokens, estimated_cost, workflow_id?, error_type?}. Out: chunks. Never: fills what a line does not say.

`timestamp` is the moment of writing, so the end. Input tokens count as uncached: the format knows no cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from interfaces.importers.chunk import Chunk, Event
from interfaces.importers.fields import as_count, as_number, as_text, as_time_ms
from interfaces.importers.identity import ContentIds
from interfaces.importers.issues import Issues
from interfaces.importers.jsonl import read_objects
from interfaces.importers.pipeline import Summary

SOURCE = "executions"
CHUNK_EVENTS = 50_000  # about 50 MB of dicts
_TEXT_FIELDS = ("agent_name", "task_hash", "model", "workflow_id", "error_type")


def chunks(
    path: Path, summary: Summary, *, swarm: str = "", on_bytes: Callable[[int], None] | None = None
) -> Iterator[Chunk]:
    """Chunks of the file's lines. A line's swarm: `swarm`, else its workflow_id, else the file's name."""
    ids = ContentIds("ex")
    summary.facts |= {"files": 1, "lines": 0}
    chunk = Chunk()
    for number, entry in read_objects(path, summary.issues, on_bytes=on_bytes):
        summary.facts["lines"] += 1
        for event in _executed(entry, ids, swarm, path, number, summary.issues):
            chunk.add(event, str(path), number)
        if len(chunk.events) >= CHUNK_EVENTS:
            yield chunk
            chunk = Chunk()
    if chunk.events:
        yield chunk


def _executed(
    entry: dict[str, Any], ids: ContentIds, swarm: str, path: Path, number: int, issues: Issues
) -> list[Event]:
    """The activities of one line; none when a value in it is not what its name says."""

    def wrong(reason: str) -> list[Event]:
        issues.add(str(path), number, reason, kind="wrong value")
        return []

    ended_ms = as_time_ms(entry.get("timestamp"))
    if ended_ms is None:
        return wrong(f"timestamp {entry.get('timestamp')!r} is not a time")
    success = entry.get("success")
    if not isinstance(success, bool):
        return wrong(f"success {success!r} is neither true nor false")
    for name in _TEXT_FIELDS:
        if entry.get(name) is not None and not isinstance(entry[name], str):
            return wrong(f"{name} {entry[name]!r} is not a text")
    numbers: dict[str, float | int | None] = {}
    for name, read in (
        ("execution_time_ms", as_number),
        ("estimated_cost", as_number),
        ("input_tokens", as_count),
        ("output_tokens", as_count),
        ("total_tokens", as_count),
    ):
        found = numbers[name] = read(entry.get(name))
        if entry.get(name) is not None and (found is None or found < 0):
            return wrong(f"{name} {entry[name]!r} is not a number >= 0")
    workflow = as_text(entry.get("workflow_id"))
    swarm_id = swarm or workflow or path.stem
    known = sorted((key, value) for key, value in entry.items() if key in _IDENTIFYING)
    return _activities(entry, numbers, ids.of(swarm_id, known), swarm_id, ended_ms=ended_ms, success=success)


def _activities(
    entry: dict[str, Any], numbers: dict[str, Any], execution_id: str, swarm_id: str, *, ended_ms: int, success: bool
) -> list[Event]:
    """The execution as a task; what its model used as one model call without a duration of its own.

    So tokens and cost are counted where all model calls are, and are priced like them when the line has no cost.
    """
    duration_ms = numbers["execution_time_ms"]
    task_hash = as_text(entry.get("task_hash"))
    started_ms = ended_ms if duration_ms is None else ended_ms - round(duration_ms)
    workflow = as_text(entry.get("workflow_id"))
    common: Event = {
        "swarm_id": swarm_id,
        "run_id": workflow,
        "agent_id": as_text(entry.get("agent_name")),
        "workflow": workflow,
        "started_at": started_ms,
        "ended_at": ended_ms,
        # Executions with one hash are repeats of one task: compared as one unit, and paired across swarms.
        "task_id": task_hash or execution_id,
        "task_hash": task_hash,
        "model": as_text(entry.get("model")),
    }
    task = common | {
        "id": execution_id,
        "kind": "task",
        "status": "completed" if success else "failed",
        "success": success,
        "duration_ms": duration_ms,
        "error_type": as_text(entry.get("error_type")),
        "tags": {"source": SOURCE},
    }
    used = {name: numbers[name] for name in ("input_tokens", "output_tokens")}
    if all(value is None for value in (*used.values(), numbers["total_tokens"], numbers["estimated_cost"])):
        return [task]
    call = (
        common
        | used
        | {
            "id": f"{execution_id}:model",
            "kind": "model_call",
            "status": "completed",
            "tags": {"source": SOURCE, "covers": "execution"},
        }
    )
    if numbers["total_tokens"] is not None and None in used.values():
        call["tags"]["total_tokens"] = str(numbers["total_tokens"])
    if numbers["estimated_cost"] is not None:
        call |= {"cost_usd": numbers["estimated_cost"], "cost_provenance": "estimated"}
    return [task, call]


_IDENTIFYING = frozenset(
    {"timestamp", "success", "execution_time_ms", "input_tokens", "output_tokens", "total_tokens", "estimated_cost"}
    | set(_TEXT_FIELDS)
)
