"""Reads JSON Lines defensively: one object a line, each fault named with its line, never an abort.

In: a file. Out: (line number, object) pairs; issues. Never: holds more than
one line, follows a fault with an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from interfaces.importers.issues import Issues

LINE_BYTES_MAX = 256 << 20  # a transcript line may carry images; beyond this it is not a line of JSON

_decoder = msgspec.json.Decoder()


def read_objects(
    path: Path, issues: Issues, *, on_bytes: Callable[[int], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of `path` with their 1-based line numbers.

    Blank lines are passed over. Not JSON (NaN included), not an object, half-written or over-long lines become issues.
    `on_bytes` hears of every line's length, for a progress bar.
    """
    name = str(path)
    try:
        source = path.open("rb")
    except OSError as error:
        issues.add(name, 0, f"cannot be read: {error.strerror}", kind="unreadable file")
        return
    with source:
        number = 0
        while True:
            try:
                raw = source.readline(LINE_BYTES_MAX + 1)
            except OSError as error:
                issues.add(name, number + 1, f"cannot be read: {error.strerror}", kind="unreadable file")
                return
            if not raw:
                return
            number += 1
            if on_bytes is not None:
                on_bytes(len(raw))
            if len(raw) > LINE_BYTES_MAX:
                issues.add(
                    name,
                    number,
                    "line is longer than 256 MiB; rest of the file skipped",
                    kind="over-long line",
                )
                return
            value = _decode(name, number, raw, issues)
            if value is not None:
                yield number, value


def _parse(text: bytes) -> Any:
    """JSON as JavaScript writes it: a text cut in the middle of an emoji holds half a character as an escape."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        if b"\\ud" not in text.lower():
            raise
        return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _decode(name: str, number: int, raw: bytes, issues: Issues) -> dict[str, Any] | None:
    text = raw.strip()
    if number == 1:
        text = text.removeprefix(b"\xef\xbb\xbf")  # the byte order mark some editors put in front
    if not text:
        return None
    try:
        value = _parse(text)
    except (ValueError, RecursionError) as error:
        if raw.endswith(b"\n"):
            issues.add(name, number, f"not JSON: {error}", kind="not JSON")
        else:
            issues.add(name, number, "half-written last line (no line end, not JSON)", kind="half-written line")
        return None
    if not isinstance(value, dict):
        issues.add(name, number, f"not a JSON object but {type(value).__name__}", kind="not an object")
        return None
    return value
