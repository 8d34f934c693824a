"""Results of tau2-bench -> tasks: one simulation, one task; a file is a swarm.

In: {info, simulations: [{id, task_id, trial, start_time, end_time, duration (s), agent_cost, reward_info.reward,
termination_reason}]}. Out: chunks, one a file.
Never: the cost of the simulated user as the agent's; a message's text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from interfaces.importers.benchmark.task import BenchmarkTask, is_priced
from interfaces.importers.chunk import Chunk
from interfaces.importers.fields import as_mapping, as_number, as_text, as_time_ms
from interfaces.importers.issues import Issues
from interfaces.importers.json_file import read_json
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

SUCCESS_REWARD = 1.0  # tau2's rewards are products of 0s and 1s; only a full one is a success
ENDED_NORMALLY = frozenset({"user_stop", "agent_stop"})


def result_files(path: Path) -> list[Path]:
    """The file, or the *.json directly in the folder, sorted. Raises NothingToImportError."""
    found = [path] if path.is_file() else sorted(p for p in path.glob("*.json") if p.is_file())
    if not found:
        what = "no *.json of tau2 in this folder" if path.exists() else "no such file or folder"
        raise NothingToImportError(f"{path}: {what}")
    return found


def chunks(
    files: Sequence[Path], summary: Summary, *, swarm: str = "", on_bytes: Callable[[int], None] | None = None
) -> Iterator[Chunk]:
    """One chunk a file."""
    summary.facts |= {"files": len(files), "tasks": 0, "unpriced_tasks": 0}
    for file in files:
        chunk = Chunk()
        for number, task in _tasks(file, swarm or file.stem, summary.issues):
            summary.facts["tasks"] += 1
            summary.facts["unpriced_tasks"] += task.cost_usd is None
            chunk.add(task.event(), f"{file} simulation {number}")
        if on_bytes is not None:
            on_bytes(file.stat().st_size)
        if chunk.events:
            yield chunk


def _tasks(file: Path, swarm: str, issues: Issues) -> Iterator[tuple[int, BenchmarkTask]]:
    document = as_mapping(read_json(file, issues))
    simulations = document.get("simulations")
    if not isinstance(simulations, list):
        issues.add(str(file), 0, "has no list `simulations`: not a result of tau2", kind="wrong shape")
        return
    info = as_mapping(document.get("info"))
    domain = as_text(as_mapping(info.get("environment_info")).get("domain_name"))
    agent = as_mapping(info.get("agent_info"))
    priced = is_priced(as_number(as_mapping(one).get("agent_cost")) for one in simulations)
    for number, simulation in enumerate(simulations, 1):
        try:
            task = _task(as_mapping(simulation), swarm, domain, agent, priced=priced)
        except ValueError as error:
            issues.add(f"{file} simulation {number}", 0, str(error), kind="wrong value")
        else:
            yield number, task


def _task(one: Any, swarm: str, domain: str, agent: Any, *, priced: bool) -> BenchmarkTask:
    """Raises ValueError where a value is not what its name says."""
    task_id = as_text(one.get("task_id"))
    started_ms, ended_ms = as_time_ms(one.get("start_time")), as_time_ms(one.get("end_time"))
    duration_s, cost = as_number(one.get("duration")), as_number(one.get("agent_cost"))
    reward = as_number(as_mapping(one.get("reward_info")).get("reward"))
    if not task_id:
        raise ValueError(f"task_id {one.get('task_id')!r} is not a text")
    if started_ms is None or ended_ms is None:
        raise ValueError(f"start_time {one.get('start_time')!r}, end_time {one.get('end_time')!r}: not two times")
    for name, value in (("duration", duration_s), ("agent_cost", cost)):
        if one.get(name) is not None and (value is None or value < 0):
            raise ValueError(f"{name} {one[name]!r} is not a number >= 0")
    reason = as_text(one.get("termination_reason"))
    user_cost = as_number(one.get("user_cost"))
    trial = str(one.get("trial", 0))
    return BenchmarkTask(
        swarm_id=swarm,
        benchmark=f"tau2-{domain}" if domain else "tau2",
        task_id=task_id,
        key=as_text(one.get("id")) or f"{task_id}#{trial}",
        success=None if reward is None else reward == SUCCESS_REWARD,
        started_ms=started_ms,
        ended_ms=max(started_ms, ended_ms),
        duration_ms=None if duration_s is None else duration_s * 1000,
        cost_usd=cost if priced else None,
        agent=as_text(agent.get("implementation")),
        model=as_text(agent.get("llm")),
        error_type="" if reason in ENDED_NORMALLY else reason,
        tags={
            "domain": domain,
            "trial": trial,
            "termination_reason": reason,
            "user_cost_usd": "" if user_cost is None else str(user_cost),
        },
    )
