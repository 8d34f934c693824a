"""The demo as a user runs it, and its agents alone on the embedded broker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from interfaces.demo.plan import FAULT_REPEATS, FAULTY, AgentPlan
from murmur.clock import now_ms
from tests.support.brokers import embedded_broker
from tests.support.logs import read_log
from tests.support.waiting import eventually
from tests.support.wire import events_of

ROOT = Path(__file__).resolve().parents[2]
DEMO_WITHIN_S = 90.0  # the budget of docs/architecture.md, for the default duration
AGENT_WITHIN_S = 30.0
INTERRUPTED_WITHIN_S = 40.0  # the default duration is as long: only an interrupted demo ends within it


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MURMUR_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def murmur(*args: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "interfaces.cli.main", *args],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_over(mark: Path) -> list[str]:
    """Command lines of processes that name this directory, in their arguments or their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join(process.cmdline()) + process.environ().get("MURMUR_HOME", "")
            if str(mark) in text and process.status() != psutil.STATUS_ZOMBIE:
                found.append(text[:200])
        except psutil.Error:
            continue
    return found


@pytest.mark.e2e
@pytest.mark.slow
def test_the_demo_shows_what_it_measured_loses_nothing_and_can_be_explored(tmp_path: Path) -> None:
    began_s = time.monotonic()
    demo = murmur("demo", "--duration-s", "30", "--keep", cwd=tmp_path)
    said, errors = demo.communicate(timeout=180)
    took_s = time.monotonic() - began_s
    home = tmp_path / "murmur-demo" / "home"
    try:
        assert demo.returncode == 0, errors + said
        assert took_s < DEMO_WITHIN_S
        metrics, activities = re.findall(r"([\d,]+) acknowledged to the agents, ([\d,]+) in ClickHouse", said)
        assert metrics[0] == metrics[1] != "0"
        assert activities[0] == activities[1] != "0"
        assert "nothing lost, nothing twice" in said
        assert "\x1b" not in said  # no control codes in a pipe

        def rows(sql: str) -> Any:
            done = murmur("--home", str(home), "sql", "--format", "json", sql, cwd=tmp_path)
            out, error = done.communicate(timeout=60)
            assert done.returncode == 0, error
            return json.loads(out)

        (count,) = rows("SELECT count() AS n FROM v_metrics WHERE topic = 'swarm.metrics'")
        assert f"{int(count['n']):,}" == metrics[1]
        sessions = rows(
            "SELECT swarm_id, status, tags['compressor'] AS c FROM v_activities "
            "WHERE kind = 'session' ORDER BY swarm_id"
        )
        assert [(s["swarm_id"], s["status"], s["c"]) for s in sessions] == [
            ("demo-lzma", "completed", "lzma"),
            ("demo-zlib", "completed", "zlib"),
        ]
        (pairs,) = rows(
            "SELECT count() AS n FROM (SELECT task_id FROM v_activities WHERE kind = 'task' "
            "GROUP BY task_id HAVING uniqExact(swarm_id) = 2)"
        )
        assert int(pairs["n"]) > 100
        printed = [line for line in said.splitlines() if line.startswith("  ! ")]
        (stored,) = rows("SELECT count() AS n FROM v_anomalies")
        assert int(stored["n"]) == len(printed)
        fault_lines = sum("<- the injected fault" in line for line in printed)
        assert ("was NOT found" in said) == (fault_lines == 0)

        files = {path.suffix: path for path in (tmp_path / "murmur-demo").glob("comparison-*")}
        assert set(files) == {".html", ".md", ".json"}
        for path in files.values():
            assert path.name in said
        html = files[".html"].read_text()
        assert "<svg" in html
        assert not re.search(r"""(?:src|href)=["']https?://""", html)
        report = json.loads(files[".json"].read_text())
        assert {"demo-lzma", "demo-zlib"} <= set(re.findall(r"demo-\w+", json.dumps(report)))
    finally:
        murmur("--home", str(home), "down", cwd=tmp_path).communicate(timeout=60)
    eventually(lambda: not left_over(tmp_path), "no process is left")


@pytest.mark.e2e
@pytest.mark.slow
def test_interrupting_the_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = murmur("demo", cwd=tmp_path)
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "events acknowledged" in line and "tasks 0" not in line:
                break  # the agents work
        assert len([text for text in left_over(tmp_path) if "interfaces.demo.agent" in text]) == 8
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=INTERRUPTED_WITHIN_S)
        assert demo.returncode == 130, errors
        assert "Traceback" not in errors
    finally:
        demo.kill()  # its agents and servers end with it; harmless when it has ended
        demo.communicate()
    eventually(lambda: not left_over(tmp_path), "no process is left")


