"""Which setting of the runs goes with a difference, how large it is, and which settings cannot be told apart.

In: runs with their settings and the means of their tasks. Out: `Impact`. Never: a run counted more for its tasks; a
setting named as the cause: who set what was not drawn by lots.

For each value of a setting the runs that have it are held against all others, by the same engine as any comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reports.compare.align import Sample
from reports.compare.finding import Finding
from reports.compare.measures import measure_of
from reports.compare.statistics import Prepared, estimated, prepare
from reports.compare.verdict import conclude
from reports.queries.analysis import RunOutcomeRow

METRICS: Final = ("task_success", "task_duration", "cost_usd")
VALUES_MAX: Final = 20  # of one setting: with more it is a number or a name of the run, not a choice


@dataclass(frozen=True, slots=True)
class Impact:
    """`finding`: a = runs with the value, b = the others. explained_ratio: share of the runs' variance, 0..1."""

    setting: str
    value: str
    metric: str
    explained_ratio: float | None
    same_as: tuple[str, ...]  # settings that divide the runs in the same way: their effects cannot be separated
    finding: Finding


def impacts(runs: Sequence[RunOutcomeRow], metrics: Sequence[str] = METRICS) -> tuple[Impact, ...]:
    """Every value of every setting that at least two runs have and two have not; the most explaining first."""
    settings = _settings(runs)
    same = _same(settings)
    prepared: list[Prepared] = []
    heads: list[tuple[str, str, str]] = []
    for setting, values in settings.items():
        for value, metric in ((v, m) for v in _tried(values) for m in metrics):
            sides = _sides(runs, values, setting, value, metric)
            if any(sample.measured for sample in sides):
                prepared.append(prepare(measure_of(metric), *sides, pairing="never", query="run_outcomes"))
                heads.append((setting, value, metric))
    findings, _ = conclude(estimated(prepared))
    found = [
        Impact(*head, _explained(runs, settings[head[0]], head[2]), same[head[0]], finding)
        for head, finding in zip(heads, findings, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-(one.explained_ratio or 0.0), one.setting, one.value, one.metric)))


def _settings(runs: Sequence[RunOutcomeRow]) -> dict[str, tuple[str, ...]]:
    """Setting -> its value in each run ('' = not set), where it differs between runs."""
    keys = sorted({key for run in runs for key in run.configuration})
    columns = {key: tuple(run.configuration.get(key, "") for run in runs) for key in keys}
    return {key: column for key, column in columns.items() if 2 <= len(set(column)) <= VALUES_MAX}


def _tried(column: Sequence[str]) -> list[str]:
    """Values of at least two runs, where two others have another; of two values the second says nothing new."""
    values = [v for v in sorted(set(column)) if column.count(v) >= 2 and len(column) - column.count(v) >= 2]
    return values[:1] if len(set(column)) == 2 else values


def _sides(
    runs: Sequence[RunOutcomeRow], column: Sequence[str], setting: str, value: str, metric: str
) -> tuple[Sample, Sample]:
    def sample(name: str, *, having: bool) -> Sample:
        chosen = {
            f"{r.side}/{r.run_id}": getattr(r, metric)
            for r, v in zip(runs, column, strict=True)
            if (v == value) == having
        }
        return Sample(name, chosen, "run", frozenset(_provenances(runs, metric)))

    shown = value or "not set"
    return sample(f"{setting}={shown}", having=True), sample(f"{setting} other than {shown}", having=False)


def _provenances(runs: Sequence[RunOutcomeRow], metric: str) -> set[str]:
    return {p for run in runs for p in (run.cost_provenances if metric == "cost_usd" else run.provenances) if p}


def _same(settings: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Settings whose values divide the runs alike."""
    shapes = {key: tuple(list(dict.fromkeys(column)).index(v) for v in column) for key, column in settings.items()}
    return {key: tuple(o for o, other in shapes.items() if o != key and other == shapes[key]) for key in shapes}


def _explained(runs: Sequence[RunOutcomeRow], column: Sequence[str], metric: str) -> float | None:
    """Epsilon squared, the share of variance without what chance alone would show; of logarithms but for success."""
    pairs = [(getattr(r, metric), v) for r, v in zip(runs, column, strict=True)]
    known = [(float(y), v) for y, v in pairs if y is not None and (metric == "task_success" or y > 0)]
    groups = {v: np.array([y for y, w in known if w == v]) for _, v in known}
    n, k = len(known), len(groups)
    if n <= k or k < 2:
        return None
    values = np.array([y for y, _ in known])
    if metric != "task_success":
        values, groups = np.log(values), {v: np.log(g) for v, g in groups.items()}
    total = float(((values - values.mean()) ** 2).sum())
    if total == 0:
        return 0.0
    within = float(sum(((g - g.mean()) ** 2).sum() for g in groups.values()))
    return max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))
