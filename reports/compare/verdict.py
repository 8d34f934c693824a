"""The verdicts of a report: the correction over all its tests, then one word and its reason for each finding.

In: every finding of a report. Out: the same findings, concluded. Never: names a winner that the corrected test
and the interval do not both show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reports.compare.correction import holm
from reports.compare.finding import Finding, SuccessFinding, Verdict
from reports.compare.statistics import RATIO_WORTH_SEEING, SUCCESS_WORTH_SEEING
from reports.numbers import number, percent, quantity

LEVEL: Final = 0.05  # chance of any false claim in the whole report, when nothing differs


def conclude(
    findings: Sequence[Finding], successes: Sequence[SuccessFinding] = ()
) -> tuple[tuple[Finding, ...], tuple[SuccessFinding, ...]]:
    """Corrects over all tests of `findings` and gives each its verdict and its why."""
    adjusted = holm([f.p_value for f in findings])
    tests = sum(p is not None for p in adjusted)
    concluded = tuple(_conclude(f, p, tests) for f, p in zip(findings, adjusted, strict=True))
    by_pair = {(f.a, f.b, f.stratum): f.p_adjusted for f in concluded if f.metric == "task_success"}
    return concluded, tuple(replace(s, p_adjusted=by_pair.get((s.a, s.b, s.stratum))) for s in successes)


def _conclude(finding: Finding, p_adjusted: float | None, tests: int) -> Finding:
    warnings = (*finding.warnings, *_warnings(finding))
    if finding.p_value is None and finding.standard_error == 0:
        why = f"the same {finding.label} {_units_text(finding)}"
        return replace(finding, verdict="no difference shown", why=why, warnings=warnings)
    if finding.p_value is None or p_adjusted is None:
        why = finding.why or "the values do not allow an interval"
        return replace(finding, why=why, warnings=warnings)
    finding = replace(finding, p_adjusted=p_adjusted, tests_corrected=tests, warnings=warnings)
    side = shown_side(finding)
    if finding.interval is None:
        why = f"too few different values {_units_text(finding)} for an interval"
        return replace(finding, verdict="not enough data", why=why)
    if p_adjusted > LEVEL or side == 0:
        return replace(finding, verdict="no difference shown", why=_why_none(finding, side, tests))
    return replace(finding, verdict=_word(finding, side), why=_why_shown(finding, tests))


def shown_side(finding: Finding) -> int:
    """1: the interval lies above "no difference", -1: below, 0: it contains it or there is none."""
    if finding.ratio_low is not None and finding.ratio_high is not None:
        return int(finding.ratio_low > 1) - int(finding.ratio_high < 1)
    if finding.difference_low is not None and finding.difference_high is not None:
        return int(finding.difference_low > 0) - int(finding.difference_high < 0)
    return 0


def _word(finding: Finding, side: int) -> Verdict:
    if finding.better == "none":
        return "higher" if side > 0 else "lower"
    return "better" if (side > 0) == (finding.better == "higher") else "worse"


def _estimate_text(finding: Finding) -> str:
    if finding.ratio_low is not None and finding.ratio_high is not None:
        ratio, low, high = (number(x) for x in (finding.ratio, finding.ratio_low, finding.ratio_high))
        return f"{ratio} times [{low}, {high}]"
    if finding.difference_low is not None and finding.difference_high is not None:
        if finding.unit == "ratio":
            low, high = (f"{100 * x:+.1f}" for x in (finding.difference_low, finding.difference_high))
            return f"{100 * (finding.difference or 0):+.1f} percentage points [{low}, {high}]"
        low, high = (quantity(x, finding.unit) for x in (finding.difference_low, finding.difference_high))
        return f"{quantity(finding.difference, finding.unit)} apart [{low}, {high}]"
    return "without an interval"


def _units_text(finding: Finding) -> str:
    if finding.paired:
        return f"over the same {finding.n_a} tasks"
    return f"over {finding.n_a} and {finding.n_b} {finding.unit_of_analysis}s"


def _test_text(finding: Finding, tests: int) -> str:
    over = f", corrected over {tests} tests" if tests > 1 else ""
    return f"{finding.test}, p = {number(finding.p_adjusted)}{over}"


def _why_shown(finding: Finding, tests: int) -> str:
    direction = "" if finding.better == "none" else f"; {finding.better} is better"
    return f"{_estimate_text(finding)} {_units_text(finding)} ({_test_text(finding, tests)}){direction}"


def _why_none(finding: Finding, side: int, tests: int) -> str:
    if side:
        lead = f"{_estimate_text(finding)} {_units_text(finding)}, but not after correction"
    else:
        lead = f"{_estimate_text(finding)} {_units_text(finding)} includes no difference"
    return f"{lead} ({_test_text(finding, tests)}){_power_text(finding)}"


def _power_text(finding: Finding) -> str:
    if finding.units_needed is None:
        return ""
    n = min(finding.n_a, finding.n_b)
    worth = (
        f"{100 * SUCCESS_WORTH_SEEING:.0f} percentage points"
        if finding.unit == "ratio"
        else percent(RATIO_WORTH_SEEING - 1)
    )
    if n >= finding.units_needed:
        return f"; a difference of {worth} would probably have been seen"
    side = "" if finding.paired else " a side"
    return (
        f"; to see a difference of {worth}, about {finding.units_needed - n} more "
        f"{finding.unit_of_analysis}s{side} are needed"
    )


def _units(count: int, unit: str) -> str:
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def _warnings(finding: Finding) -> list[str]:
    """What a reader must know before using the verdict."""
    notes = []
    missing = {finding.a: finding.missing_a, finding.b: finding.missing_b}
    word = "not priced" if finding.unit == "USD" else "not measured"
    for side, count in missing.items():
        if count:
            notes.append(f"{side}: {word} and left out: {_units(count, finding.unit_of_analysis)}")
    left_out = {finding.a: finding.left_out_a, finding.b: finding.left_out_b}
    for side, count in left_out.items():
        if count:
            notes.append(f"{side}: without a measured partner and left out: {_units(count, 'task')}")
    if finding.metric == "task_success" and finding.mean_a == finding.mean_b == 1.0:
        notes.append("every task succeeded on both sides: success carries no information here")
    if "estimated" in finding.provenance:
        notes.append("estimated, not measured")
    return notes
