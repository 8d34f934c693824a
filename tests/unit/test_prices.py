"""The price book: which rate applies, what a call costs, what stays unpriced, what a broken file says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.prices import BUILT_IN_FILE, PriceBook, PriceFileError


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def row(**overrides: object) -> str:
    fields: dict[str, object] = {
        "model": '"m"',
        "effective_from": "2026-01-01",
        "input": 2.0,
        "output": 10.0,
        "source": '"list"',
    }
    fields.update(overrides)
    return "[[price]]\n" + "".join(f"{key} = {text}\n" for key, text in fields.items() if text is not None)


def book(tmp_path: Path, *rows: str) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text("\n".join(rows))
    return PriceBook.load(path)


def mistakes(tmp_path: Path, *rows: str) -> list[str]:
    with pytest.raises(PriceFileError) as caught:
        book(tmp_path, *rows)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("model", "at", "counts", "cost_usd"),
    [
        # (input, cache read, cache write 5 min, cache write 1 h, output); by hand from the published list
        ("claude-opus-4-5-20251101", "2026-01-31", (1_000_000, 0, 0, 0, 0), 5.0),
        ("claude-opus-4-5-20251101", "2026-01-31", (10, 20_000, 3_000, 4_000, 500), 0.0813),
        ("claude-opus-4-6", "2026-02-10", (0, 0, 0, 0, 1_000_000), 25.0),
        ("claude-opus-4-6", "2026-02-10", (200_000, 0, 0, 0, 0), 1.0),
        ("claude-opus-4-6", "2026-02-10", (200_001, 0, 0, 0, 0), 2.00001),
        ("claude-opus-4-6", "2026-03-13", (200_001, 0, 0, 0, 0), 1.000005),
        ("claude-sonnet-4-5-20250929", "2026-01-31", (0, 1_000_000, 0, 0, 0), 0.6),
        ("claude-sonnet-4-5-20250929", "2026-01-31", (0, 200_000, 0, 0, 1_000_000), 15.06),
        ("claude-haiku-4-5-20251001", "2026-01-31", (1_000_000, 0, 0, 0, 1_000_000), 6.0 + 0.0),
        ("claude-haiku-5-5", "2026-11-01", (100_000, 0, 0, 0, 0), 0.01),
        ("claude-haiku-5-5", "2026-11-01", (50_001, 50_000, 0, 0, 0), 0.0275005),
        ("claude-sonnet-5-5", "2026-10-06", (0, 1_000_000, 0, 0, 0), 0.2),
        ("claude-sonnet-5-5", "2026-10-07", (0, 1_000_000, 0, 0, 0), 0.1),
        ("claude-opus-4-1-20250805", "2025-09-01", (1_000_000, 0, 0, 0, 0), 15.0),
        ("gpt-4o-mini", "2026-01-01", (1_000_000, 0, 0, 0, 0), 0.15),
        ("gemini-2.5-pro", "2026-02-01", (200_001, 0, 0, 0, 0), 0.5000025),
    ],
)
def test_the_built_in_book_gives_the_published_list_price(
    model: str, at: str, counts: tuple[int, ...], cost_usd: float
) -> None:
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    tokens = {f"{name}_tokens": count for name, count in zip(names, counts, strict=True)}
    assert PriceBook.load().cost_usd(model, ms(at), **tokens) == pytest.approx(cost_usd, rel=1e-12)


@pytest.mark.parametrize(
    "model", ["<synthetic>", "", "sonnet", "qwen2.5-7b", "claude", "claude-opus-5-turbo", "gpt-5-pro"]
)
def test_a_model_that_is_not_listed_is_not_priced(model: str) -> None:
    assert PriceBook.load().cost_usd(model, ms("2026-11-01"), input_tokens=10) is None


def test_every_built_in_row_is_reachable_and_names_its_source() -> None:
    prices = PriceBook.load()
    for price in prices.prices:
        model = price.model.replace("*", "-x").replace("?", "x") if price.is_glob else price.model
        assert prices.price_of(model, price.effective_from_ms, price.prompt_tokens_from) == price
        assert price.source


def test_a_price_holds_from_midnight_utc_of_its_day(tmp_path: Path) -> None:
    prices = book(tmp_path, row(), row(effective_from="2026-02-01", input=3.0))
    costs = [
        prices.cost_usd("m", at, input_tokens=1_000_000)
        for at in (ms("2025-12-31T23:59:59.999"), ms("2026-01-01"), ms("2026-02-01") - 1, ms("2026-02-01"))
    ]
    assert costs == [None, 2.0, 2.0, 3.0]


def test_the_most_specific_pattern_decides_even_before_its_own_first_day(tmp_path: Path) -> None:
    prices = book(
        tmp_path,
        row(model='"a*"', input=1.0),
        row(model='"a-b*"', input=2.0),
        row(model='"a-b-c"', input=3.0, effective_from="2026-06-01"),
    )
    at = ms("2026-01-15")
    assert [prices.cost_usd(m, at, input_tokens=1_000_000) for m in ("a-x", "a-b-x", "a-b-c")] == [1.0, 2.0, None]


def test_the_band_is_chosen_by_the_whole_prompt_and_prices_the_whole_call(tmp_path: Path) -> None:
    prices = book(tmp_path, row(cache_read=1.0), row(prompt_tokens_from=101, input=20, cache_read=10, output=100))
    at = ms("2026-01-15")
    assert prices.cost_usd("m", at, input_tokens=50, cache_read_tokens=50, output_tokens=1_000) == pytest.approx(
        0.01015
    )
    assert prices.cost_usd("m", at, input_tokens=51, cache_read_tokens=50, output_tokens=0) == pytest.approx(0.00152)


def test_a_new_price_list_states_its_bands_anew(tmp_path: Path) -> None:
    prices = book(tmp_path, row(), row(prompt_tokens_from=10, input=9.0), row(effective_from="2026-02-01", input=4.0))
    assert prices.cost_usd("m", ms("2026-02-01"), input_tokens=1_000_000) == 4.0


def test_unknown_counts_add_nothing_but_all_unknown_is_not_priced(tmp_path: Path) -> None:
    prices = book(tmp_path, row())
    at = ms("2026-01-15")
    assert prices.cost_usd("m", at, output_tokens=1_000_000) == 10.0
    assert prices.cost_usd("m", at, input_tokens=0) == 0.0
    assert prices.cost_usd("m", at) is None


def test_tokens_of_a_class_without_a_rate_leave_the_call_unpriced(tmp_path: Path) -> None:
    prices = book(tmp_path, row())
    at = ms("2026-01-15")
    assert prices.cost_usd("m", at, input_tokens=5, cache_write_1h_tokens=1) is None
    assert prices.cost_usd("m", at, input_tokens=1_000_000, cache_write_1h_tokens=0) == 2.0


def test_the_fingerprint_follows_the_prices_and_not_the_layout(tmp_path: Path) -> None:
    one, two = row(), row(model='"n"')
    first = book(tmp_path, one, two).fingerprint()
    assert book(tmp_path, "# a comment", two, "", one).fingerprint() == first
    assert book(tmp_path, one, row(model='"n"', output=10.000001)).fingerprint() != first
    assert book(tmp_path, one).fingerprint() != first
    assert PriceBook.load().fingerprint() == PriceBook.load(BUILT_IN_FILE).fingerprint()


def test_a_broken_file_lists_every_mistake_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "currency = 'EUR'",
        row(effective_from='"2026-01-01"', input="-1"),
        row(model='"n"', output='"10"', rebate=1),
        row(),
        row(),
        row(model='"b"', prompt_tokens_from=5),
        row(model='""', source=None),
    )
    text = "\n".join(found)
    for part in (
        "unknown key 'currency'",
        "price 1 (m): effective_from must be a date without quotes",
        "price 1 (m): input must be a number",
        "price 2 (n): output must be a number",
        "price 2 (n): unknown key 'rebate'",
        "price 4 (m): the same model, effective_from and prompt_tokens_from as price 3",
        "b from 2026-01-01: the lowest band starts at 5 prompt tokens",
        "model must be a non-empty text",
        "source must be a non-empty text",
    ):
        assert part in text
    assert all(line.startswith(str(tmp_path)) for line in found)


@pytest.mark.parametrize("value", ["nan", "inf", "true", "1e6", "-0.1"])
def test_an_impossible_rate_is_refused(tmp_path: Path, value: str) -> None:
    assert "input must be a number of USD per million tokens" in mistakes(tmp_path, row(input=value))[0]


def test_an_unreadable_file_says_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"gone\.toml: cannot be read: No such file"):
        PriceBook.load(tmp_path / "gone.toml")
    assert "not valid TOML" in mistakes(tmp_path, "[[price")[0]
    assert "no [[price]] table" in mistakes(tmp_path, "")[0]
    assert "must stand in [[price]] tables" in mistakes(tmp_path, "price = 1")[0]


def test_model_names_of_a_hostile_log_do_not_grow_the_book(tmp_path: Path) -> None:
    prices = book(tmp_path, row(model='"m*"'))
    for number in range(10_000):
        assert prices.cost_usd(f"m{number}", ms("2026-01-15"), input_tokens=1_000_000) == 2.0
    assert len(prices._known) <= 4_096
    assert prices.prices[0].effective_from == date(2026, 1, 1)
