"""The in-process chDB engine: one root connection keeps the data directory open.

In: a data directory. Out: connections, the engine's view of a statement, cancellation.
Never: two engines over one directory, a call on the event loop's thread (every call blocks).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from itertools import count
from pathlib import Path
from typing import Any

from infra.local.clickhouse_http.errors import SYNTAX_ERROR, ClickHouseError, from_engine
from infra.local.clickhouse_http.limits import MIB
from infra.local.clickhouse_http.quoting import quoted

TAG = "murmur-http:"  # begins the tag of every statement
# Carries the tag, by which a running statement is found and cancelled: a text setting that means nothing here
# (it is about external message queues). The log_comment stays the client's.
TAG_SETTING = "stream_like_engine_insert_queue"


# Functions that may reach files, other hosts or this process; new ones of a new engine version are among them.
_REACHING_SQL = (
    "SELECT lower(name) FROM system.table_functions "
    "UNION DISTINCT SELECT lower(name) FROM system.functions WHERE match(name, '^(ai|AI)[A-Z]')"
)


# chDB goes on when a write fails (a full disk): its write buffer leaves out the exception that ClickHouse throws there,
# so that an insert is acknowledged whose part is empty. The engine's own count of failed writes is the only sign.
_FAILED_WRITES_SQL = "SELECT sum(value) FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"


class FailedWriteError(Exception):
    """The engine could not write and went on; the message is one line. What it says from now on cannot be believed."""


class EngineOpenError(Exception):
    """The data directory cannot be opened; the message is one line that says what to do."""


class Engine:
    """One open data directory."""

    def __init__(self, path: Path, root: Any) -> None:
        self._path = path
        self._root = root
        self._root_lock = threading.Lock()
        self._tags = count(1)
        self.version = self._value("SELECT version()")
        self.timezone = self._value("SELECT timezone()")
        self.reaching_functions = frozenset(self._value(_REACHING_SQL).split("\n"))

    @classmethod
    def open(cls, path: Path) -> Engine:
        """Opens or creates the data directory; raises EngineOpenError with one line."""
        from chdb.state import sqlitelike  # takes 0.5 s to load: only where an engine is wanted

        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EngineOpenError(f"data directory {path}: cannot be made: {error.strerror}") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise EngineOpenError(f"data directory {path}: not writable by this user; choose another with --data")
        try:
            return cls(path, sqlitelike.Connection(str(path)))
        except RuntimeError as error:
            raise EngineOpenError(_why_not_open(path, str(error))) from None

    def new_tag(self) -> str:
        """A tag for one statement; no other tag begins with it."""
        return f"{TAG}{next(self._tags)};"

    def classify(self, sql: str) -> tuple[str, int]:
        """(READ_ONLY | MUTATING | MUTATING_GLOBAL | CONTROL | UNKNOWN, number of statements), by its own parser."""
        with self._root_lock:
            found = self._root._conn.classify_query(sql)
        return str(found["query_class"]).rpartition(".")[2], int(found["statement_count"])

    def connect(self) -> Any:
        """A fresh connection with its own settings, database and temporary tables."""
        from chdb.state import sqlitelike

        try:
            connection = sqlitelike.Connection(str(self._path))
            # chDB reads `1` as `SELECT 1`; a server calls that a syntax error.
            connection.query("SET implicit_select = 0")
        except RuntimeError as error:
            raise from_engine(str(error)) from None
        return connection

    def free_bytes(self) -> int:
        """Space left for data."""
        return shutil.disk_usage(self._path).free

    def check_writes(self) -> None:
        """Raises FailedWriteError when a write has failed since the directory was opened, ClickHouseError when the
        engine does not say."""
        try:
            failed = int(self._value(_FAILED_WRITES_SQL))
        except RuntimeError as error:
            raise from_engine(str(error)) from None
        if failed:
            raise FailedWriteError(
                f"{failed} writes into {self._path} failed, so parts may be cut; "
                f"{self.free_bytes() // MIB} MiB are free now"
            )

    def cancel(self, tag: str = TAG) -> None:
        """Cancels the running statements whose tag begins with `tag`, without waiting for their end."""
        with self._root_lock, contextlib.suppress(RuntimeError):
            self._root.query(f"KILL QUERY WHERE startsWith(Settings['{TAG_SETTING}'], {quoted(tag)}) ASYNC")

    def close(self) -> None:
        """Closes the data directory; the engine finishes parts that are being written."""
        with self._root_lock:
            self._root.close()

    def _value(self, sql: str) -> str:
        with self._root_lock:
            return bytes(self._root.query(sql, "TabSeparated").bytes()).decode().strip()


def require_text(sql: bytes) -> str:
    """A statement is UTF-8 text; data is not part of it."""
    try:
        return sql.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ClickHouseError(SYNTAX_ERROR, f"The query is not UTF-8 at byte {error.start}") from None


def _why_not_open(path: Path, text: str) -> str:
    if "EmbeddedServer" in text or "Cannot lock" in text:
        return (
            f"data directory {path}: another process has it open (one process a directory); "
            "stop that one or choose another with --data"
        )
    error = from_engine(text)
    reason = (error.message.splitlines() or ["no reason given"])[0][:300]
    return f"data directory {path}: the engine cannot open it: {reason} ({error.name})"
