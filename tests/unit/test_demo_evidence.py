"""What the demo claims at its end follows from what it counted, and its work is real and repeatable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from interfaces.demo import work
from interfaces.demo.evidence import Delivery, Findings
from interfaces.demo.plan import FAULTY, AgentPlan, make_plan

NOW_MS = 1_700_000_000_000


def plan() -> Any:
    return make_plan(bootstrap="b:1", topic_prefix="", work_dir="/w", now_ms=NOW_MS, duration_s=40, parent_pid=1)


def anomaly(swarm_id: str, agent_id: str, window_start: int, **more: Any) -> dict[str, Any]:
    row = {
        "swarm_id": swarm_id,
        "agent_id": agent_id,
        "metric": "task_duration",
        "window_start": window_start,
        "window_ms": 1_000,
        "detected_at": window_start + 3_000,
    }
    return {**row, **more}


def test_only_the_faulty_agent_in_a_window_the_fault_reaches_counts_as_found() -> None:
    findings = Findings(plan())
    fault_at_ms = findings.plan.fault_at_ms
    #            fault
    #   ..before..|  one window reaches into it
    #          [--|--]
    assert not findings.add(anomaly(*FAULTY, fault_at_ms - 1_000))
    assert findings.add(anomaly(*FAULTY, fault_at_ms - 999))
    assert findings.add(anomaly(*FAULTY, fault_at_ms + 5_000, metric="memory_usage"))
    assert not findings.add(anomaly(FAULTY[0], "packer-1", fault_at_ms + 5_000))
    assert not findings.add(anomaly("demo-lzma", FAULTY[1], fault_at_ms + 5_000))
    assert findings.first_delay_s == pytest.approx(2.001)
    assert findings.sentence() == (
        "The fault of demo-zlib/packer-2 was found 2.0 s after it began, in memory_usage, task_duration. "
        "There were 3 other anomalies."
    )


def test_an_anomaly_of_the_whole_swarm_is_the_faults_when_it_names_the_faulty_agent_first() -> None:
    findings = Findings(plan())
    at_ms = findings.plan.fault_at_ms + 1_000
    first = {"strongest": f"{FAULTY[1]} cpu_usage 0.99999, packer-1 cpu_usage 0.99"}
    last = {"strongest": f"packer-1 cpu_usage 0.99999, {FAULTY[1]} cpu_usage 0.99"}
    assert findings.add(anomaly(FAULTY[0], "", at_ms, metric="combined", evidence=first))
    assert not findings.add(anomaly(FAULTY[0], "", at_ms, metric="combined", evidence=last))
    assert not findings.add(anomaly("demo-lzma", "", at_ms, metric="combined", evidence=first))


def test_a_fault_that_was_not_found_is_said_to_be_not_found() -> None:
    findings = Findings(plan())
    findings.add(anomaly("demo-lzma", "packer-1", findings.plan.fault_at_ms))
    assert findings.sentence() == "The fault of demo-zlib/packer-2 was NOT found. There was 1 other anomaly."
    assert "no other anomalies" in Findings(plan()).sentence()


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        ({}, True),
        ({"rows_metrics": 9}, False),
        ({"rows_metrics": 11}, False),
        ({"rows_activities": 4}, False),
        ({"dropped": 1}, False),
        ({"dead_letters": 1}, False),
    ],
)
def test_a_delivery_is_complete_only_when_every_count_agrees(changes: dict[str, int], complete: bool) -> None:
    counts = {"acknowledged_metrics": 10, "acknowledged_activities": 5, "dropped": 0}
    assert Delivery(**{**counts, "rows_metrics": 10, "rows_activities": 5, **changes}).complete is complete


def test_both_configurations_get_the_same_tasks_and_one_agent_the_fault() -> None:
    agents = plan().agents
    assert len(agents) == 8
    assert [(a.swarm_id, a.agent_id) for a in agents if a.fault_at_ms is not None] == [FAULTY]
    assert len({a.run_id for a in agents}) == 2
    assert AgentPlan.from_json(agents[3].to_json()) == agents[3]
    bundles = work.bundles()
    shares = [work.share(bundles, index=index, of=3) for index in range(3)]
    firsts = [[next(share)[0] for _ in range(len(bundles) // 3)] for share in shares]
    names = [name for first in firsts for name in first]
    assert len(set(names)) == len(names)
    again = work.share(work.bundles(), index=1, of=3)
    assert [next(again)[0] for _ in range(len(firsts[1]))] == firsts[1]


@pytest.mark.parametrize(("compressor", "level"), [("zlib", 6), ("lzma", 4)])
def test_what_an_agent_packs_the_checker_unpacks_and_damage_is_noticed(
    tmp_path: Path, compressor: Any, level: int
) -> None:
    bundle = work.bundles()[0]
    assert work.parse(bundle) > 10
    content = work.read(bundle)
    packed = work.compress(content, compressor, level)
    assert len(packed) < len(content) / 2
    path = work.store(packed, content, "bundle-000.1", tmp_path)
    assert work.find_packed(tmp_path, "bundle-000.1") == path
    assert work.find_packed(tmp_path, "bundle-000.10") is None
    assert work.check(path, compressor) is True
    wrong = tmp_path / f"bundle-000.1.{'0' * 64}.packed"
    shutil.copy(path, wrong)
    assert work.check(wrong, compressor) is False
