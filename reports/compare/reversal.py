"""Findings that turn round in a part of the data (Simpson's paradox): a warning, never a claim of its own.

In: concluded findings, the tasks they rest on. Out: `Reversal`. Never: a part with fewer than UNITS_MIN units a side.

A part turns a finding round when its own 95 % interval lies wholly on the other side, at a level shared among the parts
(Bonferroni): so parts that are merely noisy do not warn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from reports.compare import samples
from reports.compare.align import Sample, align
from reports.compare.describe import UNITS_MIN
from reports.compare.finding import Finding
from reports.compare.measures import TASK_MEASURES
from reports.compare.statistics import Pairing
from reports.compare.verdict import LEVEL, shown_side
from reports.numbers import number
from reports.queries.port import TaskRow

CLAIMED = frozenset({"better", "worse", "higher", "lower"})
Keys = frozenset[tuple[str, str]]  # (side, task)
PARTS_MAX = 50  # classes looked at; each part more makes the level of all stricter


@dataclass(frozen=True, slots=True)
class Reversal:
    """`part` names the part; ratio and bounds are the measure's there (differences for success)."""

    metric: str
    a: str
    b: str
    part: str
    estimate: float
    low: float
    high: float
    n: int
    text: str


def reversals(findings: Sequence[Finding], tasks: Sequence[TaskRow]) -> tuple[Reversal, ...]:
    """Claimed findings of tasks, each looked at in every task class and in both halves of the time."""
    found: list[Reversal] = []
    for finding in findings:
        rates = finding.metric == "cost_usd_per_success"
        if finding.verdict in CLAIMED and finding.metric in TASK_MEASURES and not rates and not finding.stratum:
            found += _parts(finding, tasks)
    return tuple(found)


def reversed_strata(findings: Sequence[Finding]) -> tuple[Reversal, ...]:
    """Claimed findings whose compared strata show the opposite, by the strata's own intervals."""
    whole = {(f.metric, f.a, f.b): f for f in findings if not f.stratum and f.verdict in CLAIMED}
    found = []
    for part in findings:
        finding = whole.get((part.metric, part.a, part.b)) if part.stratum else None
        if finding is None or shown_side(part) * shown_side(finding) != -1:
            continue
        values = (part.ratio, part.ratio_low, part.ratio_high)
        if part.ratio_low is None:
            values = (part.difference, part.difference_low, part.difference_high)
        estimate, low, high = (float(value or 0.0) for value in values)
        found.append(_reversal(finding, part.stratum, estimate, low, high, min(part.n_a, part.n_b)))
    return tuple(found)


def _parts(finding: Finding, tasks: Sequence[TaskRow]) -> Iterator[Reversal]:
    rows = [row for row in tasks if row.swarm_id in (finding.a, finding.b)]
    side = shown_side(finding)
    a, b = (samples.task_sample(finding.metric, name, rows) for name in (finding.a, finding.b))
    if finding.unit == "USD":
        a, b = a.reported[0], b.reported[0]
    parts: list[tuple[str, Keys]] = [*_classes(rows).items(), *_halves(rows).items()]
    # The same tasks in the parts as in the whole: else a half of the time would compare one mix with another.
    pairing: Pairing = "always" if finding.paired else "never"
    for part, keys in parts:
        pair = align(_only(a, keys), _only(b, keys), pairing=pairing)
        if min(len(pair.a), len(pair.b)) < UNITS_MIN:
            continue
        estimated = _interval(pair.a, pair.b, paired=pair.paired, share=finding.unit == "ratio", parts=len(parts))
        if estimated is not None and _beyond(estimated, 0.0 if finding.unit == "ratio" else 1.0) == -side:
            yield _reversal(finding, part, *estimated, min(len(pair.a), len(pair.b)))


def _classes(rows: Sequence[TaskRow]) -> dict[str, Keys]:
    classes = Counter(row.task_class for row in rows if row.task_class)
    if len(classes) < 2:
        return {}
    return {
        f"task_class={name}": frozenset((row.swarm_id, row.task_id) for row in rows if row.task_class == name)
        for name, _ in classes.most_common(PARTS_MAX)
    }


def _halves(rows: Sequence[TaskRow]) -> dict[str, Keys]:
    """Each side's earlier and later tasks, by the middle of all tasks of both."""
    times = [row.started_ms for row in rows if row.started_ms is not None]
    if not times:
        return {}
    middle = median(times)
    halves = {
        "the earlier half of the time": [r for r in rows if r.started_ms is not None and r.started_ms < middle],
        "the later half of the time": [r for r in rows if r.started_ms is not None and r.started_ms >= middle],
    }
    return {name: frozenset((r.swarm_id, r.task_id) for r in half) for name, half in halves.items()}


def _only(sample: Sample, keys: Keys) -> Sample:
    chosen: Mapping[str, float | None] = {
        key: value for key, value in sample.values.items() if (sample.side, key) in keys
    }
    return replace(sample, values=chosen)


def _interval(
    a: np.ndarray, b: np.ndarray, *, paired: bool, share: bool, parts: int
) -> tuple[float, float, float] | None:
    """Delta method: enough for a warning, and needs no draws."""
    from scipy.special import stdtrit

    mean_a, mean_b = float(a.mean()), float(b.mean())
    if not share and (mean_a <= 0 or mean_b <= 0):
        return None
    scale_a, scale_b = (1.0, 1.0) if share else (mean_a, mean_b)
    if paired:
        error = math.sqrt(float((a / scale_a - b / scale_b).var(ddof=1)) / len(a))
    else:
        error = math.sqrt(float((a / scale_a).var(ddof=1)) / len(a) + float((b / scale_b).var(ddof=1)) / len(b))
    reach = float(stdtrit(min(len(a), len(b)) - 1, 1 - LEVEL / parts / 2)) * error
    if share:
        return mean_a - mean_b, mean_a - mean_b - reach, mean_a - mean_b + reach
    centre = math.log(mean_a / mean_b)
    return math.exp(centre), math.exp(centre - reach), math.exp(centre + reach)


def _beyond(estimated: tuple[float, float, float], nothing: float) -> int:
    _, low, high = estimated
    return int(low > nothing) - int(high < nothing)


def _reversal(finding: Finding, part: str, estimate: float, low: float, high: float, n: int) -> Reversal:
    if finding.ratio_low is None:
        shown = f"{100 * estimate:+.1f} points" if finding.unit == "ratio" else number(estimate)
    else:
        shown = f"{number(estimate)} times"
    text = (
        f"{finding.label}: {finding.a} is {finding.verdict} than {finding.b} over everything, but the opposite in "
        f"{part} ({shown} over {n} units): the mix decides; read the parts, not the whole"
    )
    return Reversal(finding.metric, finding.a, finding.b, part, estimate, low, high, n, text)
