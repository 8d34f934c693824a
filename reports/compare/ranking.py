"""Places of many sides in one measure: as far as the corrected comparisons tell them apart, and no further.

In: concluded findings of every pair. Out: `Place`, the best first. Never: a place for declared, unpriced or unmeasured
numbers, or for a measure without a better direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.compare.finding import Finding

RANKABLE = frozenset({"better", "worse", "no difference shown"})


@dataclass(frozen=True, slots=True)
class Place:
    """`first` .. `last`: the places a side may have. `why`: of a side without a place."""

    metric: str
    label: str
    unit: str
    side: str
    first: int | None
    last: int | None
    mean: float | None
    n: int
    better_than: int  # sides it is shown to be better than
    worse_than: int
    why: str = ""


def ranking(metric: str, sides: Sequence[str], findings: Iterable[Finding]) -> tuple[Place, ...]:
    """Needs the findings of all pairs of `sides`; empty where the measure was not compared or has no direction.

    A side comes after all sides shown to be better, and before all shown to be worse.
    """
    own = [f for f in findings if f.metric == metric and not f.stratum]
    if not own or own[0].better == "none":
        return ()
    places = [_place(side, own) for side in sides]
    ranked = sum(place.first is not None for place in places)
    shown = [place if place.first is None else _with_last(place, ranked) for place in places]
    sign = -1 if own[0].better == "higher" else 1
    return tuple(sorted(shown, key=lambda p: (p.first is None, sign * (p.mean or 0.0), p.side)))


def _place(side: str, findings: Sequence[Finding]) -> Place:
    mine = [f for f in findings if side in (f.a, f.b)]
    verdicts = [(f.verdict if f.a == side else _turned(f.verdict)) for f in mine]
    usable = [f for f in mine if f.verdict in RANKABLE]
    shown = usable or mine
    # Pairs may rest on different tasks; the mean over the most tasks is the one shown.
    widest = max(shown, key=lambda f: f.n_a if f.a == side else f.n_b)
    mean, n = (widest.mean_a, widest.n_a) if widest.a == side else (widest.mean_b, widest.n_b)
    head = (widest.metric, widest.label, widest.unit, side)
    if not usable:
        return Place(*head, None, None, mean, n, 0, 0, _reason(side, mine))
    better, worse = verdicts.count("better"), verdicts.count("worse")
    return Place(*head, 1 + worse, None, mean, n, better, worse)


def _with_last(place: Place, ranked: int) -> Place:
    return Place(
        *(place.metric, place.label, place.unit, place.side, place.first, ranked - place.better_than),
        *(place.mean, place.n, place.better_than, place.worse_than),
    )


def _turned(verdict: str) -> str:
    return {"better": "worse", "worse": "better"}.get(verdict, verdict)


def _reason(side: str, findings: Sequence[Finding]) -> str:
    """Why no pair could be compared: what is said of this side, if any finding says it."""
    return next((f.why for f in findings if side in f.why), findings[0].why)
