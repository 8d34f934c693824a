"""A regression gate: whether a candidate is shown to be worse than a baseline by more than is allowed.

In: concluded findings of the candidate (a) against the baseline (b), allowed ratios. Out: `Gate`.
Never: lets a measure pass that could not be compared; fails a candidate on a difference that was not shown.

`worsening` is the same for every direction: 1.2 = a fifth worse. Where lower is better it is a / b, else b / a.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reports.compare.finding import Finding
from reports.numbers import number

ALLOW_DEFAULT: Final = 1.15
GATED_BY_DEFAULT: Final = ("task_success", "task_duration", "cost_usd")
Outcome = Literal["pass", "pass, not proven", "worse", "not enough data"]
EXIT_CODES: Final[dict[Outcome, int]] = {"pass": 0, "pass, not proven": 0, "worse": 1, "not enough data": 2}


@dataclass(frozen=True, slots=True)
class Check:
    """One measure. `low`, `high`: 95 % bounds of the worsening; None where there are none."""

    metric: str
    label: str
    outcome: Outcome
    allow: float
    worsening: float | None
    low: float | None
    high: float | None
    why: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Gate:
    """All checks of a candidate against a baseline."""

    candidate: str
    baseline: str
    checks: tuple[Check, ...]
    skipped: tuple[str, ...] = ()  # default measures that neither side has

    @property
    def exit_code(self) -> int:
        """1 when anything is worse; else 2 when anything (or everything) could not be judged; else 0."""
        codes = {EXIT_CODES[check.outcome] for check in self.checks}
        return 1 if 1 in codes else 2 if 2 in codes or not codes else 0


def judge(
    findings: Sequence[Finding],
    *,
    allow: float = ALLOW_DEFAULT,
    allow_of: Mapping[str, float] | None = None,
    asked: Sequence[str] = (),
    strict: bool = False,
) -> Gate:
    """`asked` measures are judged whatever they are; without any the default ones that a side has.

    `strict`: a pass must be proven, that is the whole interval must lie within what is allowed.
    Raises ValueError for an asked measure that has no better direction.
    """
    if not findings:
        raise ValueError("there is nothing to judge: neither side has any measure")
    names = asked or GATED_BY_DEFAULT
    checks, skipped = [], []
    for name in names:
        finding = next((f for f in findings if f.metric == name and not f.stratum), None)
        if finding is None or (not asked and _nobody_has(finding)):
            skipped.append(name)
            continue
        if finding.better == "none":
            raise ValueError(f"{name} has no better direction, so nothing can be worse; gate another measure")
        checks.append(_check(finding, (allow_of or {}).get(name, allow), strict=strict))
    return Gate(findings[0].a, findings[0].b, tuple(checks), tuple(skipped))


def _nobody_has(finding: Finding) -> bool:
    """A cost that one side alone has is no reason to look away: it cannot be judged, and that is the answer."""
    return not any((finding.n_a, finding.n_b, finding.left_out_a, finding.left_out_b))


def _check(finding: Finding, allow: float, *, strict: bool) -> Check:
    worsening, low, high = _worsening(finding)

    def result(outcome: Outcome, why: str) -> Check:
        return Check(finding.metric, finding.label, outcome, allow, worsening, low, high, why, finding)

    if finding.verdict in {"not enough data", "not ranked"}:
        return result("not enough data", finding.why)
    if worsening is None:
        # Nothing succeeded, or nothing cost anything: there is no ratio, but the verdict stands.
        return result("worse" if finding.verdict == "worse" else "pass, not proven", finding.why)
    shown = f"{number(worsening)} times as bad"
    interval = f" [{number(low)}, {number(high)}]" if low is not None else ""
    if finding.verdict == "worse" and worsening > allow:
        return result("worse", f"{shown}{interval}, allowed is {number(allow)}: {finding.why}")
    if high is not None and high <= allow:
        return result("pass", f"{shown}{interval} is within {number(allow)}")
    word: Outcome = "not enough data" if strict else "pass, not proven"
    return result(word, f"{shown}{interval}: worse than {number(allow)} is neither shown nor ruled out; {finding.why}")


def _worsening(finding: Finding) -> tuple[float | None, float | None, float | None]:
    """From the tested ratio; where a difference was tested, from its bounds against the baseline's mean."""
    mean_a, mean_b = finding.mean_a, finding.mean_b
    if finding.ratio_low is not None and finding.ratio_high is not None and finding.ratio:
        ratios = (finding.ratio, finding.ratio_low, finding.ratio_high)
    elif mean_a is None or mean_b is None or mean_b <= 0 or mean_a < 0:
        return None, None, None
    elif finding.difference_low is not None and finding.difference_high is not None:
        ratios = (mean_a / mean_b, 1 + finding.difference_low / mean_b, 1 + finding.difference_high / mean_b)
    elif finding.standard_error == 0:  # every task the same on both sides: the interval is a point
        ratios = (mean_a / mean_b,) * 3
    else:
        return (mean_a / mean_b, None, None) if finding.better == "lower" else (None, None, None)
    if finding.better == "lower":
        return ratios
    ratio, low, high = ratios
    return (1 / ratio if ratio > 0 else None, 1 / high if high > 0 else None, 1 / low if low > 0 else None)
