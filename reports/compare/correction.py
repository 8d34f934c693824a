"""Holm's step-down correction over everything one report claims.

In: p-values; None stands for "no test was made". Out: adjusted p-values in the same order.
Never: corrects over less than the report shows.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values: compare them with the level itself; the chance of any false claim stays below it."""
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, index) in enumerate(tested):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        adjusted[index] = running
    return adjusted
