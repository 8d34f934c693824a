"""The gate: its outcome for each kind of finding, in both directions, and what it hands to a build server."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from reports.compare.engine import ComparisonInput, compare_strata
from reports.compare.finding import Finding
from reports.compare.gate import Gate, judge
from reports.queries.port import TaskRow
from reports.render.gate import gate_json, gate_junit, gate_markdown


def rows(side: str, factor: float, *, solved: int = 100, priced: bool = True, tasks: int = 100) -> list[TaskRow]:
    rng = np.random.default_rng(1)  # the same noise for each side, so the ratio is nearly exact
    own = np.random.default_rng(abs(hash((factor, solved))) % 1000)
    found = []
    for i in range(tasks):
        value = factor * float(rng.lognormal(0, 0.5)) * float(own.lognormal(0, 0.05))
        cost = value / 1000 if priced else None
        found.append(
            TaskRow(
                *(side, f"t{i}", True, 1, 1, int(i < solved), 1, value, cost, None, None, None, None),
                *(("measured",), ("estimated",) if priced else ()),
            )
        )
    return found


def findings(candidate: list[TaskRow], baseline: list[TaskRow]) -> tuple[Finding, ...]:
    data = ComparisonInput([*candidate, *baseline], (), (), {})
    return compare_strata([("new", "old")], data, {})[0]


def outcomes(gate: Gate) -> dict[str, str]:
    return {check.metric: check.outcome for check in gate.checks}


def test_what_is_within_the_allowed_ratio_passes_and_what_is_beyond_fails() -> None:
    slightly, much = (findings(rows("new", factor), rows("old", 1.0)) for factor in (1.08, 1.4))
    assert outcomes(judge(slightly)) == {"task_success": "pass", "task_duration": "pass", "cost_usd": "pass"}
    assert judge(slightly).exit_code == 0
    assert outcomes(judge(slightly, allow=1.02))["task_duration"] == "worse"
    failed = judge(much)
    assert (outcomes(failed)["cost_usd"], failed.exit_code) == ("worse", 1)
    assert judge(much, allow=1.5).exit_code == 0


def test_the_direction_is_the_measures_own() -> None:
    gate = judge(findings(rows("new", 1.0, solved=60), rows("old", 1.0, solved=90)))
    check = gate.checks[0]
    assert (check.metric, check.outcome) == ("task_success", "worse")
    assert check.worsening == pytest.approx(90 / 60)
    assert check.low is not None
    assert 1 < check.low < 1.5 < (check.high or 0)
    assert judge(findings(rows("new", 0.5), rows("old", 1.0))).exit_code == 0, "better is never a failure"


def test_a_measure_may_have_a_ratio_of_its_own() -> None:
    found = findings(rows("new", 1.0, solved=88), rows("old", 1.0, solved=97))
    assert outcomes(judge(found))["task_success"] == "pass, not proven"
    assert outcomes(judge(found, allow_of={"task_success": 1.02}))["task_success"] == "worse"


def test_what_only_one_side_has_cannot_be_judged() -> None:
    gate = judge(findings(rows("new", 1.0, priced=False), rows("old", 1.0)))
    assert outcomes(gate)["cost_usd"] == "not enough data"
    assert gate.exit_code == 2


def test_what_neither_side_has_is_skipped_unless_it_was_asked_for() -> None:
    found = findings(rows("new", 1.0, priced=False), rows("old", 1.0, priced=False))
    gate = judge(found)
    assert (gate.skipped, gate.exit_code) == (("cost_usd",), 0)


def test_too_few_tasks_are_no_pass() -> None:
    assert judge(findings(rows("new", 1.0, tasks=5), rows("old", 1.0, tasks=5))).exit_code == 2


def test_strict_demands_a_proof() -> None:
    rng = np.random.default_rng(2)
    noisy = [
        [
            TaskRow(s, f"{s}{i}", True, 1, 1, 1, 1, float(rng.lognormal(0, 1)), *[None] * 5, ("measured",), ())
            for i in range(30)
        ]
        for s in ("new", "old")
    ]
    found = findings(*noisy)
    assert outcomes(judge(found))["task_duration"] == "pass, not proven"
    assert outcomes(judge(found, strict=True))["task_duration"] == "not enough data"
    assert judge(found, strict=True).exit_code == 2


def test_a_measure_without_a_better_direction_is_misuse() -> None:
    with pytest.raises(ValueError, match="nothing to judge"):
        judge(())
    data = [
        TaskRow(s, f"t{i}", True, 1, 1, 1, 1, 1.0, None, None, None, 5.0 + i, None, ("measured",), ())
        for s in ("new", "old")
        for i in range(20)
    ]
    found = compare_strata([("new", "old")], ComparisonInput(data, (), (), {}), {})[0]
    with pytest.raises(ValueError, match="no better direction"):
        judge(found, asked=["cache_write_tokens"])


def test_a_build_server_reads_failures_errors_and_skips() -> None:
    gate = judge(findings(rows("new", 1.4, priced=False), rows("old", 1.0)))
    suite = ElementTree.fromstring(gate_junit(gate)).find("testsuite")
    assert suite is not None
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["task_duration"]
    text = gate_markdown(gate)
    assert text.startswith("### Gate failed: new against old")
    assert "| ✘ | task duration |" in text
    assert '"exit_code": 1' in gate_json(gate)
