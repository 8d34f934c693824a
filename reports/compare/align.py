"""Puts the two sides of a comparison on the same units: the same tasks where there are any, else side by side.

In: samples (unit key -> value). Out: an aligned pair of arrays and what was left out.
Never: pairs what is not the same task, treats repeats or calls of one task as independent, fills a gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from reports.compare.resample import FloatArray

UnitOfAnalysis = Literal["task", "agent"]
SAME_TASKS_RATIO_MIN: Final = 0.8  # shared tasks / all tasks: below it the overlap is accidental, not a design


@dataclass(frozen=True, slots=True)
class Sample:
    """One side: a value for each unit; None is a unit that was there but not measured."""

    side: str
    values: Mapping[str, float | None]
    unit_of_analysis: UnitOfAnalysis
    provenances: frozenset[str] = frozenset()
    pairable: bool = False  # the keys mean the same thing on every side
    denominators: Mapping[str, float | None] = field(default_factory=dict)  # for ratios such as cost / success

    @property
    def measured(self) -> dict[str, float]:
        """The units that have a finite value."""
        return {k: v for k, v in self.values.items() if v is not None and math.isfinite(v)}


@dataclass(frozen=True, slots=True)
class Aligned:
    """`a` and `b` hold measured units only; when paired, row i of both is the same task."""

    a: FloatArray
    b: FloatArray
    keys: tuple[str, ...]  # of the pairs; empty when unpaired
    paired: bool
    left_out_a: int  # measured on this side only, so without a partner
    left_out_b: int
    missing_a: int  # there, but not measured
    missing_b: int


def align(a: Sample, b: Sample, *, pairing: Literal["auto", "always", "never"] = "auto") -> Aligned:
    """Pairs by key when the sides did the same tasks ("auto"), when asked to, or not at all."""
    left, right = a.measured, b.measured
    missing_a, missing_b = len(a.values) - len(left), len(b.values) - len(right)
    shared = sorted(left.keys() & right.keys())
    if _is_paired(a, b, pairing):
        return Aligned(
            _array([left[k] for k in shared]),
            _array([right[k] for k in shared]),
            tuple(shared),
            True,
            len(left) - len(shared),
            len(right) - len(shared),
            missing_a,
            missing_b,
        )
    values_a, values_b = ([side[k] for k in sorted(side)] for side in (left, right))
    return Aligned(_array(values_a), _array(values_b), (), False, 0, 0, missing_a, missing_b)


def _is_paired(a: Sample, b: Sample, pairing: str) -> bool:
    if pairing == "never" or not (a.pairable and b.pairable):
        return False
    if pairing == "always":
        return True
    # What was done decides, not what happened to be measured: a missing cost does not change the design.
    shared, everything = a.values.keys() & b.values.keys(), a.values.keys() | b.values.keys()
    return bool(shared) and len(shared) >= SAME_TASKS_RATIO_MIN * len(everything)


def _array(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)
