"""The price book the workers price with, put where SQL can read it.

In: settings, a price book, the moment. Out: rows of `prices`, all of one write, which is what `v_prices` shows.
Never: prices anything, or turns a missing rate into a rate of 0 (`no_rate_for` names it, the view shows NULL).
"""

from __future__ import annotations

from datetime import UTC, datetime

from clickhouse_connect.driver.exceptions import ClickHouseError

from models.prices import Price, PriceBook
from models.settings import Settings
from sinks.base import PermanentSinkError
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from sinks.clickhouse.errors import RowRejectedError, translate

_RATES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_COLUMNS = [
    "model_pattern",
    "effective_from",
    "prompt_tokens_from",
    *(f"{rate}_usd_per_mtok" for rate in _RATES),
    "no_rate_for",
    "source",
    "updated_at",
]


def publish_prices(settings: Settings, book: PriceBook, *, now_ms: int) -> None:
    """Shows this book in `v_prices` in place of the one before. Raises SinkError."""
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    rows = [_row(price, at) for price in book.prices]
    client = connect(settings)
    try:
        client.insert("prices", rows, column_names=_COLUMNS, settings=dict(INSERT_SETTINGS))
    except (ClickHouseError, OSError) as error:
        problem = translate(error, where="ClickHouse table prices")
        raise (PermanentSinkError(str(problem)) if isinstance(problem, RowRejectedError) else problem) from error
    finally:
        client.close()


def _row(price: Price, at: datetime) -> list[object]:
    rates = [getattr(price, rate) for rate in _RATES]
    return [
        price.model,
        datetime(price.effective_from.year, price.effective_from.month, price.effective_from.day, tzinfo=UTC),
        price.prompt_tokens_from,
        *(rate or 0.0 for rate in rates),
        [name for name, rate in zip(_RATES, rates, strict=True) if rate is None],
        price.source,
        at,
    ]
