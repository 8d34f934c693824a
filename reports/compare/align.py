"""Puts the two sides of a comparison on the same units: the same tasks where there are any, else side by side.

In: samples (unit key -> value). Out: an aligned pair of arrays and what was left out.
Never: pairs what is not the same task, treats repeats or calls of one task as independent, fills a gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np

from reports.compare.ranks import Bounds, bounds
from reports.compare.resample import FloatArray

UnitOfAnalysis = Literal["task", "agent", "run"]
SAME_TASKS_RATIO_MIN: Final = 0.8  # shared tasks / all tasks: below it the overlap is accidental, not a design


@dataclass(frozen=True)
class Sample:
    """One side: a value for each unit; None is a unit that was there but not measured.

    Its arrays are made once: comparisons of one side with many others know it by them and resample it once.
    """

    side: str
    values: Mapping[str, float | None]
    unit_of_analysis: UnitOfAnalysis
    provenances: frozenset[str] = frozenset()
    pairable: bool = False  # the keys mean the same thing on every side
    denominators: Mapping[str, float | None] = field(default_factory=dict)  # for ratios such as cost / success

    @cached_property
    def measured(self) -> dict[str, float]:
        """The units that have a finite value, by key."""
        return {k: v for k, v in sorted(self.values.items()) if v is not None and math.isfinite(v)}

    @cached_property
    def array(self) -> FloatArray:
        """The measured values, in the order of their keys."""
        return _array(list(self.measured.values()))

    @cached_property
    def described(self) -> tuple[float | None, float | None, float | None]:
        """Mean, median and 95th percentile of the measured values."""
        return describe(self.array)

    @cached_property
    def percentile_bounds(self) -> tuple[Bounds | None, Bounds | None]:
        """Of the median and the 95th percentile of the measured values."""
        return bounds(self.array, 0.5), bounds(self.array, 0.95)

    @cached_property
    def rates(self) -> dict[str, tuple[float, float]]:
        """Value and denominator of the units that have both, by key."""
        return {k: (v, d) for k, v in self.measured.items() if (d := self.denominators.get(k)) is not None}

    @cached_property
    def columns(self) -> FloatArray:
        """What is resampled, (units, columns): the values, or values and denominators."""
        return _array(list(self.rates.values())).reshape(-1, 2) if self.denominators else self.array[:, None]

    @cached_property
    def reported(self) -> tuple[Sample, int]:
        """The sample without its zeros, and how many those are, among other values.

        Where every value is 0 the sample stays as it is.
        """
        zeros = sum(value == 0 for value in self.measured.values())
        if not zeros or zeros == len(self.measured):
            return self, 0
        return replace(self, values={key: None if value == 0 else value for key, value in self.values.items()}), zeros


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
    if _is_paired(a, b, pairing):
        shared = list(left) if left.keys() == right.keys() else [key for key in left if key in right]
        return Aligned(
            a.array if len(shared) == len(left) else _array([left[k] for k in shared]),
            b.array if len(shared) == len(right) else _array([right[k] for k in shared]),
            tuple(shared),
            True,
            len(left) - len(shared),
            len(right) - len(shared),
            missing_a,
            missing_b,
        )
    return Aligned(a.array, b.array, (), False, 0, 0, missing_a, missing_b)


def _is_paired(a: Sample, b: Sample, pairing: str) -> bool:
    if pairing == "never" or not (a.pairable and b.pairable):
        return False
    if pairing == "always":
        return True
    # What was done decides, not what happened to be measured: a missing cost does not change the design.
    shared = len(a.values) if a.values.keys() == b.values.keys() else len(a.values.keys() & b.values.keys())
    everything = len(a.values) + len(b.values) - shared
    return shared > 0 and shared >= SAME_TASKS_RATIO_MIN * everything


def describe(values: FloatArray) -> tuple[float | None, float | None, float | None]:
    """Mean, median and 95th percentile; None where there are no values."""
    if not len(values):
        return None, None, None
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return float(values.mean()), float(p50), float(p95)


def resampled(a: Sample, b: Sample, pair: Aligned) -> tuple[FloatArray, FloatArray]:
    """The columns of both sides over the units of `pair` that have all of them."""
    if not pair.paired:
        return a.columns, b.columns
    if not (a.denominators and b.denominators):
        return (
            a.columns if pair.a is a.array else pair.a[:, None],
            b.columns if pair.b is b.array else pair.b[:, None],
        )
    both = [key for key in pair.keys if key in a.rates and key in b.rates]  # in the order of the keys, as the rates are
    left, right = (
        side.columns if len(both) == len(side.rates) else _array([side.rates[k] for k in both]).reshape(-1, 2)
        for side in (a, b)
    )
    return left, right


def _array(values: Sequence[float] | Sequence[tuple[float, float]]) -> FloatArray:
    return np.array(values, dtype=np.float64)
