"""Cuts SQL bytes into tokens the way ClickHouse's own lexer does.

In: bytes of a statement, data of an INSERT may follow. Out: tokens without spaces and comments, one by one.
Never: reads further than it is asked to (an INSERT's data is not SQL), understands grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_SPACE = re.compile(rb"(?:[ \t\n\r\f\v]|\xc2\xa0|\xef\xbb\xbf|\xe2\x80[\x80-\x8b\xaf])+")
_LINE_COMMENT = re.compile(rb"(?:--|//|#[ !])[^\n]*")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_$]*")
_NUMBER = re.compile(rb"[0-9][A-Za-z0-9_]*")
_HEREDOC = re.compile(rb"\$[A-Za-z0-9_]*\$")
_QUOTED = {
    b"'": re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.S),
    b'"': re.compile(rb'"(?:[^"\\]|\\.|"")*"', re.S),
    b"`": re.compile(rb"`(?:[^`\\]|\\.|``)*`", re.S),
}
_CURLY_STRING = (b"\xe2\x80\x98", b"\xe2\x80\x99")  # ‘...’
_CURLY_NAME = (b"\xe2\x80\x9c", b"\xe2\x80\x9d")  # “...”


class Kind(Enum):
    """What a token is; symbols are single bytes."""

    WORD = "word"
    NAME = "quoted name"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"
    BROKEN = "broken"  # an unclosed quote or comment: the engine will name the error


@dataclass(frozen=True, slots=True)
class Token:
    """One token and where it stands: `text` is the raw bytes between `start` and `end`."""

    kind: Kind
    text: bytes
    start: int
    end: int

    def is_word(self, *words: bytes) -> bool:
        """Whether this is one of these keywords (given in upper case)."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_symbol(self, symbol: bytes) -> bool:
        """Whether this is exactly this sign."""
        return self.kind is Kind.SYMBOL and self.text == symbol

    @property
    def name(self) -> bytes | None:
        """The identifier this token spells, or None. Escapes stay as they are written."""
        if self.kind is Kind.WORD:
            return self.text
        if self.kind is Kind.NAME:
            return self.text[3:-3] if self.text[:3] == _CURLY_NAME[0] else self.text[1:-1]
        return None


def tokens(sql: bytes) -> Iterator[Token]:
    """Yields the significant tokens of `sql`, lazily."""
    position = 0
    while (position := _skip_blank(sql, position)) < len(sql):
        token = _next(sql, position)
        yield token
        position = token.end


def _next(sql: bytes, start: int) -> Token:
    first = sql[start : start + 1]
    if match := _WORD.match(sql, start):
        return Token(Kind.WORD, match[0], start, match.end())
    if pattern := _QUOTED.get(first):
        kind = Kind.STRING if first == b"'" else Kind.NAME
        return _token_or_broken(sql, kind, start, pattern.match(sql, start))
    if match := _NUMBER.match(sql, start):
        return Token(Kind.NUMBER, match[0], start, match.end())
    if first == b"$" and (tag := _HEREDOC.match(sql, start)):
        return _until(sql, Kind.STRING, start, tag.end(), tag[0])
    if first == b"/" and sql[start : start + 2] == b"/*":
        return Token(Kind.BROKEN, sql[start:], start, len(sql))  # _skip_blank passes closed comments
    for kind, (opening, closing) in ((Kind.STRING, _CURLY_STRING), (Kind.NAME, _CURLY_NAME)):
        if sql.startswith(opening, start):
            return _until(sql, kind, start, start + len(opening), closing)
    return Token(Kind.SYMBOL, first, start, start + 1)


def _token_or_broken(sql: bytes, kind: Kind, start: int, match: re.Match[bytes] | None) -> Token:
    if match is None:
        return Token(Kind.BROKEN, sql[start:], start, len(sql))
    return Token(kind, match[0], start, match.end())


def _until(sql: bytes, kind: Kind, start: int, search_from: int, closing: bytes) -> Token:
    found = sql.find(closing, search_from)
    if found < 0:
        return Token(Kind.BROKEN, sql[start:], start, len(sql))
    end = found + len(closing)
    return Token(kind, sql[start:end], start, end)


def _skip_blank(sql: bytes, position: int) -> int:
    """Past spaces and comments; block comments nest."""
    while True:
        if match := _SPACE.match(sql, position) or _LINE_COMMENT.match(sql, position):
            position = match.end()
        elif sql.startswith(b"/*", position) and (end := _comment_end(sql, position)) is not None:
            position = end
        else:
            return position


def _comment_end(sql: bytes, start: int) -> int | None:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == b"/*" else -1
        if depth == 0:
            return edge.end()
    return None
