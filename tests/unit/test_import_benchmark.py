"""Benchmark results: what a task becomes, what is not priced, what is refused, and that ids stay the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.benchmark import openhands, tau2
from interfaces.importers.chunk import valid_events
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

Event = dict[str, Any]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real data folder ../shared/data is absent")
SUBMITTED_MS = 1_776_890_318_000  # 2026-04-22T20:38:38Z


def configuration(folder: Path, tasks: dict[str, Any], *, submitted: str | None = "2026-04-22T20:38:38Z") -> Path:
    """Writes one configuration with one benchmark, `bench`."""
    (folder / "instance_results").mkdir(parents=True)
    (folder / "instance_results" / "bench.json").write_text(json.dumps(tasks))
    (folder / "metadata.json").write_text(json.dumps({"model": "Model-1", "agent_name": "Agent", "openness": "open"}))
    score = {"benchmark": "bench"} | ({} if submitted is None else {"submission_time": submitted})
    (folder / "scores.json").write_text(json.dumps([score]))
    return folder


def from_openhands(root: Path, **options: Any) -> tuple[list[Event], Summary]:
    summary = Summary()
    chunks = openhands.chunks(openhands.result_files(root), summary, root=root, **options)
    return [e for chunk in chunks for e in valid_events(chunk, summary.issues)], summary


def from_tau2(root: Path) -> tuple[list[Event], Summary]:
    summary = Summary()
    chunks = tau2.chunks(tau2.result_files(root), summary)
    return [e for chunk in chunks for e in valid_events(chunk, summary.issues)], summary


def test_a_task_of_a_configuration_is_a_task_of_the_swarm_that_is_its_folder(tmp_path: Path) -> None:
    configuration(tmp_path / "results" / "One", {"t/1": {"cost": 0.5, "resolved": True}})
    (event,), summary = from_openhands(tmp_path)
    assert (event["swarm_id"], event["task_id"], event["kind"]) == ("results/One", "t/1", "task")
    assert (event["cost_usd"], event["cost_provenance"]) == (0.5, "estimated")
    assert (event["success"], event["status"], event["model"]) == (True, "completed", "Model-1")
    assert event["tags"]["benchmark"] == "bench"
    assert event["tags"]["openness"] == "open"
    assert event["ended_at"] == SUBMITTED_MS
    assert "duration_ms" not in event, "the files hold no time of a task"
    assert summary.issues.total == 0


@pytest.mark.parametrize("below", ["", "instance_results/bench.json"])
def test_a_path_that_is_the_configuration_itself_names_the_swarm_by_its_folder(tmp_path: Path, below: str) -> None:
    folder = configuration(tmp_path / "One", {"t": {"cost": 1.0, "resolved": True}})
    (event,), _ = from_openhands(folder / below)
    assert event["swarm_id"] == "One"


def test_a_cost_of_0_or_null_for_a_whole_configuration_is_not_priced(tmp_path: Path) -> None:
    configuration(tmp_path / "a", {"1": {"cost": 0.0, "resolved": True}, "2": {"cost": None, "resolved": False}})
    configuration(tmp_path / "b", {"1": {"cost": 0.0, "resolved": True}, "2": {"cost": 0.3, "resolved": False}})
    events, summary = from_openhands(tmp_path)
    costs = {(e["swarm_id"], e["task_id"]): e.get("cost_usd") for e in events}
    assert costs == {("a", "1"): None, ("a", "2"): None, ("b", "1"): 0.0, ("b", "2"): 0.3}
    assert summary.facts["unpriced_tasks"] == 2


def test_a_task_without_outcome_among_others_was_not_solved(tmp_path: Path) -> None:
    rows = {"1": {"cost": 0.2, "resolved": None}, "2": {"cost": 0.2, "resolved": True}}
    configuration(tmp_path / "a", rows)
    (event, _), _ = from_openhands(tmp_path)
    assert "success" not in event
    assert (event["status"], event["error_type"]) == ("failed", "no_outcome")


def test_a_benchmark_without_outcomes_says_nothing_of_success(tmp_path: Path) -> None:
    rows = {"1": {"cost": 0.2, "resolved": None}, "2": {"cost": 0.2, "resolved": None}}
    configuration(tmp_path / "a", rows | {"3": {"cost": 0.2, "resolved": False}})
    events, _ = from_openhands(tmp_path)
    assert [e["status"] for e in events] == ["cancelled", "cancelled", "failed"]


def test_results_without_a_time_need_one(tmp_path: Path) -> None:
    configuration(tmp_path / "a", {"1": {"cost": 0.2, "resolved": True}}, submitted=None)
    events, summary = from_openhands(tmp_path)
    assert not events
    assert "give the time with --at" in str(summary.issues.named[0])
    (event,), _ = from_openhands(tmp_path, at_ms=SUBMITTED_MS)
    assert event["ended_at"] == SUBMITTED_MS


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"cost": "1", "resolved": True}, "cost '1' is not a number"),
        ({"cost": -1, "resolved": True}, "cost -1 is not a number"),
        ({"cost": 1, "resolved": "yes"}, "resolved 'yes' is not true, false or null"),
        ({"cost": 1}, "resolved None is not true, false or null"),
        ([], "resolved None is not true, false or null"),
    ],
)
def test_a_wrong_value_is_refused_with_its_task(tmp_path: Path, row: Any, reason: str) -> None:
    configuration(tmp_path / "a", {"bad": row, "good": {"cost": 1.0, "resolved": True}})
    events, summary = from_openhands(tmp_path)
    assert [e["task_id"] for e in events] == ["good"]
    assert "bench.json task bad: " + reason in str(summary.issues.named[0])


def test_a_folder_without_results_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NothingToImportError, match="instance_results"):
        openhands.result_files(tmp_path)
    with pytest.raises(NothingToImportError, match="no such"):
        tau2.result_files(tmp_path / "nowhere")


def test_a_file_that_is_not_of_tau2_is_an_issue(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    events, summary = from_tau2(tmp_path)
    assert not events
    assert "not a result of tau2" in str(summary.issues.named[0])


def test_a_simulation_is_a_task_and_the_users_cost_stays_the_users(tmp_path: Path) -> None:
    one = {
        "id": "s1",
        "task_id": "7",
        "trial": 2,
        "start_time": "2026-01-01T00:00:00",
        "end_time": "2026-01-01T00:00:10.5",
        "duration": 10.25,
        "agent_cost": 0.04,
        "user_cost": 0.01,
        "reward_info": {"reward": 1.0},
        "termination_reason": "user_stop",
    }
    info = {"environment_info": {"domain_name": "airline"}, "agent_info": {"llm": "m", "implementation": "agent"}}
    bad = one | {"id": "s2", "start_time": "noon"}
    (tmp_path / "run.json").write_text(json.dumps({"info": info, "simulations": [one, bad]}))
    (event,), summary = from_tau2(tmp_path)
    assert (event["swarm_id"], event["task_id"], event["model"], event["agent_id"]) == ("run", "7", "m", "agent")
    assert (event["cost_usd"], event["duration_ms"], event["success"]) == (0.04, 10_250.0, True)
    assert event["ended_at"] - event["started_at"] == 10_500
    assert event["tags"] == {
        "source": "benchmark",
        "benchmark": "tau2-airline",
        "domain": "airline",
        "trial": "2",
        "termination_reason": "user_stop",
        "user_cost_usd": "0.01",
    }
    assert "simulation 2: start_time 'noon'" in str(summary.issues.named[0])


@real
def test_the_real_results_are_all_read_and_a_second_reading_gives_the_same_events() -> None:
    first, summary = from_openhands(DATA / "openhands")
    second, _ = from_openhands(DATA / "openhands")
    assert first == second
    assert len({(e["swarm_id"], e["id"]) for e in first}) == len(first) == 34_635
    assert summary.issues.total == 0
    codex = [e for e in first if e["swarm_id"].startswith("alternative_agents/acp-codex/")]
    assert len(codex) > 1_000
    assert not any("cost_usd" in e for e in codex)
    swe = [e for e in first if e["swarm_id"] == "results/GPT-5.4" and e["tags"]["benchmark"] == "swe-bench"]
    assert (len(swe), sum(e["success"] for e in swe)) == (500, 378)


@real
def test_the_real_runs_of_tau2_are_all_read_and_the_unpriced_models_have_no_cost() -> None:
    events, summary = from_tau2(DATA / "tau2")
    assert (len(events), summary.issues.total) == (350, 0)
    unpriced = {e["swarm_id"] for e in events if "cost_usd" not in e}
    assert unpriced == {"airline__qwen2.5-7b"} | {
        f"{domain}__gpt-4.1-finetuned" for domain in ("airline20", "retail40", "telecom40")
    }
