"""The JSON, CSV and notes of a comparison: every field is there, and documented."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np

from reports.compare.engine import ComparisonInput, compare_strata
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.gate import Check
from reports.compare.ranking import Place, ranking
from reports.compare.reliability import Reliability, pass_hat_k
from reports.compare.reversal import Reversal
from reports.compare.stratified import Stratified
from reports.comparison import Comparison, ComparisonRequest
from reports.queries.port import TaskRow
from reports.queries.side import parse_side
from reports.render.comparison import CSV_COLUMNS, comparison_object, render_comparison_csv, render_comparison_json

DOCS = Path(__file__).parents[2] / "docs"
STATED = (
    "metric, unit, a, b, n_a, n_b, paired, mean_a, mean_b, ratio, ratio_low, ratio_high, median_pair_ratio, p50_a, "
    "p50_b, p95_a, p95_b, test, p_value, p_adjusted, effect, verdict, why, sql, provenance"
)


def comparison() -> Comparison:
    rng = np.random.default_rng(1)
    rows = [
        TaskRow(s, f"t{i}", True, 2, 2, i % 3, 2, float(rng.lognormal(0, 0.3)), *[None] * 5, ("measured",), ())
        for s in ("a", "b")
        for i in range(30)
    ]
    sides = tuple(parse_side(name, now_ms=0) for name in ("a", "b"))
    findings, successes = compare_strata([("a", "b")], ComparisonInput(rows, (), (), {}), {})
    return Comparison(
        request=ComparisonRequest(sides, (("a", "b"),), kind="rank"),
        created_at_ms=0,
        findings=findings,
        successes=successes,
        ranking=ranking("task_duration", ["a", "b"], findings),
        reliability=pass_hat_k("a", rows),
        notes=("note",),
    )


def test_the_stated_fields_are_there() -> None:
    result = json.loads(render_comparison_json(comparison()))
    assert all(set(STATED.split(", ")) <= set(one) for one in result["comparisons"])
    assert {"k_a", "k_b", "n", "only_a", "only_b", "p_value"} <= {f.name for f in fields(SuccessFinding)}
    assert [one["k"] for one in result["reliability"]] == [1, 2]
    assert [place["side"] for place in result["ranking"]] in (["a", "b"], ["b", "a"])


def test_every_field_is_documented() -> None:
    words = set(
        re.findall(r"`([a-z_0-9]+)(?:\[\])?`", (DOCS / "comparing.md").read_text() + (DOCS / "reports.md").read_text())
    )
    own = {
        f.name
        for kind in (Finding, SuccessFinding, Stratified, Reliability, Place, Reversal, Check)
        for f in fields(kind)
    }
    assert own - words == set()
    assert set(comparison_object(comparison())) - words - {"schema_version"} - {"queries"} == set()


def test_equal_comparisons_give_equal_bytes() -> None:
    assert render_comparison_json(comparison()) == render_comparison_json(comparison())


def test_a_missing_number_is_an_empty_cell_and_never_0() -> None:
    rows = list(csv.DictReader(io.StringIO(render_comparison_csv(comparison()))))
    assert tuple(rows[0]) == CSV_COLUMNS
    success = next(row for row in rows if row["metric"] == "task_success")
    assert success["p95_difference_low"] == ""
    assert success["paired"] == "true"


def test_with_many_pairs_the_sql_stands_once() -> None:
    one = comparison()
    many = Comparison(
        request=ComparisonRequest(one.request.sides, (("a", "b"),) * 101),
        created_at_ms=0,
        findings=one.findings,
        successes=(),
    )
    assert {c["sql"] for c in comparison_object(many)["comparisons"]} == {None}
