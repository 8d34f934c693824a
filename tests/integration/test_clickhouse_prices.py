"""What v_prices shows: the book the workers price with, and nothing of an older one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from models.prices import PriceBook
from models.settings import Settings
from sinks.clickhouse.client import connect
from sinks.clickhouse.prices import publish_prices
from tests.support.clickhouse import migrated_database

pytestmark = pytest.mark.integration
NOW_MS = 1_790_000_000_000


@pytest.fixture
def settings() -> Iterator[Settings]:
    with migrated_database() as found:
        yield found


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    opened = connect(settings)
    yield opened
    opened.close()


def test_every_row_of_the_book_is_shown_with_null_where_there_is_no_rate(settings: Settings, client: Client) -> None:
    book = PriceBook.load()
    publish_prices(settings, book, now_ms=NOW_MS)
    publish_prices(settings, book, now_ms=NOW_MS + 1)  # a second worker starts
    shown = {
        (r[0], r[1].date(), r[2]): r[3:8] for r in client.query("SELECT * EXCEPT (source) FROM v_prices").result_rows
    }
    assert shown == {
        (p.model, p.effective_from, p.prompt_tokens_from): (
            p.input,
            p.cache_read,
            p.cache_write_5m,
            p.cache_write_1h,
            p.output,
        )
        for p in book.prices
    }
    assert any(None in rates for rates in shown.values()), "a missing rate is NULL, not 0"


def test_a_row_that_left_the_book_leaves_the_view(settings: Settings, client: Client, tmp_path: Path) -> None:
    small = tmp_path / "prices.toml"
    small.write_text(
        '[[price]]\nmodel = "m"\neffective_from = 2026-01-01\ninput = 1.0\noutput = 2.0\nsource = "a contract"\n'
    )
    publish_prices(settings, PriceBook.load(), now_ms=NOW_MS)
    publish_prices(settings, PriceBook.load(small), now_ms=NOW_MS + 1)
    rows = client.query("SELECT model_pattern, input_usd_per_mtok, cache_read_usd_per_mtok FROM v_prices").result_rows
    assert rows == [("m", 1.0, None)]
