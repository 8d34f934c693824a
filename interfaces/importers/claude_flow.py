"""claude-flow's `.claude-flow/metrics/*.json` -> metric and activity events.

In: the files of one or several machines. Out: chunks. Never: takes a field that the tool never fills for a measurement.

What the files say, and what it is worth:
- system-metrics: samples every 30 s; `measured`. `cpuLoad` is load / CPUs and may pass 1.
- task-metrics: commands with a duration (measured). `success` is always true, so it is kept as a tag and not believed;
  false would mean something. A command names no agent: its type stands in, so that types have series of their own.
- performance, agent-metrics, token-usage: counters the tool keeps about itself; `declared`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from interfaces.importers.chunk import Chunk, Event
from interfaces.importers.claude_flow_counters import agent_metrics, performance, token_usage
from interfaces.importers.fields import as_count, as_number, as_text, as_time_ms
from interfaces.importers.identity import ContentIds, event_id, text_digest
from interfaces.importers.issues import Issues
from interfaces.importers.json_file import read_json
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

SOURCE = "claude-flow"
# `system-metrics.json`, or `system-metrics.<machine>.json` where files of several machines were gathered
_FILE = re.compile(r"(system-metrics|task-metrics|performance|agent-metrics|token-usage)(?:\.(.+))?\.json\Z")

Add = Callable[[Event, int], None]


def metric_files(root: Path) -> list[Path]:
    """The metrics files at or under `root`, which is a file, a project, its `.claude-flow` or its `metrics` folder."""
    if root.is_file():
        if _FILE.match(root.name) is None:
            raise NothingToImportError(
                f"{root}: not a claude-flow metrics file; it must be named system-metrics, task-metrics, performance, "
                "agent-metrics or token-usage, then .json"
            )
        return [root]
    if not root.is_dir():
        raise NothingToImportError(f"{root}: no such file or folder")
    found = sorted(path for path in root.rglob("*.json") if path.is_file() and _FILE.match(path.name))
    if not found:
        raise NothingToImportError(f"{root}: no claude-flow metrics file (system-metrics.json ...) in this folder")
    return found


def swarm_of(path: Path) -> str:
    """The machine in the file's name, else the project's folder."""
    match = _FILE.match(path.name)
    if match is not None and match[2]:
        return match[2]
    folder = path.resolve().parent
    while folder.name in {"metrics", ".claude-flow", "verbatim"} and folder != folder.parent:
        folder = folder.parent
    return folder.name or SOURCE


def chunks(
    files: Sequence[Path], summary: Summary, *, swarm: str = "", on_bytes: Callable[[int], None] | None = None
) -> Iterator[Chunk]:
    """One chunk a file: its samples are few and already in order of time."""
    summary.facts |= {"files": len(files), "samples": 0, "tasks": 0, "counters": 0}
    for path in files:
        chunk = _chunk(path, swarm or swarm_of(path), summary)
        if on_bytes is not None:
            on_bytes(path.stat().st_size)
        if chunk.events:
            yield chunk


def _chunk(path: Path, swarm: str, summary: Summary) -> Chunk:
    chunk = Chunk()
    document = read_json(path, summary.issues)
    if document is None:
        return chunk
    match = _FILE.match(path.name)
    assert match is not None
    reader = _Reader(str(path), swarm, summary.issues, chunk)
    name = match[1]
    if name == "system-metrics":
        summary.facts["samples"] += reader.list_of(document, reader.sample)
    elif name == "task-metrics":
        summary.facts["tasks"] += reader.list_of(document, reader.task)
    else:
        parse = {"performance": performance, "agent-metrics": agent_metrics, "token-usage": token_usage}[name]
        for event in parse(document, swarm, str(path), summary.issues):
            chunk.add(event, str(path))
        summary.facts["counters"] += len(chunk.events)
    return chunk


class _Reader:
    """Reads the entries of one file; an entry is named by its position, counted from 1."""

    def __init__(self, path: str, swarm: str, issues: Issues, chunk: Chunk) -> None:
        self._path = path
        self._swarm = swarm
        self._issues = issues
        self._chunk = chunk
        self._ids = ContentIds("cf")

    def list_of(self, document: Any, entry: Callable[[int, dict[str, Any]], bool]) -> int:
        """Reads each entry of the document; returns how many gave events."""
        if not isinstance(document, list):
            self._issues.add(self._path, 0, f"must be a list, is {type(document).__name__}", kind="wrong shape")
            return 0
        used = 0
        for number, item in enumerate(document, 1):
            if isinstance(item, dict):
                used += entry(number, item)
            else:
                self._issue(number, f"is {type(item).__name__}, not an object", "wrong shape")
        return used

    def sample(self, number: int, entry: dict[str, Any]) -> bool:
        """One line of system-metrics: up to four measurements of one moment."""
        at_ms = as_time_ms(entry.get("timestamp"))
        if at_ms is None:
            self._issue(number, f"timestamp {entry.get('timestamp')!r} is not a time", "no timestamp")
            return False
        percent = self._number(number, entry, "memoryUsagePercent")
        values = (
            ("memory_usage", self._number(number, entry, "memoryUsed"), "bytes"),
            ("memory_usage_ratio", None if percent is None else percent / 100, "ratio"),
            ("cpu_load_ratio", self._number(number, entry, "cpuLoad"), "ratio"),
            ("uptime_s", self._number(number, entry, "uptime"), "s"),
        )
        cpus = as_count(entry.get("cpuCount"))
        tags = {"source": SOURCE, "platform": as_text(entry.get("platform")), "cpus": "" if cpus is None else str(cpus)}
        kept = {key: text for key, text in tags.items() if text}
        for metric, value, unit in values:
            if value is not None:
                event: Event = {
                    "id": self._ids.of(self._swarm, metric, at_ms, value),
                    "swarm_id": self._swarm,
                    "metric": metric,
                    "timestamp": at_ms,
                    "value": value,
                    "unit": unit,
                    "category": "resource",
                    "tags": kept,
                }
                self._chunk.add(event, f"{self._path} entry {number}")
        return True

    def task(self, number: int, entry: dict[str, Any]) -> bool:
        """One line of task-metrics: a command that ended at `timestamp` after `duration` ms."""
        at_ms = as_time_ms(entry.get("timestamp"))
        kind = as_text(entry.get("type")) or "unknown"
        if at_ms is None:
            self._issue(number, f"timestamp {entry.get('timestamp')!r} is not a time", "no timestamp")
            return False
        duration_ms = self._number(number, entry, "duration")
        if duration_ms is not None and duration_ms < 0:
            self._issue(number, f"duration {duration_ms} is negative", "wrong value")
            duration_ms = None
        task_id = as_text(entry.get("id")) or f"{kind}@{at_ms}"
        failed = entry.get("success") is False
        event: Event = {
            "id": event_id("cf", "task", text_digest(self._swarm), task_id),
            "swarm_id": self._swarm,
            "agent_id": kind,
            "role": kind,
            "workflow": kind,
            "task_id": task_id,
            "kind": "task",
            "status": "failed" if failed else "completed",
            "started_at": at_ms if duration_ms is None else at_ms - round(duration_ms),
            "ended_at": at_ms,
            "duration_ms": duration_ms,
            "tags": {"source": SOURCE, "declared_success": str(entry.get("success")).lower()[:32]},
        }
        if failed:
            event |= {"success": False, "error_type": "task_failed"}
        self._chunk.add(event, f"{self._path} entry {number}")
        return True

    def _number(self, number: int, entry: dict[str, Any], key: str) -> float | None:
        value = entry.get(key)
        found = as_number(value)
        if found is None and value is not None:
            self._issue(number, f"{key} {value!r} is not a finite number", "wrong value")
        return found

    def _issue(self, number: int, reason: str, kind: str) -> None:
        self._issues.add(f"{self._path} entry {number}", 0, reason, kind=kind)
