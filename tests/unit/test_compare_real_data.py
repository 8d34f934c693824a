"""The findings and non-findings of real agent runs come out as an independent calculation gave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.compare.align import Sample
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.measures import MEASURES
from reports.compare.statistics import compare
from reports.compare.verdict import conclude

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data folder ../shared/data is absent")

Values = dict[str, float | None]


def _openhands(configuration: str, *, folder: str = "results") -> dict[str, Values]:
    path = DATA / "openhands" / folder / configuration / "instance_results" / "swe-bench.json"
    tasks = json.loads(path.read_text("utf-8"))
    return {
        "cost_usd": {task: row["cost"] for task, row in tasks.items()},
        # The benchmark counts a task without a resolution as not solved.
        "task_success": {task: float(row["resolved"] is True) for task, row in tasks.items()},
    }


def _tau2(run: str) -> dict[str, Values]:
    simulations = json.loads((DATA / "tau2" / f"{run}.json").read_text("utf-8"))["simulations"]
    return {
        "cost_usd": {s["task_id"]: s["agent_cost"] for s in simulations},
        "task_success": {s["task_id"]: float(s["reward_info"]["reward"] == 1.0) for s in simulations},
        "task_duration": {s["task_id"]: s["duration"] * 1000 for s in simulations},
    }


def _compare(
    name_a: str, a: dict[str, Values], name_b: str, b: dict[str, Values]
) -> tuple[dict[str, Finding], SuccessFinding]:
    findings, successes = [], []
    for metric in a:
        sides = [
            Sample(name, values[metric], "task", frozenset({"measured"}), pairable=True)
            for name, values in ((name_a, a), (name_b, b))
        ]
        finding, counts = compare(MEASURES[metric], *sides)
        findings.append(finding)
        if counts is not None:
            successes.append(counts)
    concluded, (success,) = conclude(findings, successes)
    return {f.metric: f for f in concluded}, success


def _openhands_pair(a: str, b: str) -> tuple[dict[str, Finding], SuccessFinding]:
    return _compare(a, _openhands(a), b, _openhands(b))


def _tau2_pair(a: str, b: str) -> tuple[dict[str, Finding], SuccessFinding]:
    return _compare(a, _tau2(a), b, _tau2(b))


def test_gpt_5_5_costs_2_4_times_gpt_5_4_and_its_success_is_no_finding() -> None:
    findings, success = _openhands_pair("GPT-5.5", "GPT-5.4")
    cost = findings["cost_usd"]
    assert cost.paired
    assert cost.n_a == cost.n_b == 500
    assert cost.ratio == pytest.approx(2.388, abs=0.001)
    assert cost.ratio_low == pytest.approx(2.31, abs=0.02)
    assert cost.ratio_high == pytest.approx(2.47, abs=0.02)
    assert cost.verdict == "worse"
    assert (success.k_a, success.k_b, success.n) == (391, 378, 500)
    assert success.p_value == pytest.approx(0.072, abs=0.001)
    assert findings["task_success"].verdict == "no difference shown"


def test_kimi_costs_the_same_as_gemini_but_succeeds_less() -> None:
    findings, success = _openhands_pair("Kimi-K2.5", "Gemini-3-Flash")
    cost = findings["cost_usd"]
    assert cost.ratio == pytest.approx(0.981, abs=0.001)
    assert cost.ratio_low == pytest.approx(0.88, abs=0.02)
    assert cost.ratio_high == pytest.approx(1.09, abs=0.02)
    assert cost.verdict == "no difference shown"
    assert (success.k_a, success.k_b) == (344, 373)
    assert success.p_value == pytest.approx(0.0013, abs=0.0001)
    assert findings["task_success"].verdict == "worse"


def test_a_cost_of_zero_everywhere_is_not_reported_and_never_free() -> None:
    folders = sorted((DATA / "openhands" / "alternative_agents" / "acp-codex").iterdir())
    assert len(folders) == 2
    for folder in folders:
        codex = _openhands(folder.name, folder="alternative_agents/acp-codex")
        findings, _ = _compare("acp-codex", codex, "GPT-5.4", _openhands("GPT-5.4"))
        cost = findings["cost_usd"]
        assert cost.verdict == "not enough data"
        assert "not a free run" in cost.why or "not priced" in cost.why
        assert cost.mean_a is None
        assert cost.ratio is None


def test_a_cost_of_zero_among_real_costs_counts_as_not_reported_for_that_task() -> None:
    findings, _ = _openhands_pair("GLM-5", "GPT-5.4")
    cost = findings["cost_usd"]
    assert cost.n_a == 405
    assert cost.missing_a == 95
    assert "GLM-5: costs of exactly 0, which count as not reported: 95" in cost.warnings


@pytest.mark.parametrize(
    ("a", "b", "k_a", "k_b", "p_value", "ratio", "low", "high", "verdict"),
    [
        (
            "airline__gpt-5.4",
            "airline__gpt-4o-2024-11-20",
            28,
            23,
            0.23,
            1.065,
            0.90,
            1.24,
            "no difference shown",
        ),
        ("airline__qwen2.5-7b", "airline__gpt-4o-2024-11-20", 9, 23, 0.0026, 4.77, 3.5, 6.35, "worse"),
        ("retail40__gpt-4.1-finetuned", "retail40__gpt-4.1", 34, 34, 1.0, 1.62, 1.44, 1.84, "worse"),
        ("telecom40__gpt-4.1-finetuned", "telecom40__gpt-4.1", 30, 18, 0.0005, 1.27, 1.03, 1.53, "worse"),
    ],
)
def test_tau2_success_and_duration(
    a: str,
    b: str,
    k_a: int,
    k_b: int,
    p_value: float,
    ratio: float,
    low: float,
    high: float,
    verdict: str,
) -> None:
    findings, success = _tau2_pair(a, b)
    duration = findings["task_duration"]
    assert (success.k_a, success.k_b) == (k_a, k_b)
    assert success.p_value == pytest.approx(p_value, rel=0.03)
    assert duration.ratio == pytest.approx(ratio, abs=0.005)
    # Another bootstrap gave these bounds; ours covers better on skewed data and is a little wider (ADR 0006).
    assert duration.ratio_low == pytest.approx(low, rel=0.04)
    assert duration.ratio_high == pytest.approx(high, rel=0.04)
    assert duration.verdict == verdict


def test_an_unpriced_fine_tune_is_not_ranked_by_cost() -> None:
    findings, success = _tau2_pair("airline20__gpt-4.1-finetuned", "airline20__gpt-4.1")
    assert findings["cost_usd"].verdict == "not enough data"
    assert (success.k_a, success.k_b) == (13, 10)
    assert success.p_value == pytest.approx(0.51, abs=0.01)
    assert findings["task_success"].verdict == "no difference shown"


def test_gpt_5_4_costs_about_half_of_gpt_4o_on_the_airline_tasks() -> None:
    findings, _ = _tau2_pair("airline__gpt-5.4", "airline__gpt-4o-2024-11-20")
    assert findings["cost_usd"].ratio == pytest.approx(0.545, abs=0.001)
    assert findings["cost_usd"].verdict == "better"
