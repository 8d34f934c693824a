"""Turns a received request into a job for the engine, or refuses it.

In: the wish, the received statement, the user, the engine's own classification. Out: `Job` and the output format.
Never: runs the statement.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from infra.local.clickhouse_http import guard
from infra.local.clickhouse_http.body import Received
from infra.local.clickhouse_http.engine import Engine, require_text
from infra.local.clickhouse_http.errors import READONLY, ClickHouseError
from infra.local.clickhouse_http.job import STREAMED_FORMATS, Job
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.quoting import quoted
from infra.local.clickhouse_http.request import Wish
from infra.local.clickhouse_http.statement import describe
from infra.local.clickhouse_http.users import User

Tables = Mapping[str, tuple[str, str, Path]]  # external table -> structure, format, file

_READING_VERBS = frozenset({"SELECT", "WITH", "FROM"})
_READING_METHODS = frozenset({"GET", "HEAD"})
# What a read-only user may still choose: how a result looks, and to get less of it. Everything else is judged by
# the engine under `readonly`, which refuses a change with code 164.
_HARMLESS_SETTINGS = frozenset({"max_result_rows", "result_overflow_mode", "session_timezone", "log_comment"})
_HARMLESS_PREFIXES = ("output_format_", "date_time_output_format")

# What may fill a disk. DROP, TRUNCATE and ALTER stay possible on a full one: they give space back.
_GROWING_VERBS = frozenset({"INSERT", "CREATE", "OPTIMIZE"})


def plan(
    engine: Engine, limits: Limits, *, method: str, wish: Wish, user: User, received: Received, tables: Tables
) -> tuple[Job, str]:
    """The job and the name of its output format; raises ClickHouseError when the request is not allowed."""
    insert = received.insert
    sql = insert.target + insert.settings if insert is not None else received.sql
    text = require_text(sql)
    if insert is not None:
        query_class, statements = "MUTATING", 1
        text = require_text(insert.from_file(quoted(str(received.data))))
    else:
        query_class, statements = engine.classify(text)
    for name, (structure, format_name, _) in tables.items():
        guard.check_structure(name, structure, format_name)
    guard.check(
        b"\n".join([sql, *(structure.encode() for structure, _, _ in tables.values())]),
        query_class=query_class,
        statements=statements,
        readonly=user.readonly,
        reaching_functions=engine.reaching_functions,
        parameters=wish.parameters,
    )
    if method in _READING_METHODS and query_class.startswith("MUTATING"):
        raise ClickHouseError(
            READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
            "You should use method POST for modifying queries",
        )
    said = describe(sql)
    format_name = said.output_format or wish.default_format
    streamed = query_class == "READ_ONLY" and said.verb in _READING_VERBS and format_name.lower() in STREAMED_FORMATS
    settings, judged = _settings(wish, user, limits, streamed=streamed)
    job = Job(
        sql=text,
        tag=engine.new_tag(),
        default_format=wish.default_format,
        database=wish.database,
        settings=settings,
        judged_settings=judged,
        parameters=wish.parameters,
        tables=tables,
        readonly=user.readonly,
        streamed=streamed,
        writes=query_class.startswith("MUTATING"),
        grows=insert is not None or said.verb in _GROWING_VERBS,
        stateful=said.verb in {"SET", "USE"} or said.temporary,
    )
    return job, format_name


def _settings(wish: Wish, user: User, limits: Limits, *, streamed: bool) -> tuple[dict[str, str], dict[str, str]]:
    """(settings given before `readonly`, settings given after it)."""
    given: dict[str, str] = {}
    judged: dict[str, str] = {}
    for name, value in wish.settings.items():
        free = not user.readonly or name in _HARMLESS_SETTINGS or name.startswith(_HARMLESS_PREFIXES)
        (given if free else judged)[name] = value
    longest_s = limits.execution_time_max_s
    wanted = given.pop("max_execution_time", None) or judged.pop("max_execution_time", None)
    with contextlib.suppress(ValueError, TypeError):
        wanted_s = float(wanted or 0)
        longest_s = wanted_s if 0 < wanted_s < longest_s else longest_s
    given["max_execution_time"] = f"{longest_s:g}"
    if not streamed:
        given["max_result_bytes"] = judged.pop("max_result_bytes", given.get("max_result_bytes", "0"))
        if not 0 < _whole(given["max_result_bytes"]) < limits.result_bytes_max:
            given["max_result_bytes"] = str(limits.result_bytes_max)
        given.setdefault("result_overflow_mode", "throw")
    return given, judged


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
