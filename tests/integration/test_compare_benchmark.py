"""Real benchmark results the whole way: import, broker, worker, ClickHouse, compare."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from models.settings import environment_of
from sinks.clickhouse.client import connect
from tests.support.brokers import EmbeddedBroker
from tests.support.clickhouse import migrated_database
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
OPENHANDS = DATA / "openhands"
CONFIGURATIONS = ("results/GPT-5.4", "results/GPT-5.5", "results/Kimi-K2.5", "results/Gemini-3-Flash")
CODEX = "alternative_agents/acp-codex/GPT-5.5"
SWE = ("--filter", "benchmark=swe-bench")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data folder ../shared/data is absent"),
]


@dataclass
class Stack:
    """Runs `murmur` against a broker, a worker and a database of its own."""

    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "interfaces.cli.main", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.run(*arguments, "--format", "json"))
        return loaded


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    with migrated_database() as database:
        broker = EmbeddedBroker().start()
        settings = database.model_copy(update={"kafka_bootstrap": broker.bootstrap, "home": home})
        worker, client = WorkerProcess(settings).start(), connect(settings)
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment_of(settings)}
        one = Stack(environment)
        try:
            events = sum(
                json.loads(one.run(*arguments, "--format", "json"))[0]["published"] for arguments in _imports()
            )
            stored = "SELECT count() FROM v_activities"
            eventually(lambda: client.query(stored).result_rows == [(events,)], within_s=120)
            yield one
        finally:
            worker.close()
            broker.stop()
            client.close()


def _imports() -> Iterator[tuple[str, ...]]:
    head = ("import", "benchmark", "--format")
    for name in (*CONFIGURATIONS, CODEX):
        yield *head, "openhands", str(OPENHANDS / name), "--swarm", name
    yield *head, "tau2", str(DATA / "tau2")


def of(result: dict[str, Any], metric: str, stratum: str | None = None) -> dict[str, Any]:
    (found,) = [c for c in result["comparisons"] if c["metric"] == metric and c["stratum"] == stratum]
    return dict(found)


def test_gpt_5_5_costs_2_4_times_gpt_5_4_and_its_success_is_no_finding(stack: Stack) -> None:
    result = stack.json(
        *("compare", "benchmark", "--baseline", CONFIGURATIONS[0], "--candidates", CONFIGURATIONS[1]), *SWE
    )
    cost, success = of(result, "cost_usd"), result["success"][0]
    assert (cost["n_a"], cost["n_b"], cost["paired"], cost["verdict"]) == (500, 500, True, "worse")
    assert cost["ratio"] == pytest.approx(2.388, abs=0.001)
    assert (cost["ratio_low"], cost["ratio_high"]) == pytest.approx((2.31, 2.47), abs=0.02)
    assert cost["provenance"] == ["estimated"]
    assert (success["k_a"], success["k_b"], success["n"]) == (391, 378, 500)
    assert success["p_value"] == pytest.approx(0.072, abs=0.001)
    assert of(result, "task_success")["verdict"] == "no difference shown"
    assert result["notes"][0].startswith("observational")


def test_kimi_costs_the_same_as_gemini_but_succeeds_less(stack: Stack) -> None:
    result = stack.json("compare", "swarms", CONFIGURATIONS[2], CONFIGURATIONS[3], *SWE)
    cost, success = of(result, "cost_usd"), result["success"][0]
    assert cost["ratio"] == pytest.approx(0.981, abs=0.001)
    assert cost["verdict"] == "no difference shown"
    assert (success["k_a"], success["k_b"]) == (344, 373)
    assert success["p_value"] == pytest.approx(0.0013, abs=0.0001)
    assert of(result, "task_success")["verdict"] == "worse"


def test_a_configuration_without_costs_is_not_priced_and_gets_no_place(stack: Stack) -> None:
    result = stack.json("compare", "rank", *CONFIGURATIONS, CODEX, *SWE, "--metric", "cost_usd")
    places = {place["side"]: place for place in result["ranking"]}
    assert places[CODEX]["first"] is None
    assert "not priced" in places[CODEX]["why"]
    assert (places["results/GPT-5.5"]["first"], places["results/GPT-5.5"]["last"]) == (4, 4)
    assert {places[name]["first"] for name in CONFIGURATIONS[2:]} == {1}
    assert {places[name]["last"] for name in CONFIGURATIONS[2:]} == {2}


@pytest.mark.parametrize(
    ("a", "b", "k_a", "k_b", "p_value", "duration", "verdict"),
    [
        ("airline__gpt-5.4", "airline__gpt-4o-2024-11-20", 28, 23, 0.23, 1.065, "no difference shown"),
        ("airline__qwen2.5-7b", "airline__gpt-4o-2024-11-20", 9, 23, 0.0026, 4.77, "worse"),
        ("telecom40__gpt-4.1-finetuned", "telecom40__gpt-4.1", 30, 18, 0.0005, 1.27, "worse"),
        ("retail40__gpt-4.1-finetuned", "retail40__gpt-4.1", 34, 34, 1.0, 1.62, "worse"),
        ("airline20__gpt-4.1-finetuned", "airline20__gpt-4.1", 13, 10, 0.51, None, None),
    ],
)
def test_the_runs_of_tau2_say_what_an_independent_calculation_says(
    stack: Stack, a: str, b: str, k_a: int, k_b: int, p_value: float, duration: float | None, verdict: str | None
) -> None:
    result = stack.json("compare", "swarms", a, b)
    (success,) = result["success"]
    assert (success["k_a"], success["k_b"]) == (k_a, k_b)
    assert success["p_value"] == pytest.approx(p_value, rel=0.03)
    if duration is not None:
        assert of(result, "task_duration")["ratio"] == pytest.approx(duration, abs=0.005)
        assert of(result, "task_duration")["verdict"] == verdict
    if "finetuned" in a or "qwen" in a:
        assert of(result, "cost_usd")["verdict"] == "not enough data"
        assert "not priced" in of(result, "cost_usd")["why"]


def test_sides_by_model_and_benchmark_are_the_same_comparison(stack: Stack) -> None:
    model = stack.json(
        *("compare", "swarms", "--a", f"swarm={CONFIGURATIONS[1]},model=GPT-5.5"),
        *("--b", f"swarm={CONFIGURATIONS[0]},model=GPT-5.4", *SWE),
    )
    assert of(model, "cost_usd")["ratio"] == pytest.approx(2.388, abs=0.001)
    assert [side["conditions"][1] for side in model["sides"]] == [
        {"key": "model", "values": ["GPT-5.5"]},
        {"key": "model", "values": ["GPT-5.4"]},
    ]


def test_strata_are_compared_each_on_their_own_and_corrected_together(stack: Stack) -> None:
    result = stack.json("compare", "swarms", *CONFIGURATIONS[1::-1], "--stratify", "task_class", "--metric", "cost_usd")
    assert set(result["strata"]) == {
        f"task_class={name}" for name in ("swe-bench", "swt-bench", "gaia", "swe-bench-multimodal", "commit0")
    }
    assert of(result, "cost_usd", "task_class=swe-bench")["ratio"] == pytest.approx(2.388, abs=0.001)
    assert of(result, "cost_usd")["n_a"] == sum(of(result, "cost_usd", name)["n_a"] for name in result["strata"])
    assert {c["tests_corrected"] for c in result["comparisons"]} == {6}
    (pooled,) = result["stratified"]
    assert pooled["low"] < pooled["estimate"] < pooled["high"]


def test_csv_has_a_line_a_comparison(stack: Stack) -> None:
    text = stack.run("compare", "swarms", *CONFIGURATIONS[:2], *SWE, "--format", "csv")
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"task_success", "cost_usd", "cost_usd_per_success"}
    assert rows["cost_usd"]["verdict"] == "better"
    assert float(rows["cost_usd"]["p95_difference_high"]) < 0


def test_a_gate_fails_on_what_is_worse_and_says_when_it_cannot_tell(stack: Stack, tmp_path: Path) -> None:
    sides = ("--baseline", CONFIGURATIONS[0], "--candidate", CONFIGURATIONS[1], *SWE)
    junit = tmp_path / "gate.xml"
    assert "gate failed" in stack.run("gate", *sides, "--junit", str(junit), code=1)
    assert 'failures="1" errors="0" skipped="1"' in junit.read_text()
    assert "gate passed" in stack.run("gate", *sides, "--metric", "task_success")
    assert "gate passed" in stack.run("gate", *sides, "--allow", "2.5")
    unpriced = ("--baseline", CONFIGURATIONS[0], "--candidate", CODEX, *SWE)
    assert "could not decide" in stack.run("gate", *unpriced, code=2)
