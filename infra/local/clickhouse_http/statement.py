"""What the server must know about a statement before the engine sees it.

In: the SQL bytes of a request, an INSERT's data included. Out: `Statement`.
Never: a full parse. The engine decides what is valid; this decides where an INSERT's data begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from infra.local.clickhouse_http.errors import SYNTAX_ERROR, ClickHouseError
from infra.local.clickhouse_http.tokens import Kind, Token, tokens

_BLANK = b" \t\f"
_FORMAT_NAME = re.compile(r"[A-Za-z0-9_]+\Z")
_OPENING, _CLOSING = (b"(", b"[", b"{"), (b")", b"]", b"}")


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose rows come as data: `head` without FORMAT and data, and where the data begins."""

    target: bytes  # `INSERT INTO table (columns)`
    settings: bytes  # `SETTINGS a = 1`, or nothing
    format: str
    data_start: int

    def from_file(self, literal: str) -> bytes:
        """The statement that takes the data from a file instead; SETTINGS stand after the file."""
        return b"%b\nFROM INFILE %b %b\nFORMAT %b" % (
            self.target,
            literal.encode(),
            self.settings,
            self.format.encode(),
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that is not an INSERT with data: the format its end asks for, and its first keyword."""

    verb: str
    output_format: str  # "" when the statement names none
    temporary: bool  # it makes a temporary table


def find_insert(sql: bytes) -> Insert | None:
    """The INSERT with data that `sql` begins with, or None for every other statement.

    Only the statement is read: the data may be anything, of any size.
    """
    stream = tokens(sql)
    first = next(stream, None)
    if first is None or not first.is_word(b"INSERT"):
        return None
    rest = _after_target(stream)
    depth = 0
    settings_start = None
    for token in rest:
        if token.kind is Kind.SYMBOL:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        elif depth == 0 and token.is_word(b"SELECT", b"WITH", b"WATCH", b"EXPLAIN", b"INFILE"):
            return None
        elif depth == 0 and token.is_word(b"VALUES"):
            return _insert(sql, token, settings_start, "Values", token.end)
        elif depth == 0 and token.is_word(b"FORMAT"):
            return _with_format(sql, token, settings_start, next(rest, None))
        elif depth == 0 and settings_start is None and token.is_word(b"SETTINGS"):
            settings_start = token.start
    return None


def describe(sql: bytes) -> Statement:
    """The first keyword and the trailing FORMAT of a statement without data."""
    verb = ""
    temporary = False
    output_format = ""
    expecting = False
    depth = 0
    for token in tokens(sql):
        if not verb and token.kind is Kind.WORD:
            verb = token.text.decode().upper()
        temporary |= verb == "CREATE" and depth == 0 and token.is_word(b"TEMPORARY", b"TEMP")
        if token.kind is Kind.SYMBOL:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if expecting and token.name is not None:
            output_format = token.name.decode("utf-8", "replace")
        expecting = depth == 0 and token.is_word(b"FORMAT")
    return Statement(verb, output_format, temporary)


def _after_target(stream: Iterator[Token]) -> Iterator[Token]:
    """Skips `INTO [TABLE] [FUNCTION] name[.name]`, where a name may itself be spelled like a keyword."""
    token = next(stream, None)
    for optional in (b"INTO", b"TABLE", b"FUNCTION"):
        if token is not None and token.is_word(optional):
            token = next(stream, None)
    while token is not None:
        if token.is_symbol(b"{"):  # {name:Identifier}
            while token is not None and not token.is_symbol(b"}"):
                token = next(stream, None)
        token = next(stream, None)
        if token is None or not token.is_symbol(b"."):
            break
        token = next(stream, None)
    return stream if token is None else chain((token,), stream)


def _insert(sql: bytes, keyword: Token, settings_start: int | None, format_name: str, data_start: int) -> Insert:
    split = keyword.start if settings_start is None else settings_start
    return Insert(sql[:split], sql[split : keyword.start], format_name, data_start)


def _with_format(sql: bytes, keyword: Token, settings_start: int | None, name: Token | None) -> Insert | None:
    if name is None or name.name is None:
        return None  # the engine words the syntax error
    format_name = name.name.decode("utf-8", "replace")
    if not _FORMAT_NAME.match(format_name):
        return None
    if format_name.lower() == "values":
        return _insert(sql, keyword, settings_start, "Values", name.end)
    return _insert(sql, keyword, settings_start, format_name, _data_start(sql, name.end))


def _data_start(sql: bytes, position: int) -> int:
    """ClickHouse's rule: blanks, then at most one line break, belong to the statement; the rest is data."""
    if sql[position : position + 1] == b";":
        raise ClickHouseError(
            SYNTAX_ERROR,
            "You have excessive ';' symbol before data for INSERT: put the data after a newline, without ';'",
        )
    while sql[position : position + 1] and sql[position] in _BLANK:
        position += 1
    if sql[position : position + 1] == b"\r":
        position += 1
    if sql[position : position + 1] == b"\n":
        position += 1
    return position
