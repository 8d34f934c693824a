"""Runs one statement on the engine, on a connection of its own or on its session's.

In: a `Job`. Out: an `Answer`, or ClickHouseError. Never: runs on the event loop's thread (every call blocks).

Facts this rests on (chdb-core 26.9, measured): statements of one connection run one after another, those of several
in parallel, without the GIL; a fresh connection takes 0.1 ms and has its own settings, database and temporary tables.
The engine's streaming insert acknowledges rows of a cancelled or timed-out insert that it has not stored, so data is
inserted FROM INFILE, which raises.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.clickhouse_http.engine import TAG_SETTING, Engine
from infra.local.clickhouse_http.errors import UNKNOWN_SETTING, ClickHouseError, from_engine
from infra.local.clickhouse_http.quoting import quoted, quoted_name
from infra.local.clickhouse_http.sessions import Session

# Formats whose chunks can be joined: no header, footer or separator over the whole result.
STREAMED_FORMATS = frozenset(
    {
        "native",
        "tabseparated",
        "tsv",
        "tabseparatedraw",
        "tsvraw",
        "csv",
        "rowbinary",
        "jsoneachrow",
        "ndjson",
    }
    | {"jsonlines", "jsoncompacteachrow", "tskv"}
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Job:
    """One statement to run."""

    sql: str
    tag: str
    default_format: str = "TabSeparated"
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    # Settings a read-only user asked for: given after `readonly`, so that the engine judges them.
    judged_settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, str, Path]] = field(default_factory=dict)  # name -> structure, format, file
    readonly: bool = False
    streamed: bool = False  # the result may be given in chunks
    writes: bool = False  # it changes data or tables
    grows: bool = False  # it adds data
    stateful: bool = False  # it changes settings, the database or temporary tables of its session


@dataclass(slots=True)
class Answer:
    """What a statement gave. `chunks` gives what comes after `body`, when the result is streamed."""

    body: bytes = b""
    result_rows: int = 0
    result_bytes: int = 0
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0
    chunks: Generator[bytes] | None = None

    def add(self, result: Any) -> bytes:
        """Adds one result's counters (each chunk has its own); returns its bytes."""
        self.result_rows += result.rows_read()
        self.result_bytes += result.bytes_read()
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.elapsed_s += result.elapsed()
        return bytes(result.bytes())


def run(engine: Engine, job: Job, *, buffer_bytes: int, session: Session | None = None) -> Answer:
    """Runs a job. A streamed answer holds its connection until `chunks` has been read or closed."""
    if session is not None and not job.readonly and (job.stateful or session.connection is not None):
        if session.connection is None:
            session.connection = engine.connect()
        return _run_in_session(session.connection, job)
    connection = engine.connect()
    try:
        _apply(connection, job)
        answer = _execute(connection, job, buffer_bytes)
    except RuntimeError as error:
        connection.close()
        raise from_engine(str(error)) from None
    except BaseException:
        connection.close()
        raise
    if answer.chunks is None:
        connection.close()
    else:
        answer.chunks = _closing(answer.chunks, connection)
    return answer


def _run_in_session(connection: Any, job: Job) -> Answer:
    """A session keeps what its statements set; what came with one request is taken back afterwards."""
    try:
        given = {**job.settings, TAG_SETTING: job.tag}
        before = _values(connection, given)
        database = _text(connection, "SELECT currentDatabase()")
        answer = Answer()
        try:
            _apply(connection, job)
            applied = _values(connection, given)
            answer.body = answer.add(connection.query(job.sql, job.default_format, params=dict(job.parameters)))
        finally:
            if job.database and _text(connection, "SELECT currentDatabase()") == job.database:
                connection.query(f"USE {quoted_name(database)}")
            now = _values(connection, given)
            # A setting that the statement itself has changed belongs to the session from now on.
            undone = [name for name in before if now[name] == applied.get(name)]
            if undone:
                connection.query(_set((name, before[name]) for name in undone))
        return answer
    except RuntimeError as error:
        raise from_engine(str(error)) from None


def _apply(connection: Any, job: Job) -> None:
    if job.database:
        connection.query(f"USE {quoted_name(job.database)}")
    connection.query(_set({**job.settings, TAG_SETTING: job.tag}.items()))
    for name, (structure, format_name, file) in job.tables.items():
        table = quoted_name(name)
        connection.query(f"CREATE TEMPORARY TABLE {table} ({structure}\n) ENGINE = Memory")
        connection.query(f"INSERT INTO {table} FROM INFILE {quoted(str(file))} FORMAT {format_name}")
    if job.readonly:
        connection.query("SET readonly = 1")
    if job.judged_settings:
        connection.query(_set(job.judged_settings.items()))


def _execute(connection: Any, job: Job, buffer_bytes: int) -> Answer:
    answer = Answer()
    parameters = dict(job.parameters)
    if not job.streamed:
        answer.body = answer.add(connection.query(job.sql, job.default_format, params=parameters))
        return answer
    stream = connection.send_query(job.sql, job.default_format, params=parameters)
    held: list[bytes] = []
    held_bytes = 0
    while (result := stream.fetch()) is not None:
        held.append(answer.add(result))
        held_bytes += len(held[-1])
        if held_bytes >= buffer_bytes:
            answer.chunks = _rest(stream, answer)
            break
    answer.body = b"".join(held)
    return answer


def _rest(stream: Any, answer: Answer) -> Generator[bytes]:
    with stream:
        while True:
            try:
                result = stream.fetch()
            except RuntimeError as error:
                raise from_engine(str(error)) from None
            if result is None:
                return
            yield answer.add(result)


def _closing(chunks: Generator[bytes], connection: Any) -> Generator[bytes]:
    try:
        yield from chunks
    finally:
        connection.close()


def _set(settings: Iterable[tuple[str, str]]) -> str:
    assignments = []
    for name, value in settings:
        if not _SETTING_NAME.match(name):
            raise ClickHouseError(UNKNOWN_SETTING, f"Unknown setting {name[:100]!r}")
        assignments.append(f"{name} = {quoted(value)}")
    return "SET " + ", ".join(assignments)


def _values(connection: Any, names: Iterable[str]) -> dict[str, str]:
    """The current values of settings that the engine knows."""
    wanted = ", ".join(quoted(name) for name in names)
    rows = connection.query(
        f"SELECT hex(name), hex(value) FROM system.settings WHERE name IN ({wanted})", "TabSeparated"
    )
    pairs = (line.split("\t") for line in bytes(rows.bytes()).decode().splitlines())
    return {bytes.fromhex(name).decode(): bytes.fromhex(value).decode() for name, value in pairs}


def _text(connection: Any, sql: str) -> str:
    return bytes(connection.query(sql, "TabSeparatedRaw").bytes()).decode().rstrip("\n")
