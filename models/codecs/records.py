"""What goes into the decoders and what comes out beside the events: records, stamps, errors, limits.

In: nothing. Out: the value types every codec shares, and the published limits of a record.
Never: decodes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from models.error_codes import ErrorCode

RECORD_BYTES_MAX: Final = 8 << 20  # as stored in the log; eight times Kafka's default max.message.bytes
DECODED_BYTES_MAX: Final = 16 << 20  # after decompression; 65,536 JSON events of 256 bytes
BOMB_RATIO_MAX: Final = 100  # decoded / stored; real telemetry reaches about 50 with zstd
EVENTS_PER_RECORD_MAX: Final = 65_536  # so that `idx` = position + 65,536 * leaf never collides
JSON_DEPTH_MAX: Final = 64  # explicit, because an interpreter's recursion limit depends on the caller's stack
PAYLOAD_BYTES_MAX: Final = 65_536  # of a dead letter; its full length is kept beside it
SHOWN_CHARACTERS_MAX: Final = 80  # of a value of the input, quoted in a reason
WHOLE_RECORD: Final = -1  # idx of an error that concerns the record and not one event of it

HEADER_CONTENT_TYPE: Final = "content-type"
HEADER_CONTENT_ENCODING: Final = "content-encoding"
HEADER_PRODUCER: Final = "murmur-producer"
CONTENT_JSON: Final = "application/json"
CONTENT_NDJSON: Final = "application/x-ndjson"
CONTENT_COLUMNS: Final = "application/vnd.murmur.columns+msgpack"


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as it stands in the log. A struct: made a million times a second, it costs a quarter of a tuple."""

    offset: int
    timestamp_ms: int  # append time, or the producer's stamp where the broker keeps that
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class ProducerStamp(NamedTuple):
    """Which producer made a record, for dropping whole records that a retry stored twice."""

    producer: str  # UUID as 32 hex digits
    epoch: int
    seq: int


class EventError(ValueError):
    """One record or event breaks one rule: a stable code and a one-line reason."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class DecodeError:
    """One future dead letter."""

    record: int  # index into the decoded records
    idx: int  # position of the event within its record; WHOLE_RECORD for the record itself
    code: ErrorCode
    reason: str  # one line: the field, the rule
    payload: bytes  # original bytes of the event (or record), cut at PAYLOAD_BYTES_MAX
    payload_bytes: int  # their full length
    content_type: str  # as sent; '' when absent


def show(value: object) -> str:
    """A short, one-line quotation of a value of the input."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, str):
        # Cut before repr: a megabyte string must not be copied to show eighty characters of it.
        text = repr(value[:SHOWN_CHARACTERS_MAX])[:SHOWN_CHARACTERS_MAX]
        return text if len(value) <= SHOWN_CHARACTERS_MAX else f"{text}..."
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}..."


def error_of(record: RawRecord, index: int, idx: int, error: EventError, payload: bytes) -> DecodeError:
    """The dead letter of `payload`, which is the whole value for WHOLE_RECORD."""
    return DecodeError(
        record=index,
        idx=idx,
        code=error.code,
        reason=error.reason,
        payload=bytes(payload[:PAYLOAD_BYTES_MAX]),
        payload_bytes=len(payload),
        content_type=content_type_text(record.headers),
    )


def content_type_text(headers: Sequence[tuple[str, bytes]]) -> str:
    """The content-type header as text for people; '' when absent."""
    raw = header(headers, HEADER_CONTENT_TYPE)
    return "" if raw is None else raw[:SHOWN_CHARACTERS_MAX].decode("ascii", "backslashreplace")


def header(headers: Sequence[tuple[str, bytes]], name: str) -> bytes | None:
    """The last header of this name (Kafka allows several); None when absent or null."""
    found: bytes | None = None
    for key, value in headers:
        if key == name:
            found = value
    return found
