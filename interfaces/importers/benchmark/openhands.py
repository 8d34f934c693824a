"""Results in the layout of the OpenHands Index -> tasks: one folder a configuration, one file a benchmark.

In: <configuration>/instance_results/<benchmark>.json {task: {cost, resolved}}, beside it metadata.json (model, agent)
and scores.json (submission_time). Out: chunks, one a file.
Never: a duration; the files hold none of a task. A time they do not hold: without submission_time it must be given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interfaces.importers.benchmark.task import BenchmarkTask, is_priced
from interfaces.importers.chunk import Chunk
from interfaces.importers.fields import as_mapping, as_number, as_text, as_time_ms
from interfaces.importers.issues import Issues
from interfaces.importers.json_file import read_json
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

FOLDER = "instance_results"
# A few tasks without an outcome were not solved: the index's own scores count them so. A benchmark where most are null
# does not report outcomes (Nemotron-3-Nano on swt-bench: 406 of 432 null, 26 false, and a score of 7.6 beside them).
NULL_OUTCOMES_RATIO_MAX = 0.5
TAG_FIELDS = ("agent_name", "agent_version", "openness", "tool_usage", "country", "release_date")


def result_files(path: Path) -> list[Path]:
    """The instance_results/*.json at or below `path`, sorted. Raises NothingToImportError."""
    if path.is_file():
        found = [path]
    else:
        found = sorted(p for p in path.rglob("*.json") if p.parent.name == FOLDER and p.is_file())
    if not found:
        what = "no <configuration>/instance_results/<benchmark>.json below it" if path.exists() else "no such folder"
        raise NothingToImportError(f"{path}: {what}")
    return found


def swarm_of(file: Path, root: Path) -> str:
    """The configuration's folder below the path that was given; its name when that is the folder itself."""
    folder = file.resolve().parent
    folder = folder.parent if folder.name == FOLDER else folder
    below = folder.relative_to(root.resolve()).as_posix() if folder.is_relative_to(root.resolve()) else "."
    return folder.name if below == "." else below


def chunks(
    files: Sequence[Path],
    summary: Summary,
    *,
    root: Path,
    swarm: str = "",
    at_ms: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """One chunk a file. `at_ms`: event time of a benchmark whose scores.json names no submission_time."""
    summary.facts |= {"files": len(files), "tasks": 0, "unpriced_tasks": 0}
    for folder, own in _by_folder(files).items():
        documents = {file: _results(file, summary.issues) for file in own}
        # A whole configuration is judged at once: a benchmark of 16 tasks may cost nothing by accident.
        priced = is_priced(_cost(row) for rows in documents.values() for row in rows.values())
        configuration = _Configuration.read(folder, summary.issues)
        for file, rows in documents.items():
            ended_ms = configuration.submitted_ms.get(file.stem, at_ms)
            if on_bytes is not None:
                on_bytes(file.stat().st_size)
            if ended_ms is None:
                reason = f"scores.json beside it has no submission_time of {file.stem}; give the time with --at"
                summary.issues.add(str(file), 0, reason, kind="no timestamp")
                continue
            chunk = Chunk()
            reported = _reports_outcomes(rows)
            name = swarm or swarm_of(file, root)
            for task_id, row in rows.items():
                task = _task(task_id, row, file, summary.issues, configuration, name, ended_ms, priced=priced)
                if task is not None:
                    task = replace(task, has_outcome=task.success is not None or reported)
                    summary.facts["tasks"] += 1
                    summary.facts["unpriced_tasks"] += task.cost_usd is None
                    chunk.add(task.event(), f"{file} task {task_id}")
            if chunk.events:
                yield chunk


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What stands beside the results of one folder."""

    model: str
    tags: dict[str, str]
    submitted_ms: dict[str, int]  # by benchmark

    @classmethod
    def read(cls, folder: Path, issues: Issues) -> _Configuration:
        metadata = as_mapping(_optional(folder / "metadata.json", issues))
        scores = _optional(folder / "scores.json", issues)
        submitted: dict[str, int] = {}
        for score in scores if isinstance(scores, list) else []:
            row = as_mapping(score)
            at_ms = as_time_ms(row.get("submission_time"))
            if at_ms is not None and as_text(row.get("benchmark")):
                submitted[as_text(row["benchmark"])] = at_ms
        tags = {name: as_text(metadata.get(name)) for name in TAG_FIELDS}
        return cls(as_text(metadata.get("model")) or folder.name, tags, submitted)


def _by_folder(files: Sequence[Path]) -> dict[Path, list[Path]]:
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folder = file.resolve().parent
        folders.setdefault(folder.parent if folder.name == FOLDER else folder, []).append(file)
    return folders


def _optional(path: Path, issues: Issues) -> Any:
    return read_json(path, issues) if path.is_file() else None


def _results(file: Path, issues: Issues) -> dict[str, Any]:
    document = read_json(file, issues)
    if document is None:
        return {}
    if not isinstance(document, dict):
        reason = f"must be an object of tasks, is {type(document).__name__}"
        issues.add(str(file), 0, reason, kind="wrong shape")
        return {}
    return document


def _reports_outcomes(rows: dict[str, Any]) -> bool:
    unknown = sum(as_mapping(row).get("resolved") is None for row in rows.values())
    return unknown <= NULL_OUTCOMES_RATIO_MAX * len(rows)


def _cost(row: Any) -> float | None:
    return as_number(as_mapping(row).get("cost"))


def _task(
    task_id: str,
    row: Any,
    file: Path,
    issues: Issues,
    configuration: _Configuration,
    swarm: str,
    ended_ms: int,
    *,
    priced: bool,
) -> BenchmarkTask | None:
    """None with an issue when a value is not what its name says."""
    values = as_mapping(row)
    cost, resolved = _cost(row), values.get("resolved")
    place = f"{file} task {task_id}"
    if "resolved" not in values or not (resolved is None or isinstance(resolved, bool)):
        issues.add(place, 0, f"resolved {resolved!r} is not true, false or null", kind="wrong value")
        return None
    if values.get("cost") is not None and (cost is None or cost < 0):
        issues.add(place, 0, f"cost {values['cost']!r} is not a number >= 0", kind="wrong value")
        return None
    return BenchmarkTask(
        swarm_id=swarm,
        benchmark=file.stem,
        task_id=task_id,
        key=task_id,
        success=resolved,
        started_ms=ended_ms,
        ended_ms=ended_ms,
        cost_usd=cost if priced else None,
        agent=configuration.tags["agent_name"],
        model=configuration.model,
        error_type="no_outcome" if resolved is None else "",
        tags=configuration.tags,
    )
