"""A comparison as JSON and CSV: the same fields, documented in docs/comparing.md.

In: a Comparison. Out: text. Never: NaN, a missing number as 0, a field whose meaning changes between versions.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any, Final

from reports.compare.describe import UNITS_MIN
from reports.compare.finding import Finding
from reports.compare.statistics import RATIO_WORTH_SEEING, SUCCESS_WORTH_SEEING
from reports.compare.verdict import LEVEL
from reports.comparison import Comparison
from reports.queries.side import Side
from reports.render.json import plain
from reports.render.times import iso

COMPARISON_SCHEMA_VERSION: Final = 1  # a field may be added, none changes its meaning
SQL_PAIRS_MAX: Final = 100  # with more pairs the text would be many megabytes: `query` then names it in `queries`
CSV_COLUMNS: Final = (
    *("metric", "unit", "better", "stratum", "a", "b", "verdict", "unit_of_analysis", "n_a", "n_b", "paired"),
    *("mean_a", "mean_b", "ratio", "ratio_low", "ratio_high", "median_pair_ratio"),
    *("difference", "difference_low", "difference_high", "p50_a", "p50_b", "p95_a", "p95_b"),
    *("p50_difference_low", "p50_difference_high", "p95_difference_low", "p95_difference_high"),
    *("test", "p_value", "p_adjusted", "tests_corrected", "effect", "effect_name", "units_needed"),
    *("missing_a", "missing_b", "left_out_a", "left_out_b", "provenance", "why", "warnings"),
)


def render_comparison_json(comparison: Comparison) -> str:
    """Equal comparisons give equal bytes."""
    return json.dumps(comparison_object(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_object(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON types."""
    request = comparison.request
    with_sql = len(request.pairs) <= SQL_PAIRS_MAX
    return {
        "schema_version": COMPARISON_SCHEMA_VERSION,
        "kind": request.kind,
        "created_at": iso(comparison.created_at_ms),
        "time_range": {"from": iso(request.time.from_ms), "to": iso(request.time.to_ms)},
        "sides": [_side(side) for side in request.sides],
        "filters": [dataclasses.asdict(condition) for condition in request.filters],
        "paired_by": {"auto": "auto", "always": "task_id", "never": "none"}[request.pairing],
        "stratify": request.stratify or None,
        "strata": list(comparison.strata),
        "comparisons": [_finding(finding, with_sql=with_sql) for finding in comparison.findings],
        "success": [_finding(success, with_sql=with_sql) for success in comparison.successes],
        "stratified": [plain(dataclasses.asdict(one)) for one in comparison.stratified],
        "reliability": [plain(dataclasses.asdict(one)) for one in comparison.reliability],
        "ranking": [plain(dataclasses.asdict(one)) for one in comparison.ranking],
        "reversals": [plain(dataclasses.asdict(one)) for one in comparison.reversals],
        "notes": list(comparison.notes),
        "method": {
            "confidence": 0.95,
            "false_claim_level": LEVEL,
            "correction": "Holm, over every test of this result",
            "units_min": UNITS_MIN,
            "ratio_worth_seeing": RATIO_WORTH_SEEING,
            "success_difference_worth_seeing": SUCCESS_WORTH_SEEING,
            "ratio": "mean_a / mean_b; the verdict is a's: a is <verdict> than b",
        },
        "queries": {name: dataclasses.asdict(query) for name, query in sorted(comparison.queries.items())},
    }


def render_comparison_csv(comparison: Comparison) -> str:
    """One line a comparison; an empty cell is "not measured" or "not estimable"."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for finding in comparison.findings:
        values = plain(dataclasses.asdict(finding))
        writer.writerow([_cell(values[name]) for name in CSV_COLUMNS])
    return out.getvalue()


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "conditions": [{"key": c.key, "values": list(c.values)} for c in side.conditions],
        "time_range": {"from": iso(side.time.from_ms), "to": iso(side.time.to_ms)},
    }


def _finding(finding: Any, *, with_sql: bool) -> dict[str, Any]:
    values: dict[str, Any] = plain(dataclasses.asdict(finding))
    values["stratum"] = finding.stratum or None
    if not with_sql:
        values["sql"] = None
    return values


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def finding_row(finding: Finding) -> dict[str, object]:
    """One comparison as a line of a table for people."""
    from reports.numbers import difference, number, quantity

    def cell(value: float | None) -> str | None:
        return None if value is None else quantity(value, finding.unit)

    ratio = None if finding.ratio is None else number(finding.ratio)
    if ratio is not None and finding.ratio_low is not None:
        ratio += f" [{number(finding.ratio_low)}, {number(finding.ratio_high)}]"
    elif finding.difference_low is not None:
        low, high = (difference(x, finding.unit) for x in (finding.difference_low, finding.difference_high))
        ratio = f"{difference(finding.difference, finding.unit)} [{low}, {high}]"
    n = f"{finding.n_a} pairs" if finding.paired else f"{finding.n_a}, {finding.n_b} {finding.unit_of_analysis}s"
    return {
        "measure": finding.label,
        "A mean": cell(finding.mean_a),
        "B mean": cell(finding.mean_b),
        "A / B (or A - B)": ratio,
        "typical pair": None if finding.median_pair_ratio is None else number(finding.median_pair_ratio),
        "A p50": cell(finding.p50_a),
        "B p50": cell(finding.p50_b),
        "A p95": cell(finding.p95_a),
        "B p95": cell(finding.p95_b),
        "n": n,
        "p": None if finding.p_adjusted is None else number(finding.p_adjusted),
        "verdict for A": finding.verdict,
    }
