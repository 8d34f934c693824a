"""What the same calls would cost by another price book, beside what they cost by ours.

In: usage rows in the bands of both books, the two books. Out: `Recosting`. Never: a sum over other calls on one side
than on the other; a price for what a book has no rate for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.prices import PriceBook
from reports.analysis.costs import bands_of, list_price
from reports.queries.analysis import UsageRow


@dataclass(frozen=True, slots=True)
class Recosting:
    """One group of a side's calls. list_usd and book_usd are over the same `compared` calls, which both books price."""

    side: str
    of: str
    calls: int
    recorded_usd: float | None  # as stored with the events, of the calls that had a cost
    compared: int
    list_usd: float | None  # by the price book in use
    book_usd: float | None  # by the other one
    difference_usd: float | None
    ratio: float | None  # book_usd / list_usd
    only_in_list: int  # calls that the other book does not price
    only_in_book: int  # calls that the book in use does not price
    in_neither: int


def common_bands(*books: PriceBook) -> list[int]:
    """The lower ends of the bands of all books: within one, every book has one price."""
    return sorted({band for book in books for band in bands_of(book)})


def recostings(rows: Sequence[UsageRow], book: PriceBook, other: PriceBook) -> tuple[Recosting, ...]:
    """One line a side and group, the largest difference first."""
    groups: dict[tuple[str, str], list[UsageRow]] = {}
    for row in rows:
        groups.setdefault((row.side, row.of), []).append(row)
    found = [_recosting(side, of, own, book, other) for (side, of), own in groups.items()]
    return tuple(sorted(found, key=lambda one: (one.side, -abs(one.difference_usd or 0.0), one.of)))


def _recosting(side: str, of: str, rows: Sequence[UsageRow], book: PriceBook, other: PriceBook) -> Recosting:
    here, there, counts = 0.0, 0.0, {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for row in rows:
        mine, its = list_price(row, row.model, book), list_price(row, row.model, other)
        counts[mine is not None, its is not None] += row.calls
        if mine is not None and its is not None:
            here, there = here + mine, there + its
    compared = counts[True, True]
    recorded = [row.cost_usd for row in rows if row.cost_usd is not None]
    return Recosting(
        side=side,
        of=of,
        calls=sum(row.calls for row in rows),
        recorded_usd=sum(recorded) if recorded else None,
        compared=compared,
        list_usd=here if compared else None,
        book_usd=there if compared else None,
        difference_usd=there - here if compared else None,
        ratio=there / here if compared and here else None,
        only_in_list=counts[True, False],
        only_in_book=counts[False, True],
        in_neither=counts[False, False],
    )
