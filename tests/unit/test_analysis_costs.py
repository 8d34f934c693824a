"""Costs, repeated work and bottlenecks from rows whose answers can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.prices import PriceBook
from reports.analysis.bottlenecks import bottlenecks
from reports.analysis.costs import alternatives, bands_of, costs
from reports.analysis.repeats import repeat_shares, repeated
from reports.queries.analysis import DurationRow, RepeatRow, UsageRow

DAY_MS = 1_772_323_200_000  # 2026-03-01
BOOK = """
[[price]]
model = "big"
effective_from = 2026-01-01
input = 10.0
cache_read = 1.0
cache_write_5m = 12.5
cache_write_1h = 20.0
output = 50.0
source = "test"
[[price]]
model = "big"
effective_from = 2026-01-01
prompt_tokens_from = 200000
input = 20.0
cache_read = 2.0
cache_write_5m = 25.0
cache_write_1h = 40.0
output = 100.0
source = "test"
[[price]]
model = "small"
effective_from = 2026-01-01
input = 1.0
output = 5.0
source = "test"
"""


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text(BOOK)
    return PriceBook.load(path)


def usage(of: str = "big", *, model: str = "big", band: int = 0, cost: float | None = 1.0, **tokens: int) -> UsageRow:
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    counts = [tokens.get(name, 0) for name in names]
    priced = 0 if cost is None else 1
    return UsageRow("s", of, model, DAY_MS, band, 1, priced, cost, *counts, tokens.get("without_tokens", 0))


def test_the_bands_of_a_book_start_at_0(book: PriceBook) -> None:
    assert bands_of(book) == [0, 200_000]


def test_groups_are_the_dearest_first_and_what_is_not_priced_is_a_share_and_no_0(book: PriceBook) -> None:
    rows = [usage("x", cost=1.0), usage("y", cost=3.0), usage("y", cost=None), usage("z", cost=None)]
    found = costs(rows, book)
    assert [(one.of, one.cost_usd, one.unpriced_ratio) for one in found] == [
        ("y", 3.0, 0.5),
        ("x", 1.0, 0),
        ("z", None, 1),
    ]
    assert found[0].share_ratio == 0.75


def test_a_cache_saves_what_its_reads_would_have_cost_less_what_its_writes_cost_more(book: PriceBook) -> None:
    (one,) = costs([usage(cache_read=1_000_000, cache_write_5m=1_000_000)], book)
    assert one.cache_saving_usd == pytest.approx((10 - 1) + (10 - 12.5))
    assert one.cache_read_ratio == 0.5
    (long,) = costs([usage(band=200_000, cache_read=1_000_000)], book)
    assert long.cache_saving_usd == pytest.approx(20 - 2)
    (unknown,) = costs([usage(model="nobody", cache_read=5)], book)
    assert unknown.cache_saving_usd is None


def test_the_same_tokens_on_another_model(book: PriceBook) -> None:
    rows = [usage(input=1_000_000, output=100_000), usage(band=200_000, input=1_000_000)]
    (small,) = alternatives(rows, book, ["small"])
    assert small.actual_usd == pytest.approx(10 + 5 + 20)
    assert small.all_on_model_usd == pytest.approx(1 + 0.5 + 1)
    assert small.ratio == pytest.approx(2.5 / 35)


def test_a_model_without_a_rate_for_a_class_that_occurred_has_no_cost(book: PriceBook) -> None:
    (small,) = alternatives([usage(cache_read=10)], book, ["small"])
    assert (small.all_on_model_usd, small.ratio) == (None, None)
    (nobody,) = alternatives([usage(input=10)], book, ["nobody"])
    assert nobody.all_on_model_usd is None
    (blind,) = alternatives([usage(without_tokens=1)], book, ["big"])
    assert blind.actual_usd is None


def test_repeats_are_completions_after_the_first_and_work_without_a_hash_is_not_judged() -> None:
    rows = [
        RepeatRow("s", "tool_call", "Read", "h1", 3, 2, 200.0, None),
        RepeatRow("s", "tool_call", "Read", "h2", 1, 1, 0.0, None),
        RepeatRow("s", "tool_call", "Bash", "", 6, 1, 900.0, None),
    ]
    (share,) = repeat_shares(rows)
    assert (share.completed, share.repeated, share.hashed_ratio, share.repeated_ratio) == (10, 2, 0.4, 0.5)
    assert (share.again_ms, share.again_usd) == (200.0, None)
    assert [row.hash for row in repeated(rows)] == ["h1"]


def duration(
    name: str, p50_ms: float, n: int = 10, *, kind: str = "phase", conflicts: int | None = None
) -> DurationRow:
    return DurationRow("s", kind, name, n, n, p50_ms, p50_ms * n, 0, conflicts)


def test_a_slow_phase_is_held_against_the_others_without_itself() -> None:
    rows = [duration("plan", 100), duration("build", 110), duration("test", 1_000), duration("ship", 90)]
    (slow,) = bottlenecks(rows)
    assert (slow.name, slow.typical_ms, slow.ratio) == ("test", 100, 10)
    assert slow.impact_ms == 9_000
    assert slow.why == "phase test takes 10 times the typical phase (3 others)"


def test_the_gravest_is_what_costs_most_time_and_not_what_is_slowest_once() -> None:
    phases = [duration("a", 100), duration("b", 100), duration("rare", 5_000, n=1)]
    tools = [
        duration(name, p50, n, kind="tool_call") for name, p50, n in (("x", 10, 5), ("y", 10, 5), ("z", 30, 1_000))
    ]
    assert [one.name for one in bottlenecks([*phases, *tools])] == ["z", "rare"]


def test_one_other_is_not_typical_and_conflicts_stand_last_without_a_time() -> None:
    rows = [duration("a", 100), duration("b", 900), duration("m", 1, kind="task", conflicts=4)]
    (only,) = bottlenecks(rows)
    assert (only.name, only.impact_ms) == ("m", None)
    assert "4 integration conflicts" in only.why