def agent_plan(bootstrap: str, tmp_path: Path, **changes: Any) -> AgentPlan:
    start_at_ms = now_ms() + 1_500
    fields: dict[str, Any] = {
        "bootstrap": bootstrap,
        "topic_prefix": "",
        "swarm_id": FAULTY[0],
        "agent_id": FAULTY[1],
        "run_id": "r1",
        "role": "packer",
        "compressor": "zlib",
        "level": 6,
        "index": 0,
        "work_dir": str(tmp_path / "work"),
        "spool_dir": str(tmp_path / "spool"),
        "start_at_ms": start_at_ms,
        "end_at_ms": start_at_ms + 4_000,
        "parent_pid": os.getpid(),
    }
    return AgentPlan(**{**fields, **changes})


def start_agent(plan: AgentPlan) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "interfaces.demo.agent", plan.to_json()],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def last_activities(bootstrap: str) -> list[dict[str, Any]]:
    found = [a for record in read_log(bootstrap, "swarm.activities") for a in events_of(record)]
    return list({a["id"]: a for a in found}.values())


@pytest.mark.integration
def test_an_agent_publishes_all_its_work_and_the_fault_is_real(tmp_path: Path) -> None:
    with embedded_broker() as bootstrap:
        # On a busy machine a task of the faulty agent takes seconds, and so does the start of a process.
        end_at_ms = now_ms() + 12_000
        plan = agent_plan(bootstrap, tmp_path, end_at_ms=end_at_ms)
        fault_at_ms = plan.start_at_ms
        faulty = agent_plan(
            bootstrap, tmp_path, agent_id="faulty", index=1, fault_at_ms=fault_at_ms, end_at_ms=end_at_ms
        )
        processes = [start_agent(plan), start_agent(faulty)]
        finals = []
        for process in processes:
            out, errors = process.communicate(timeout=AGENT_WITHIN_S)
            assert (process.returncode, errors) == (0, "")
            finals.append(json.loads(out.splitlines()[-1]))
        activities = last_activities(bootstrap)
        metrics = [e for r in read_log(bootstrap, "swarm.metrics") for e in events_of(r)]
    for final, agent_id in zip(finals, (FAULTY[1], "faulty"), strict=True):
        mine = [a for a in activities if a["agent_id"] == agent_id]
        assert final["complete"] is True
        assert final["dropped"] == 0
        assert final["tasks"] > 3
        assert len(mine) == final["activities"]
        assert sum(e["agent_id"] == agent_id for e in metrics) == final["acknowledged_metrics"]
        tools = Counter(a["task_id"] for a in mine if a["kind"] == "tool_call")
        assert set(tools.values()) == {3 if agent_id == FAULTY[1] else 3 * FAULT_REPEATS}
        for task in (a for a in mine if a["kind"] == "task"):
            parts_ms = sum(
                a["duration_ms"] for a in mine if a["kind"] == "tool_call" and a["task_id"] == task["task_id"]
            )
            assert task["status"] == "completed"
            assert parts_ms <= task["duration_ms"] + 1.0
    memory = {
        agent_id: [e["value"] for e in metrics if e["metric"] == "memory_usage" and e["agent_id"] == agent_id]
        for agent_id in (FAULTY[1], "faulty")
    }
    grown = {agent_id: max(values) - values[0] for agent_id, values in memory.items()}
    assert grown["faulty"] > 5_000_000 > grown[FAULTY[1]]


@pytest.mark.integration
def test_an_agent_ends_on_sigterm_and_still_hands_over_its_events(tmp_path: Path) -> None:
    with embedded_broker() as bootstrap:
        plan = agent_plan(bootstrap, tmp_path, end_at_ms=now_ms() + 600_000)
        process = start_agent(plan)
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["tasks"] > 2:
                break
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=AGENT_WITHIN_S)
        assert (process.returncode, errors) == (0, "")
        final = json.loads(out.splitlines()[-1])
        assert final["final"] is True
        assert len(last_activities(bootstrap)) == final["activities"] > 0


@pytest.mark.integration
def test_an_agent_ends_when_the_process_that_started_it_is_gone(tmp_path: Path) -> None:
    with embedded_broker() as bootstrap:
        plan = agent_plan(bootstrap, tmp_path, end_at_ms=now_ms() + 600_000, parent_pid=os.getppid())
        process = start_agent(plan)
        out, errors = process.communicate(timeout=AGENT_WITHIN_S)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(out.splitlines()[-1])["tasks"] == 0
