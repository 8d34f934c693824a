"""`murmur sql`: a question to ClickHouse, the answer in the wanted format.

In: SQL as argument or on stdin. Out: rows. Never: writes unless `--write` is given; loads a large answer into
memory in a format the server can write itself.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from interfaces.cli.clickhouse import Client

# The server writes these itself, row by row, so an answer of any size needs no memory here.
SERVER_FORMATS = {Format.CSV: "CSVWithNames", Format.NDJSON: "JSONEachRow", Format.MARKDOWN: "Markdown"}
CSV_SETTINGS = {"format_csv_null_representation": ""}  # the server's own is \\N, which spreadsheets show as text
CHUNK_BYTES = 1 << 16
_FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+(\w+)\s*\Z", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_READS = ("select", "with", "show", "describe", "desc", "explain", "exists", "(")
EPILOG = examples(
    'murmur sql "SELECT * FROM v_swarm_summary"',
    "murmur sql --format csv < question.sql > answer.csv",
    'murmur sql "SELECT metric, count() FROM v_metrics GROUP BY 1 FORMAT JSONEachRow"',
)
app = typer.Typer()


@app.command(epilog=EPILOG)
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One statement; read from stdin when absent.", show_default=False)
    ] = None,
    format: FormatOption = Format.TABLE,
    write: Annotated[bool, typer.Option("--write", help="Allow statements that change data.")] = False,
) -> None:
    """Ask ClickHouse a question. Reads only, unless --write is given.

    Tables and views are described in docs/data-model.md. A FORMAT clause in
    the statement wins over --format.
    """
    from interfaces.cli.clickhouse import READ_ONLY, open_client

    statement = _statement(query)
    settings = load_settings()
    with open_client(settings) as client:
        limits: dict[str, Any] = {} if write else dict(READ_ONLY)
        if not _reads(statement):
            if not write:
                fail(
                    "this statement is no question (SELECT, WITH, SHOW, ...): say --write to run it",
                    code=EXIT_USAGE,
                )
            _run(client, statement)
        elif _FORMAT_CLAUSE.search(statement):
            _stream(client, statement, None, limits)
        elif format in SERVER_FORMATS:
            _stream(client, statement, SERVER_FORMATS[format], {**limits, **CSV_SETTINGS})
        else:
            result = client.query(statement, settings=limits)
            names = list(result.column_names)
            rows = [dict(zip(names, row, strict=True)) for row in result.result_rows]
            emit(rows, format=format, columns=names)


def _statement(query: str | None) -> str:
    if query is None:
        if sys.stdin.isatty():
            fail("no statement: give it as an argument, or on stdin", code=EXIT_USAGE)
        query = sys.stdin.read()
    statement = query.strip().rstrip(";").rstrip()
    if not statement:
        fail("the statement is empty", code=EXIT_USAGE)
    return statement


def _reads(statement: str) -> bool:
    """A hint for a better message only: the server itself refuses writes of a read-only query."""
    bare = _COMMENT.sub(" ", statement).strip().lower()
    return bare.startswith(_READS)


def _run(client: Client, statement: str) -> None:
    done = client.command(statement)
    if isinstance(done, str | int) and str(done):
        sys.stdout.write(f"{done}\n")
    else:
        sys.stdout.write("done\n")


def _stream(client: Client, statement: str, fmt: str | None, limits: dict[str, Any]) -> None:
    sys.stdout.flush()
    with client.raw_stream(statement, fmt=fmt, settings=limits) as answer:
        while chunk := answer.read(CHUNK_BYTES):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
