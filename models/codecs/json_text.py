"""JSON text of a record, read exactly: every event with its slice, every bad event apart from the good ones.

In: the body of a JSON or NDJSON record. Out: the decoded events in order, each with its original text.
Never: fast; the hot path reads with msgspec and comes here for the records that refuses, and for dead letters.

Read as Python's `json` reads it: NaN and Infinity are tokens (so one of them spoils one event, not its batch), the
last of two equal keys wins. Depth is limited by JSON_DEPTH_MAX.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from models.codecs.records import (
    CONTENT_JSON,
    CONTENT_NDJSON,
    EVENTS_PER_RECORD_MAX,
    JSON_DEPTH_MAX,
    EventError,
    show,
)
from models.error_codes import ErrorCode

INTEGER_DIGITS_MAX: Final = 400  # a double ends at 309 digits; Python refuses to parse beyond 4,300

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)  # possessive: linear, without a backtracking stack
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class Item(NamedTuple):
    """One event of a record: its value, or why it could not be read; and its text."""

    value: Any
    error: EventError | None
    text: str


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else math.inf


_DECODER: Final = json.JSONDecoder(parse_int=_parse_int)


def read_items(body: bytes, content_type: str) -> list[Item]:
    """The events of a record, in order. Raises EventError when no event can be told from the next."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EventError(ErrorCode.UTF8, f"not valid UTF-8: {error.reason} at byte {error.start}") from None
    if not text.strip(" \t\r\n"):
        raise EventError(ErrorCode.RECORD_EMPTY, "the record holds white space only")
    if depth_exceeds(body, JSON_DEPTH_MAX):
        raise EventError(ErrorCode.JSON, f"nested deeper than {JSON_DEPTH_MAX} levels")
    if content_type == CONTENT_NDJSON:
        return _read_lines(text)
    try:
        return _read_document(text)
    except EventError as error:
        if content_type == CONTENT_JSON or error.code is not ErrorCode.JSON:
            raise
        items = _sniff_lines(text)
        if items is None:
            raise
        return items


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Whether arrays and objects are nested deeper than `limit`; without recursion, so no input can exhaust a stack.

    Exact for well-formed JSON. For malformed text any answer leads to the same error code.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False


def _read_document(text: str) -> list[Item]:
    at = _skip(text, 0)
    if text[at] != "[":
        value, end = _scan(text, at)
        if _skip(text, end) != len(text):
            raise EventError(ErrorCode.JSON, f"not valid JSON: more text after the end of the value at character {end}")
        return [Item(value, None, text[at:end])]
    items: list[Item] = []
    at = _skip(text, at + 1)
    end = at + 1 if text[at : at + 1] == "]" else _read_elements(text, at, items)
    if _skip(text, end) != len(text):
        raise EventError(ErrorCode.JSON, f"not valid JSON: more text after the end of the array at character {end}")
    return items


def _read_elements(text: str, at: int, items: list[Item]) -> int:
    """Reads `value, value ...]` into `items`; returns the position after the closing bracket."""
    while True:
        value, end = _scan(text, at)
        _count(len(items) + 1)
        items.append(Item(value, None, text[at:end]))
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == "]":
            return at + 1
        if mark != ",":
            raise EventError(ErrorCode.JSON, f"not valid JSON: expected ',' or ']' at character {at}")
        at = _skip(text, at + 1)


def _read_lines(text: str) -> list[Item]:
    items: list[Item] = []
    for line in _lines(text):
        _count(len(items) + 1)
        try:
            value, end = _scan(line, 0)
            if end != len(line):
                raise EventError(ErrorCode.JSON, f"not valid JSON: more text after the value at character {end}")
            items.append(Item(value, None, line))
        except EventError as error:
            items.append(Item(None, error, line))
    return items


def _sniff_lines(text: str) -> list[Item] | None:
    """NDJSON without a content type: several lines, at least one of which is an object by itself."""
    if text[_skip(text, 0)] == "[" or "\n" not in text.strip(" \t\r\n"):
        return None
    items = _read_lines(text)
    return items if any(isinstance(item.value, dict) for item in items) else None


def _lines(text: str) -> Iterator[str]:
    """The non-blank lines. One at a time: a record of line feeds alone must not become millions of strings."""
    start = 0
    while start <= len(text):
        end = text.find("\n", start)  # not splitlines(): U+2028 is an ordinary character of a JSON string
        end = len(text) if end < 0 else end
        line = text[start:end].strip(" \t\r")
        start = end + 1
        if line:
            yield line


def _scan(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise EventError(ErrorCode.JSON, f"not valid JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise EventError(ErrorCode.JSON, f"nested deeper than {JSON_DEPTH_MAX} levels") from None


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _count(events: int) -> None:
    if events > EVENTS_PER_RECORD_MAX:
        raise EventError(
            ErrorCode.RECORD_TOO_MANY_EVENTS,
            f"more than {show(EVENTS_PER_RECORD_MAX)} events in one record; send smaller batches",
        )
