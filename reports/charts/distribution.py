"""How the values of a measure lie on each side: as ECDF, histogram and boxes.

In: `Distribution`. Out: `Chart`, or None without values. Never: a value drawn that was not measured; sides pooled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.charts import scales
from reports.numbers import count, quantity
from reports.render.view import ChartTable, table_of

SIDES_MAX: Final = 6  # colours that can be told apart; further sides are named, not drawn
_TABLE: Final = ("side", "n", "lowest", "p25", "p50", "p75", "p95", "highest")


@dataclass(frozen=True, slots=True)
class Distribution:
    """`label` and `unit` of the measure; `of` is the unit of analysis; the values of each side, in any order."""

    name: str
    label: str
    unit: str
    of: str
    values: Mapping[str, Sequence[float]]

    @property
    def sides(self) -> dict[str, list[float]]:
        """The sides that have values, sorted values each; at most SIDES_MAX."""
        known = {side: sorted(found) for side, found in self.values.items() if found}
        return dict(list(known.items())[:SIDES_MAX])

    @property
    def left_out(self) -> str:
        """What is not drawn, in words; empty: nothing."""
        with_values = sum(bool(found) for found in self.values.values())
        parts = [f"{side}: nothing measured" for side, found in self.values.items() if not found]
        if with_values > SIDES_MAX:
            parts.append(f"the first {SIDES_MAX} of {with_values} sides are drawn")
        return "; ".join(parts)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted values, linear between neighbours (type 7 of Hyndman and Fan)."""
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def shown_values(data: Distribution, sides: Mapping[str, Sequence[float]]) -> tuple[scales.Shown, list[float]]:
    """How the measure is written, and all values so written."""
    shown = scales.shown_of(data.unit, [value for values in sides.values() for value in values])
    return shown, [value * shown.factor for values in sides.values() for value in values]


def quartile_table(data: Distribution, sides: Mapping[str, Sequence[float]]) -> ChartTable:
    """n and quantiles of each side: what all three charts show."""
    shares = (0, 0.25, 0.5, 0.75, 0.95, 1)
    rows = [
        (s, count(len(v)), *(quantity(quantile(v, share), data.unit) for share in shares)) for s, v in sides.items()
    ]
    return table_of(_TABLE, rows, note=f"of {data.label}, one value a {data.of}")


def with_left_out(words: str, left_out: str) -> str:
    """The words, and what is not drawn where there is any."""
    return f"{words}; {left_out}" if left_out else words
