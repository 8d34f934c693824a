"""What every `murmur analyze` command shares: its flags, asking the sides, and showing tables with the SQL behind them.

In: sides, flags, a function that answers with tables. Out: rows in one of the formats. Never: a number of its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.compare_options import narrowed_sides
from interfaces.cli.output import EXIT_USAGE, Format, emit, emit_json, fail, load_settings

if TYPE_CHECKING:
    from reports.analysis.facts import Sentence
    from reports.queries.analysis import AnalysisReader
    from reports.queries.port import Query
    from reports.queries.side import Side

ROWS_SHOWN_MAX = 50  # in a table; the other formats show all
SHOWN_MIN = 1e-9  # below, a table says 0: a cost of a billionth of a dollar, a wait of a picosecond
FORMATS_WITH_SQL = (Format.TABLE, Format.JSON, Format.MARKDOWN)  # the others hold rows of one kind only

Sides = Annotated[
    list[str], typer.Argument(metavar="SIDE...", help="Swarms, or key=value,... filters.", show_default=False)
]
FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]
SqlOption = Annotated[bool, typer.Option("--sql", help="Show the SQL behind the tables; it runs in murmur sql.")]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a name (the key in JSON) and a title. for_screen: rows that JSON already holds within others."""

    name: str
    title: str
    rows: Sequence[Mapping[str, object]]
    hidden: frozenset[str] = frozenset()  # columns that a screen has no room for
    for_screen: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Tables in order, and sentences made from them. `main`: the table that csv and ndjson hold; else the first."""

    tables: Sequence[Table]
    sentences: Sequence[Sentence] = ()
    main: str = ""


def table(
    name: str, title: str, values: Sequence[Any], *, hidden: Sequence[str] = (), for_screen: bool = False
) -> Table:
    """A table of dataclasses."""
    return Table(name, title, [dataclasses.asdict(value) for value in values], frozenset(hidden), for_screen)


def ask(
    names: Sequence[str],
    filters: Sequence[str] | None,
    time_range: str | None,
    from_: str | None,
    to: str | None,
    answer: Callable[[AnalysisReader, Sequence[Side]], Answer],
    *,
    format: Format,
    sql: bool,
) -> None:
    """Opens the database for the sides and shows what `answer` finds; an unknown side ends the command."""
    if sql and format not in FORMATS_WITH_SQL:
        fail(f"--sql with --format {format.value}: it holds rows only; use table, json or markdown", code=EXIT_USAGE)
    sides, time = narrowed_sides(names, filters, time_range, from_, to)
    from interfaces.cli.clickhouse import open_client
    from reports.build import UnknownSwarmError
    from reports.comparison import ComparisonRequest, reader_of, require_known
    from reports.queries.analysis import AnalysisReader

    with open_client(load_settings()) as client:
        reader = reader_of(client, sides)
        found = {row.swarm_id for row in reader.swarms([side.name for side in sides], time).rows}
        try:
            require_known(reader, ComparisonRequest(tuple(sides), (), time=time), found)
        except UnknownSwarmError as error:
            fail(str(error))
        asked = AnalysisReader(client, sides, time)
        _show(answer(asked, sides), asked.queries, format, sql=sql)


def _show(answer: Answer, queries: Sequence[Query], format: Format, *, sql: bool) -> None:
    if format is Format.JSON:
        body: dict[str, object] = {one.name: list(one.rows) for one in answer.tables if not one.for_screen}
        if answer.sentences:
            body["sentences"] = [dataclasses.asdict(sentence) for sentence in answer.sentences]
        emit_json({**body, "queries": [dataclasses.asdict(query) for query in queries]})
    elif format in (Format.CSV, Format.NDJSON):
        main = next((one for one in answer.tables if one.name == answer.main), answer.tables[0])
        emit(main.rows, format=format, title=main.title)
    else:
        for one in answer.tables:
            _show_table(one, format)
        for sentence in answer.sentences:
            typer.echo(sentence.text)
        if sql:
            _show_sql(queries, format)


def _show_table(one: Table, format: Format) -> None:
    if format is not Format.TABLE:
        emit(one.rows, format=format, title=one.title)
        return
    # A screen has little room: a side that all rows share goes into the title, a column of empty texts goes away.
    sides = {row["side"] for row in one.rows if "side" in row}
    empty = {name for name in (one.rows[0] if one.rows else ()) if all(row[name] == "" for row in one.rows)}
    without = one.hidden | empty | ({"side"} if len(sides) == 1 else set())
    rows = [{name: _shown(cell) for name, cell in row.items() if name not in without} for row in one.rows]
    emit(rows[:ROWS_SHOWN_MAX], title=f"{sides.pop()}: {one.title}" if len(sides) == 1 else one.title)
    if len(rows) > ROWS_SHOWN_MAX:
        typer.echo(f"{len(rows) - ROWS_SHOWN_MAX:,} more: --format json or csv shows all")


def _shown(cell: object) -> object:
    """A number as a person reads it: four digits, whole from a thousand on. The other formats have all digits."""
    if not isinstance(cell, float) or not math.isfinite(cell):
        return cell
    return round(cell) if abs(cell) >= 1_000 else float(f"{cell:.4g}") if abs(cell) >= SHOWN_MIN else 0.0


def _show_sql(queries: Sequence[Query], format: Format) -> None:
    for query in queries:
        text = f"-- {query.name}: {query.rows:,} rows\n{query.sql};"
        typer.echo(f"\n```sql\n{text}\n```" if format is Format.MARKDOWN else f"\n{text}")
