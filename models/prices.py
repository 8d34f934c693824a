"""The price book: what a model's tokens cost, when, and for how long a prompt.

In: a TOML file of list prices (ours by default). Out: a call's cost in USD, or None for: not priced.
Never: guesses. A model, a moment or a token class without a rate has no cost, which is not a cost of zero.

Which rows apply to a call: of all patterns that match its model the most specific one (an exact name before a glob,
a longer glob before a shorter one); of that pattern the newest `effective_from` not after the call; of that price
list the highest band not above the call's prompt, where the prompt is uncached input + cache reads + cache writes.
A new `effective_from` therefore states all bands anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

BUILT_IN_FILE: Final = Path(__file__).with_name("prices.toml")
TOKENS_PER_RATE: Final = 1_000_000  # list prices are published in USD per million tokens
RATE_USD_MAX: Final = 10_000.0  # per million tokens; more is a missing decimal point
LOOKUPS_MAX: Final = 4_096  # remembered model names; a log has dozens, a hostile one must not grow the worker

_RATES: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_KEYS: Final = frozenset({"model", "effective_from", "prompt_tokens_from", "source", *_RATES})


class PriceFileError(ValueError):
    """Every mistake of a price file at once, one a line."""


@dataclass(frozen=True, slots=True)
class Price:
    """One row: the rates of a model pattern from a date on, for prompts from a length on. Rates in USD per million."""

    model: str  # exact name, or a glob with * and ?
    effective_from: date  # 00:00 UTC
    prompt_tokens_from: int
    input: float | None
    cache_read: float | None
    cache_write_5m: float | None
    cache_write_1h: float | None
    output: float | None
    source: str

    @property
    def effective_from_ms(self) -> int:
        """Epoch milliseconds."""
        moment = datetime(self.effective_from.year, self.effective_from.month, self.effective_from.day, tzinfo=UTC)
        return int(moment.timestamp()) * 1000

    @property
    def is_glob(self) -> bool:
        """Whether the name is a pattern for several models."""
        return any(sign in self.model for sign in "*?[")


@cache
def _built_in() -> PriceBook:
    return PriceBook._read(BUILT_IN_FILE)


class PriceBook:
    """An immutable set of prices."""

    def __init__(self, prices: list[Price]) -> None:
        self._prices = tuple(sorted(prices, key=lambda p: (p.model, p.effective_from, p.prompt_tokens_from)))
        self._by_pattern: dict[str, list[Price]] = {}
        for price in self._prices:
            self._by_pattern.setdefault(price.model, []).append(price)
        globs = {price.model for price in self._prices if price.is_glob}
        self._globs = sorted(globs, key=lambda pattern: (-len(pattern.rstrip("*")), pattern))
        self._known: dict[str, list[Price]] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> PriceBook:
        """The built-in book, read once, or the one of `path`. Raises PriceFileError with every mistake."""
        return _built_in() if path is None else cls._read(path)

    @classmethod
    def _read(cls, file: Path) -> PriceBook:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise PriceFileError(f"{file}: cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PriceFileError(f"{file}: not valid TOML: {error}") from None
        return cls(_parse(document, str(file)))

    @property
    def prices(self) -> tuple[Price, ...]:
        """All rows, by model, date and band."""
        return self._prices

    def price_of(self, model: str, at_ms: int, prompt_tokens: int) -> Price | None:
        """The row that applies to one call."""
        found: Price | None = None
        for price in self._rows_of(model):  # by date, then band
            if price.effective_from_ms > at_ms:
                break
            is_newer_list = found is None or price.effective_from != found.effective_from
            if is_newer_list or price.prompt_tokens_from <= prompt_tokens:
                found = price
        return found

    def cost_usd(
        self,
        model: str,
        at_ms: int,
        *,
        input_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_5m_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> float | None:
        """The list price of one call, or None when it is not priced.

        An unknown count (None) adds nothing, because providers leave out the classes that did not occur; when all
        five are unknown there is no cost. A class that did occur and has no rate leaves the call without a cost.
        """
        counts = (
            input_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            output_tokens,
        )
        if all(count is None for count in counts):
            return None
        price = self.price_of(model, at_ms, sum(count or 0 for count in counts[:-1]))
        if price is None:
            return None
        parts: list[float] = []
        for name, count in zip(_RATES, counts, strict=True):
            rate: float | None = getattr(price, name)
            if count:
                if rate is None:
                    return None
                parts.append(count * rate)
        return math.fsum(parts) / TOKENS_PER_RATE  # fsum: the same result whatever the order of the classes

    def fingerprint(self) -> str:
        """Changes exactly when a price changes; comments, order and layout of the file do not count."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        rows = [asdict(price) | {"effective_from": price.effective_from.isoformat()} for price in self._prices]
        text = json.dumps(rows, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def _rows_of(self, model: str) -> list[Price]:
        rows = self._known.get(model)
        if rows is None:
            rows = self._by_pattern.get(model) or next(
                (self._by_pattern[glob] for glob in self._globs if fnmatchcase(model, glob)), []
            )
            if len(self._known) >= LOOKUPS_MAX:
                self._known.clear()
            self._known[model] = rows
        return rows


def _parse(document: Mapping[str, Any], file: str) -> list[Price]:
    mistakes = [f"{file}: unknown key {key!r}; prices stand in [[price]] tables" for key in document if key != "price"]
    tables = document.get("price", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PriceFileError("\n".join([*mistakes, f"{file}: prices must stand in [[price]] tables"]))
    if not tables:
        mistakes.append(f"{file}: no [[price]] table")
    prices: list[Price] = []
    seen: dict[tuple[str, date, int], int] = {}
    for number, table in enumerate(tables, start=1):
        where = f"{file}: price {number} ({table.get('model', 'no model')})"
        price, found = _parse_price(table, where)
        mistakes += found
        if price is None:
            continue
        key = (price.model, price.effective_from, price.prompt_tokens_from)
        if key in seen:
            mistakes.append(f"{where}: the same model, effective_from and prompt_tokens_from as price {seen[key]}")
        seen.setdefault(key, number)
        prices.append(price)
    mistakes += _check_bands(prices, file)
    if mistakes:
        raise PriceFileError("\n".join(mistakes))
    return prices


def _check_bands(prices: list[Price], file: str) -> list[str]:
    lists: dict[tuple[str, date], list[int]] = {}
    for price in prices:
        lists.setdefault((price.model, price.effective_from), []).append(price.prompt_tokens_from)
    return [
        f"{file}: {model} from {day}: the lowest band starts at {min(bands)} prompt tokens, "
        "shorter prompts have no price; start one at 0"
        for (model, day), bands in lists.items()
        if min(bands) > 0
    ]


def _parse_price(table: Mapping[str, Any], where: str) -> tuple[Price | None, list[str]]:
    mistakes = [f"{where}: unknown key {key!r}; known are {', '.join(sorted(_KEYS))}" for key in table.keys() - _KEYS]
    for name in ("model", "source"):
        if not isinstance(table.get(name), str) or not table[name].strip():
            mistakes.append(f"{where}: {name} must be a non-empty text")
    day = table.get("effective_from")
    if not isinstance(day, date) or isinstance(day, datetime):
        mistakes.append(f"{where}: effective_from must be a date without quotes, for example 2026-01-31")
    band = table.get("prompt_tokens_from", 0)
    if type(band) is not int or band < 0:
        mistakes.append(f"{where}: prompt_tokens_from must be a whole number >= 0, got {band!r}")
    rates: dict[str, float | None] = {}
    for name in _RATES:
        rate = table.get(name)
        rates[name] = None
        if rate is None:
            continue
        if type(rate) not in (int, float) or not 0 <= rate <= RATE_USD_MAX:
            mistakes.append(f"{where}: {name} must be a number of USD per million tokens in 0..{RATE_USD_MAX:g}")
        else:
            rates[name] = float(rate)
    if mistakes:
        return None, sorted(mistakes)
    return Price(table["model"], table["effective_from"], band, source=table["source"], **rates), []
