"""What model calls cost: by group, what caches saved, and what the same tokens would have cost on another model.

In: usage rows, a price book. Out: `Cost`, `Alternative`. Never: a price for a model, day or token class without a rate;
a sum that hides how much of it is not priced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.prices import TOKENS_PER_RATE, Price, PriceBook
from reports.queries.analysis import UsageRow

CLASSES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


@dataclass(frozen=True, slots=True)
class Cost:
    """cost_usd: of the `priced` of the `calls`; cache_saving_usd: net of what writing the cache cost more."""

    side: str
    of: str
    calls: int
    priced: int
    cost_usd: float | None
    share_ratio: float | None  # of the side's cost
    unpriced_ratio: float  # of the calls
    cache_read_ratio: float | None  # of the prompt tokens
    cache_saving_usd: float | None  # None: a model, day or class without a rate


@dataclass(frozen=True, slots=True)
class Alternative:
    """A side's calls at list prices: as they were, and all on `model`. None: something has no rate there."""

    side: str
    model: str
    calls: int
    actual_usd: float | None
    all_on_model_usd: float | None
    ratio: float | None  # all on the model / as they were


def bands_of(book: PriceBook) -> list[int]:
    """The lower ends of all bands of prompt tokens, ascending from 0."""
    return sorted({0, *(price.prompt_tokens_from for price in book.prices)})


def costs(rows: Sequence[UsageRow], book: PriceBook) -> tuple[Cost, ...]:
    """One line a side and group, the dearest first; groups without any price last."""
    totals: dict[str, float] = {}
    groups: dict[tuple[str, str], list[UsageRow]] = {}
    for row in rows:
        groups.setdefault((row.side, row.of), []).append(row)
        totals[row.side] = totals.get(row.side, 0.0) + (row.cost_usd or 0.0)
    found = [_cost(side, of, own, totals[side], book) for (side, of), own in groups.items()]
    return tuple(sorted(found, key=lambda c: (c.side, c.cost_usd is None, -(c.cost_usd or 0.0), c.of)))


def alternatives(rows: Sequence[UsageRow], book: PriceBook, models: Sequence[str]) -> tuple[Alternative, ...]:
    """The same tokens at the list prices of each model.

    Another model would have used other tokens for the same work, so this is a price list applied, not a forecast.
    """
    sides = dict.fromkeys(row.side for row in rows)
    found = []
    for side in sides:
        own = [row for row in rows if row.side == side]
        actual = _sum([list_price(row, row.model, book) for row in own])
        for model in models:
            there = _sum([list_price(row, model, book) for row in own])
            ratio = there / actual if there is not None and actual else None
            found.append(Alternative(side, model, sum(row.calls for row in own), actual, there, ratio))
    return tuple(found)


def _cost(side: str, of: str, rows: Sequence[UsageRow], total: float, book: PriceBook) -> Cost:
    calls, priced = sum(row.calls for row in rows), sum(row.priced for row in rows)
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    cost = sum(known) if known else None
    reads = sum(row.cache_read for row in rows)
    prompt = reads + sum(row.input + row.cache_write_5m + row.cache_write_1h for row in rows)
    return Cost(
        side=side,
        of=of,
        calls=calls,
        priced=priced,
        cost_usd=cost,
        share_ratio=cost / total if cost is not None and total else None,
        unpriced_ratio=1 - priced / calls,
        cache_read_ratio=reads / prompt if prompt else None,
        cache_saving_usd=_sum([_saving(row, _price(row, row.model, book)) for row in rows]),
    )


def _price(row: UsageRow, model: str, book: PriceBook) -> Price | None:
    return book.price_of(model, row.day_ms, row.prompt_tokens_from)


def list_price(row: UsageRow, model: str, book: PriceBook) -> float | None:
    """The row's tokens in USD at the rates of a model; None when a class that occurred has none, or has no count."""
    price = _price(row, model, book)
    if row.without_tokens:
        return None
    parts: list[float] = []
    for name in CLASSES:
        tokens, rate = getattr(row, name), price and getattr(price, name)
        if tokens and rate is None:
            return None
        parts.append(tokens * (rate or 0.0))
    return sum(parts) / TOKENS_PER_RATE


def _saving(row: UsageRow, price: Price | None) -> float | None:
    """Against sending every prompt token as uncached input."""
    cached = {name: getattr(row, name) for name in ("cache_read", "cache_write_5m", "cache_write_1h")}
    if not any(cached.values()):
        return 0.0
    if price is None or price.input is None:
        return None
    saved = 0.0
    for name, tokens in cached.items():
        rate: float | None = getattr(price, name)
        if tokens and rate is None:
            return None
        saved += tokens * (price.input - (rate or 0.0))
    return float(saved / TOKENS_PER_RATE)


def _sum(values: Sequence[float | None]) -> float | None:
    """None when a part is missing: a part is not the whole."""
    return None if any(value is None for value in values) else sum(value for value in values if value is not None)
