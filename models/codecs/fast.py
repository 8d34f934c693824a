"""The fast reader of JSON records: msgspec structs, or nothing at all.

In: the body of a JSON or NDJSON record. Out: its structs in order, or None for: let the exact reader decide.
Never: accepts a record that `json_text` and `rules` would read otherwise; refusing is always safe.

Two tries. The strict decoder knows every field, so nothing of what it accepts stays unread (tags, which it carries
as raw text, are read by the caller). The open decoder skips unknown fields, which is only sound where skipped
text cannot hide what the exact reader would refuse: no escapes, no deep nesting.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from models.codecs.json_text import depth_exceeds
from models.codecs.records import CONTENT_NDJSON, EVENTS_PER_RECORD_MAX, JSON_DEPTH_MAX

_NUL_ESCAPE: Final = b"\\u0000"  # the only way to write NUL in valid JSON; only the rules look for it
_REFUSED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FastReader:
    """Reads records of one struct type."""

    def __init__(self, strict: type[Any], lenient: type[Any]) -> None:
        self._strict = (msgspec.json.Decoder(strict).decode, msgspec.json.Decoder(list[strict]).decode)  # type: ignore[valid-type]  # the decoder is built from a type that is an argument here
        self._lenient = (msgspec.json.Decoder(lenient).decode, msgspec.json.Decoder(list[lenient]).decode)  # type: ignore[valid-type]  # the same

    def read(self, body: bytes, content_type: str) -> Any:
        """One struct for a record that is one object, a list of structs for a batch, None when undecided."""
        if not body.isascii():
            try:
                body.decode("utf-8")  # msgspec does not look into text that it only carries along or skips
            except UnicodeDecodeError:
                return None
        if _NUL_ESCAPE in body:
            return None
        first = body[:1]
        found: Any = None
        try:
            found = _decode(self._strict, first, body, content_type)
        except msgspec.ValidationError:
            if b"\\" not in body and not depth_exceeds(body, JSON_DEPTH_MAX):
                try:
                    found = _decode(self._lenient, first, body, content_type)
                except _REFUSED:
                    return None
        except _REFUSED:
            return None
        if found.__class__ is list and len(found) > EVENTS_PER_RECORD_MAX:
            return None
        return found


def _decode(decoders: tuple[Any, Any], first: bytes, body: bytes, content_type: str) -> Any:
    one, many = decoders
    if content_type == CONTENT_NDJSON:
        if body.count(b"\n") > EVENTS_PER_RECORD_MAX:
            return None
        return [one(line) for line in body.split(b"\n") if line.strip(b" \t\r")] or None
    if first == b"{":
        return one(body)
    return many(body) if first == b"[" else None
