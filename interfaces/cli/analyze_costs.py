"""`murmur analyze costs|repeats|work`: what work costs, what was done again, and how tasks divide.

In: sides, flags. Out: rows in one of the formats. Never: heavy imports before the command runs; a number of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.analyze_ask import Answer, FormatOption, Sides, SqlOption, ask, table
from interfaces.cli.compare_options import FilterOption, FromOption, TimeRangeOption, ToOption
from interfaces.cli.output import EXIT_USAGE, Format, fail, load_settings

if TYPE_CHECKING:
    from models.prices import PriceBook
    from reports.queries.analysis import AnalysisReader
    from reports.queries.side import Side


class Dimension(StrEnum):
    """What tasks are divided by."""

    PHASE = "phase"
    PATTERN = "pattern"
    ROLE = "role"
    ERROR_TYPE = "error_type"


def costs(
    side: Sides,
    by: Annotated[str, typer.Option("--by", help="model, agent, role, swarm, or any column or tag.")] = "model",
    all_on: Annotated[
        list[str] | None, typer.Option("--all-on", metavar="MODEL", help="The same tokens at this model's list price.")
    ] = None,
    price_book: Annotated[
        Path | None,
        typer.Option("--price-book", metavar="FILE", help="The same calls by another price book.", show_default=False),
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Cost of model calls by group, what is not priced, what caches saved, and the same tokens elsewhere."""
    from models.prices import PriceBook, PriceFileError
    from reports.analysis.costs import alternatives
    from reports.analysis.costs import costs as cost_lines
    from reports.analysis.recosting import common_bands, recostings
    from reports.queries.side import known_key

    try:
        key = known_key(by)
        book = PriceBook.load(load_settings().prices_file)
        other: PriceBook | None = PriceBook.load(price_book) if price_book is not None else None
    except (ValueError, PriceFileError) as error:
        fail(" ".join(str(error).split()), code=EXIT_USAGE)

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        rows = reader.usage(key, common_bands(book, *([other] if other else []))).rows
        title = f"cost by {by} (USD; cache savings at list prices)"
        tables = [table("costs", title, cost_lines(rows, book))]
        if other is not None:
            title = f"the same calls by {price_book}, of those that both books price"
            tables.append(table("recosting", title, recostings(rows, book, other)))
        if all_on:
            title = "the same tokens at list prices: not a forecast, another model would have used others"
            tables.append(table("all_on", title, alternatives(rows, book, all_on)))
        return Answer(tables, main=tables[-1].name)

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def repeats(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Completed work that was done again: tasks of one hash, tool calls of one input; the most a cache could save."""
    from reports.analysis.repeats import repeat_shares, repeated

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        rows = reader.repeats().rows
        title = "repeated work, and the most that remembering it could save"
        shares = table("shares", title, repeat_shares(rows))
        return Answer([shares, table("repeated", "done more than once", repeated(rows))], main="repeated")

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def work(
    side: Sides,
    by: Annotated[Dimension, typer.Option("--by", help="What tasks are divided by.")] = Dimension.PHASE,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Tasks by phase, pattern, role or class of error: completed, durations, cost; the 20 values with most tasks."""
    from reports.analysis.facts import Sentence
    from reports.analysis.work import work_parts

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        parts = work_parts(reader.breakdown().rows, by.value)
        text = f"no task of these sides names {by.value.replace('_', ' ')}s"
        none = [] if parts else [Sentence(text, "tasks", "unknown", query="breakdown", n=0)]
        return Answer([table("work", f"tasks by {by.value}", parts)], none)

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)
