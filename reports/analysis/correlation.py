"""Which measures of a side's tasks go together: Spearman's rank correlation, corrected over all that are shown.

In: task rows. Out: `Correlation`. Never: pairs of measures that are parts of one another; a cause; sides pooled, which
would show the difference of the sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from reports.compare.correction import holm
from reports.compare.describe import UNITS_MIN
from reports.compare.success import Z_95
from reports.compare.verdict import LEVEL
from reports.numbers import number
from reports.queries.port import TaskRow

BONETT_WRIGHT: Final = 2  # variance of Fisher's z of Spearman's rho is (1 + rho^2 / 2) / (n - 3) (Bonett, Wright 2000)
_COST_OF: Final[Callable[[TaskRow], float | None]] = lambda row: row.cost_usd or None  # noqa: E731  # 0: not reported
MEASURES: Final[dict[str, Callable[[TaskRow], float | None]]] = {
    "task_success": lambda row: row.successes / row.finished if row.finished else None,
    "task_duration": lambda row: row.duration_ms,
    "cost_usd": _COST_OF,
    "input_tokens": lambda row: row.input_tokens,
    "cache_read_tokens": lambda row: row.cache_read_tokens,
    "cache_write_tokens": lambda row: row.cache_write_tokens,
    "output_tokens": lambda row: row.output_tokens,
}
_TOKENS: Final = frozenset(name for name in MEASURES if name.endswith("_tokens"))


@dataclass(frozen=True, slots=True)
class Correlation:
    """rho -1..1 with a 95 % interval. shown: the corrected test and the interval both exclude 0."""

    side: str
    x: str
    y: str
    n: int
    rho: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None = None
    shown: bool = False
    why: str = ""


def correlations(side: str, tasks: Sequence[TaskRow]) -> tuple[Correlation, ...]:
    """Every two measures that the side has; a cost is a sum over tokens, so the two are not held against each other."""
    rows = [row for row in tasks if row.swarm_id == side]
    values = {name: _column([read(row) for row in rows]) for name, read in MEASURES.items()}
    known = [name for name, column in values.items() if not np.isnan(column).all()]
    complete = {name: _ranks(values[name]) for name in known if not np.isnan(values[name]).any()}
    pairs = [(x, y) for x, y in combinations(known, 2) if not (x == "cost_usd" and y in _TOKENS)]
    found = [
        _correlation(side, x, y, *_ranked_together(values[x], values[y], (complete.get(x), complete.get(y))))
        for x, y in pairs
    ]
    adjusted = holm([one.p_value for one in found])
    return tuple(_concluded(one, p, len(found)) for one, p in zip(found, adjusted, strict=True))


def _column(values: Sequence[float | None]) -> np.ndarray:
    """None becomes not a number."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _ranked_together(
    xs: np.ndarray, ys: np.ndarray, known: tuple[np.ndarray | None, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks among the tasks that have both; `known` are those of columns without gaps, ranked once for all pairs."""
    if known[0] is not None and known[1] is not None:
        return known[0], known[1]
    both = ~(np.isnan(xs) | np.isnan(ys))
    return _ranks(xs[both]), _ranks(ys[both])


def _correlation(side: str, x: str, y: str, a: np.ndarray, b: np.ndarray) -> Correlation:
    """`a` and `b` are ranks of the same tasks."""
    n = len(a)
    if n < UNITS_MIN:
        why = f"{n} tasks have both: at least {UNITS_MIN} are needed"
        return Correlation(side, x, y, n, None, None, None, None, why=why)
    if a.std() == 0 or b.std() == 0:
        flat = x if a.std() == 0 else y
        return Correlation(side, x, y, n, None, None, None, None, why=f"{flat} is the same in every task")
    rho = float(np.clip(round(np.corrcoef(a, b)[0, 1], 12), -1, 1))  # without the rounding of a perfect one
    low, high = _interval(rho, n)
    return Correlation(side, x, y, n, rho, low, high, _p_value(rho, n))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks of ties."""
    ordered = np.sort(values)
    ranks: np.ndarray = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return ranks


def _interval(rho: float, n: int) -> tuple[float, float]:
    if abs(rho) == 1:
        return rho, rho
    centre = math.atanh(rho)
    reach = Z_95 * math.sqrt((1 + rho * rho / BONETT_WRIGHT) / (n - 3))
    return math.tanh(centre - reach), math.tanh(centre + reach)


def _p_value(rho: float, n: int) -> float:
    """Student's t of a rank correlation."""
    from scipy.special import stdtr

    if abs(rho) == 1:
        return 2 / math.factorial(min(n, 20))  # of all orders of the tasks two are as extreme
    t = rho * math.sqrt((n - 2) / (1 - rho * rho))
    return 2 * float(stdtr(n - 2, -abs(t)))


def _concluded(one: Correlation, p_adjusted: float | None, tests: int) -> Correlation:
    if p_adjusted is None or one.low is None or one.high is None:
        return one
    shown = p_adjusted <= LEVEL and (one.low > 0 or one.high < 0)
    word = ("rises with" if (one.rho or 0) > 0 else "falls with") if shown else "is not shown to go with"
    why = f"{one.x} {word} {one.y} over {one.n} tasks (p = {number(p_adjusted)}, corrected over {tests} tests)"
    return replace(one, p_adjusted=p_adjusted, shown=shown, why=why)
