"""claude-flow's metrics files: the real ones against their truths, and the damaged ones."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.chunk import valid_events
from interfaces.importers.claude_flow import chunks, metric_files, swarm_of
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

DATA = Path(__file__).parents[3] / "shared" / "data" / "claude_flow"
real = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/claude_flow is not here")

Event = dict[str, Any]
AT_MS = 1_761_085_675_085


def imported(root: Path, *, swarm: str = "") -> tuple[list[Event], Summary]:
    summary = Summary()
    events = [
        event
        for chunk in chunks(metric_files(root), summary, swarm=swarm)
        for event in valid_events(chunk, summary.issues)
    ]
    return events, summary


def values(events: list[Event], swarm: str, metric: str) -> list[tuple[int, float]]:
    return [(e["timestamp"], e["value"]) for e in events if e["swarm_id"] == swarm and e.get("metric") == metric]


@real
def test_the_real_samples_and_tasks_are_all_there() -> None:
    events, summary = imported(DATA)
    assert summary.issues.total == 0
    memory = dict(values(events, "canopy-compiler", "memory_usage_ratio"))
    assert len(memory) == 1301
    peak = max(memory, key=memory.__getitem__)
    assert round(memory[peak], 4) == 0.9874
    assert 1_761_128_460_000 <= peak < 1_761_128_520_000  # 10:21Z, the incident of the data's notes
    assert len(values(events, "renogy-ha", "cpu_load_ratio")) == 174
    tasks = [e for e in events if e.get("kind") == "task" and e["swarm_id"] == "claude-flow-dev"]
    by_type = defaultdict[str, list[float]](list)
    for task in tasks:
        by_type[task["agent_id"]].append(task["duration_ms"])
    assert len(tasks) == 960
    assert len(by_type["hooks"]) == 809
    assert round(sorted(by_type["hooks"])[math.ceil(0.5 * 809) - 1], 3) == 8.136
    assert round(max(by_type["sparc"]), 2) == 1_236_541.86


@real
def test_success_that_is_always_true_is_no_measurement() -> None:
    events, _ = imported(DATA)
    tasks = [e for e in events if e.get("kind") == "task"]
    assert all("success" not in task and task["tags"]["declared_success"] == "true" for task in tasks)
    counters = [e for e in events if str(e.get("metric", "")).startswith("claude_flow.")]
    assert counters
    assert all(e["provenance"] == "declared" for e in counters)
    assert not [e for e in counters if "agents" in e["metric"]], "the agent counts are never filled"


@real
def test_importing_the_same_files_again_gives_the_same_ids() -> None:
    first, _ = imported(DATA)
    second, _ = imported(DATA)
    assert [e["id"] for e in first] == [e["id"] for e in second]
    assert len({(e["swarm_id"], e["id"]) for e in first}) == len(first)


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_nan_strings_and_wrong_types_leave_out_one_value_not_the_sample(tmp_path: Path) -> None:
    sample = {"timestamp": AT_MS, "memoryUsed": "NaN", "memoryUsagePercent": 50, "cpuLoad": None, "uptime": True}
    path = write(tmp_path / "system-metrics.json", [sample, "x", {"timestamp": "now"}])
    events, summary = imported(path)
    assert [(e["metric"], e["value"]) for e in events] == [("memory_usage_ratio", 0.5)]
    assert [str(issue) for issue in summary.issues.named] == [
        f"{path} entry 1: memoryUsed 'NaN' is not a finite number",
        f"{path} entry 1: uptime True is not a finite number",
        f"{path} entry 2: is str, not an object",
        f"{path} entry 3: timestamp 'now' is not a time",
    ]


@pytest.mark.parametrize("text", ["[{", "", "nope", "[" * 200_000, "\x00"])
def test_a_file_that_is_not_json_is_named_and_the_others_are_imported(tmp_path: Path, text: str) -> None:
    write(tmp_path / "system-metrics.json", text)
    write(tmp_path / "task-metrics.json", [{"id": "a", "type": "hooks", "duration": 2, "timestamp": AT_MS}])
    events, summary = imported(tmp_path)
    assert len(events) == 1
    assert summary.issues.counts == {"not JSON": 1}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_bare_nan_in_a_file_is_one_bad_value(tmp_path: Path, literal: str) -> None:
    write(tmp_path / "system-metrics.json", f'[{{"timestamp": {AT_MS}, "cpuLoad": {literal}, "uptime": 3}}]')
    events, summary = imported(tmp_path)
    assert [e["metric"] for e in events] == ["uptime_s"]
    assert summary.issues.counts == {"wrong value": 1}


def test_a_failed_task_is_failed(tmp_path: Path) -> None:
    task = {"id": "a", "type": "sparc", "success": False, "duration": 2.5, "timestamp": AT_MS}
    write(tmp_path / "task-metrics.json", [task])
    (event,) = imported(tmp_path)[0]
    assert (event["status"], event["success"], event["duration_ms"]) == ("failed", False, 2.5)


def test_declared_counters_and_tokens_carry_a_time_of_the_file_or_are_left_out(tmp_path: Path) -> None:
    actions = [{"timestamp": AT_MS}, {"timestamp": AT_MS + 5}]
    write(tmp_path / "agent-metrics.json", {"coder": {"total": 3, "failed": "NaN", "actions": actions}, "idle": {}})
    history = [
        {"timestamp": AT_MS, "agentType": "coder", "command": "x", "inputTokens": 5, "outputTokens": -1},
        {"inputTokens": 5},
    ]
    write(tmp_path / "token-usage.json", {"totals": {"input": 5}, "history": history})
    events, summary = imported(tmp_path)
    found = {(e["metric"], e["agent_id"], e["timestamp"], e["value"], e["provenance"]) for e in events}
    assert found == {
        ("claude_flow.total", "coder", AT_MS + 5, 3, "declared"),
        ("input_tokens", "coder", AT_MS, 5, "declared"),
    }
    assert summary.issues.counts == {"wrong value": 2, "no timestamp": 2}


def test_the_swarm_is_the_machine_in_the_name_or_the_project(tmp_path: Path) -> None:
    assert swarm_of(Path("/data/system-metrics.host-7.json")) == "host-7"
    assert swarm_of(Path("/home/me/shop/.claude-flow/metrics/system-metrics.json")) == "shop"
    assert swarm_of(Path("/home/me/shop/.claude-flow/token-usage.json")) == "shop"
    assert swarm_of(Path("/home/me/shop/system-metrics.json")) == "shop"
    write(tmp_path / "system-metrics.host-7.json", [{"timestamp": AT_MS, "uptime": 1}])
    assert {e["swarm_id"] for e in imported(tmp_path, swarm="mine")[0]} == {"mine"}


def test_paths_without_metrics_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", write(tmp_path / "other.json", [])):
        with pytest.raises(NothingToImportError, match=str(path)):
            metric_files(path)
