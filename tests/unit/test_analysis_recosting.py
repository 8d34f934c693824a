"""Another price book over the same calls, and tasks by what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.prices import PriceBook
from reports.analysis.recosting import common_bands, recostings
from reports.analysis.work import work_parts
from reports.compare.success import wilson
from reports.queries.port import BreakdownRow
from tests.unit.test_analysis_costs import BOOK, usage

OTHER = """
[[price]]
model = "big"
effective_from = 2026-01-01
input = 5.0
cache_read = 0.5
cache_write_5m = 6.0
cache_write_1h = 10.0
output = 25.0
source = "test"
[[price]]
model = "big"
effective_from = 2026-01-01
prompt_tokens_from = 100000
input = 8.0
source = "test"
[[price]]
model = "new"
effective_from = 2026-01-01
input = 1.0
source = "test"
"""


def book_of(path: Path, text: str) -> PriceBook:
    path.write_text(text)
    return PriceBook.load(path)


@pytest.fixture
def books(tmp_path: Path) -> tuple[PriceBook, PriceBook]:
    return book_of(tmp_path / "ours.toml", BOOK), book_of(tmp_path / "theirs.toml", OTHER)


def test_a_band_of_either_book_parts_the_calls(books: tuple[PriceBook, PriceBook]) -> None:
    assert common_bands(*books) == [0, 100_000, 200_000]


def test_only_calls_that_both_books_price_are_held_against_each_other(books: tuple[PriceBook, PriceBook]) -> None:
    rows = [
        usage("x", input=1_000_000, output=1_000_000, cost=3.0),
        usage("x", band=100_000, input=1_000_000, cost=None),
        usage("x", model="small", input=1_000_000),
        usage("x", model="new", input=1_000_000, cost=None),
        usage("x", model="nobody", input=1, cost=None),
    ]
    (one,) = recostings(rows, *books)
    assert (one.calls, one.compared) == (5, 2)
    assert (one.only_in_list, one.only_in_book, one.in_neither) == (1, 1, 1)
    assert one.list_usd == pytest.approx(10 + 50 + 10)
    assert one.book_usd == pytest.approx(5 + 25 + 8)
    assert one.difference_usd == pytest.approx(38 - 70)
    assert one.ratio == pytest.approx(38 / 70)
    assert one.recorded_usd == 4.0


def test_the_same_book_changes_nothing_and_no_common_price_is_no_sum(books: tuple[PriceBook, PriceBook]) -> None:
    ours, theirs = books
    (same,) = recostings([usage("x", input=7, output=5)], ours, ours)
    assert (same.ratio, same.difference_usd) == (1.0, 0.0)
    (none,) = recostings([usage("x", model="nobody", input=7)], ours, theirs)
    assert (none.list_usd, none.book_usd, none.ratio, none.compared) == (None, None, None, 0)


def test_tasks_are_divided_by_what_they_name_with_their_interval() -> None:
    rows = [
        BreakdownRow("s", "phase", "plan", 12, 8, 2, 10, 5.0, 9.0, 0, None),
        BreakdownRow("s", "role", "coder", 12, 8, 2, 10, 5.0, 9.0, 0, None),
        BreakdownRow("s", "error type", "timeout", 2, 0, 2, 0, None, None, 1, 0.5),
    ]
    (plan,) = work_parts(rows, "phase")
    assert (plan.of, plan.completed_ratio, plan.tasks) == ("plan", 0.8, 12)
    assert (plan.completed_low, plan.completed_high) == wilson(8, 10)
    (timeout,) = work_parts(rows, "error_type")
    assert (timeout.completed_ratio, timeout.cost_usd) == (0.0, 0.5)
    assert work_parts(rows, "pattern") == ()
