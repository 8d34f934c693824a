"""The fast reader of JSON records: msgspec structs, or nothing at all.

In: the bodies of JSON or NDJSON records. Out: their structs in order, or None for: let the exact reader decide.
Never: accepts a record that `json_text` and `rules` would read otherwise; refusing is always safe.

The strict decoder knows every field, so nothing of what it accepts stays unread (tags, which it carries as raw text,
are read by the caller). Before it, the plain decoder knows only the fields most events have. After it, the open
decoder skips unknown fields, which is only sound where skipped text cannot hide what the exact reader would refuse:
no escapes, no deep nesting.
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

    def __init__(self, strict: type[Any], lenient: type[Any], plain: type[Any] | None = None) -> None:
        """`plain`: tried first on many events at once, where a vain try costs one of them."""
        self._plain = msgspec.json.Decoder(list[plain]).decode if plain else None  # type: ignore[valid-type]  # as below
        self._lines = [msgspec.json.Decoder(one).decode_lines for one in (plain, strict) if one]
        self._strict = (msgspec.json.Decoder(strict).decode, msgspec.json.Decoder(list[strict]).decode)  # type: ignore[valid-type]  # the decoder is built from a type that is an argument here
        self._lenient = (msgspec.json.Decoder(lenient).decode, msgspec.json.Decoder(list[lenient]).decode)  # type: ignore[valid-type]  # the same

    def read_together(self, bodies: list[bytes]) -> list[Any] | None:
        """One struct a body, all of one type, or None when any of them is not exactly one object on one line.

        The bodies are decoded as lines of one text. Each line begins with an opening and ends with a closing brace, and
        no JSON text goes on from `}` over a line break to `{` (within a string the break is illegal, elsewhere a comma
        is missing), so each line holds whole objects, and as many objects as lines means one each.
        """
        text = b"\n".join(bodies)
        between = len(bodies) - 1
        one_object_a_line = text[:1] == b"{" and text[-1:] == b"}" and text.count(b"}\n{") == between
        if not one_object_a_line or text.count(b"\n") != between or not _readable(text):
            return None
        for decode in self._lines:
            try:
                found: list[Any] = decode(text)
            except msgspec.ValidationError:
                continue
            except _REFUSED:
                return None
            return found if len(found) == len(bodies) else None
        return None

    def read(self, body: bytes, content_type: str) -> Any:
        """One struct for a record that is one object, a list of structs for a batch, None when undecided."""
        if not _readable(body):
            return None
        first = body[:1]
        found: Any = None
        if self._plain is not None and first == b"[" and content_type != CONTENT_NDJSON:
            try:
                found = self._plain(body)
            except msgspec.ValidationError:
                pass
            except _REFUSED:
                return None
            else:
                return found if len(found) <= EVENTS_PER_RECORD_MAX else None
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


def _readable(text: bytes) -> bool:
    """Whether it is UTF-8 without NUL; msgspec does not look into text that it only carries along or skips."""
    if not text.isascii():
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return _NUL_ESCAPE not in text


def _decode(decoders: tuple[Any, Any], first: bytes, body: bytes, content_type: str) -> Any:
    one, many = decoders
    if content_type == CONTENT_NDJSON:
        if body.count(b"\n") > EVENTS_PER_RECORD_MAX:
            return None
        return [one(line) for line in body.split(b"\n") if line.strip(b" \t\r")] or None
    if first == b"{":
        return one(body)
    return many(body) if first == b"[" else None
