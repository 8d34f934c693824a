"""The envelope of a record: its headers and its compression, before anyone looks at the content.

In: one `RawRecord`. Out: the content type, the decompressed body, the producer's stamp.
Never: holds more than DECODED_BYTES_MAX of output, however small the compressed input was.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Final, NamedTuple

import zstandard

from models.codecs.records import (
    BOMB_RATIO_MAX,
    CONTENT_COLUMNS,
    CONTENT_JSON,
    CONTENT_NDJSON,
    DECODED_BYTES_MAX,
    HEADER_CONTENT_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_PRODUCER,
    RECORD_BYTES_MAX,
    EventError,
    ProducerStamp,
    RawRecord,
    show,
)
from models.error_codes import ErrorCode

CONTENT_TYPES: Final = frozenset({CONTENT_JSON, CONTENT_NDJSON, CONTENT_COLUMNS})
_PRODUCER: Final = re.compile(rb"([0-9a-f]{32}):([0-9]{1,9})\Z")
_SEQ_DIGITS_MAX: Final = 18  # fits a signed 64-bit integer
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS  # zlib's way to say: gzip wrapper, largest window
_ZSTD_WINDOW_BYTES_MAX: Final = 8 << 20  # what RFC 8878 asks every decoder to support; more only costs memory

# The binding cannot bound its output, so its input is: the smallest block has 4 bytes and yields at most 128 KiB,
# hence one step yields at most 8 MiB.
_ZSTD_STEP_BYTES: Final = 256


class Envelope(NamedTuple):
    """A record without its wrapping."""

    content_type: str  # one of CONTENT_TYPES, or '' for "sniff JSON"
    body: bytes
    producer: ProducerStamp | None


def open_envelope(record: RawRecord) -> Envelope:
    """Raises EventError when the record as a whole cannot be read."""
    value = record.value
    if not value:
        raise EventError(ErrorCode.RECORD_EMPTY, "the record has no value; a tombstone means nothing in an event log")
    if len(value) > RECORD_BYTES_MAX:
        raise EventError(
            ErrorCode.RECORD_TOO_LARGE,
            f"the record has {len(value)} bytes, the limit is {RECORD_BYTES_MAX}; send smaller batches",
        )
    if not record.headers:
        return Envelope("", value, None)
    raw_type: bytes | None = None
    encoding: bytes | None = None
    stamp: bytes | None = None
    for key, text in record.headers:  # the last header of a name wins
        if key == HEADER_PRODUCER:
            stamp = text
        elif key == HEADER_CONTENT_TYPE:
            raw_type = text
        elif key == HEADER_CONTENT_ENCODING:
            encoding = text
    producer = parse_stamp(stamp) if stamp is not None else None
    content_type = _content_type(raw_type) if raw_type else ""
    if encoding:
        value = decompress(value, encoding.decode("latin-1").strip().lower())
    return Envelope(content_type, value, producer)


def parse_stamp(text: bytes) -> ProducerStamp:
    """`<uuid as 32 lower-case hex digits>:<epoch>:<seq>`."""
    head, _, seq = text.rpartition(b":")
    if seq.isdigit() and len(seq) <= _SEQ_DIGITS_MAX:
        known = _parse_producer(head)
        if known is not None:
            return ProducerStamp(known[0], known[1], int(seq))
    raise EventError(
        ErrorCode.FIELD_VALUE,
        f"header {HEADER_PRODUCER}: {_quote(text)} is not <32 hex digits>:<epoch>:<seq>",
    )


@lru_cache(maxsize=4_096)  # a producer stamps all its records alike but for the sequence number
def _parse_producer(head: bytes) -> tuple[str, int] | None:
    match = _PRODUCER.match(head)
    return None if match is None else (match[1].decode("ascii"), int(match[2]))


def decompress(data: bytes, encoding: str) -> bytes:
    """The decoded bytes, at most DECODED_BYTES_MAX of them."""
    if encoding == "identity":
        return data
    if encoding not in {"gzip", "zstd"}:
        raise EventError(
            ErrorCode.CONTENT_ENCODING,
            f"header content-encoding: {show(encoding)} is not known; use gzip or zstd",
        )
    try:
        decoded = _gunzip(data) if encoding == "gzip" else _unzstd(data)
    except (zlib.error, zstandard.ZstdError) as error:
        raise EventError(ErrorCode.CONTENT_ENCODING, f"not valid {encoding} data: {show(str(error))}") from None
    if not decoded:
        raise EventError(ErrorCode.RECORD_EMPTY, f"the {encoding} data decompresses to nothing")
    return decoded


def _content_type(raw: bytes) -> str:
    text = raw.decode("latin-1").partition(";")[0].strip().lower()
    if text not in CONTENT_TYPES:
        raise EventError(
            ErrorCode.CONTENT_TYPE_UNKNOWN,
            f"header content-type: {_quote(raw)} is not known; use {', '.join(sorted(CONTENT_TYPES))} or none",
        )
    return text


def _gunzip(data: bytes) -> bytes:
    parts: list[bytes] = []
    left = DECODED_BYTES_MAX
    rest = data
    while rest:  # a gzip file may be several members, one after the other
        inflater = zlib.decompressobj(_GZIP_WBITS)
        part = inflater.decompress(rest, left + 1)
        left -= len(part)
        if left < 0:
            raise _too_large(data)
        if not inflater.eof:
            raise zlib.error("the data ends too early")
        parts.append(part)
        rest = inflater.unused_data
    return b"".join(parts)


def _unzstd(data: bytes) -> bytes:
    parts: list[bytes] = []
    left = DECODED_BYTES_MAX
    rest = data
    while rest:  # frames may be concatenated as well
        inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).decompressobj()
        at = 0
        while at < len(rest) and not inflater.eof:
            part = inflater.decompress(rest[at : at + _ZSTD_STEP_BYTES])
            at += _ZSTD_STEP_BYTES
            left -= len(part)
            if left < 0:
                raise _too_large(data)
            parts.append(part)
        if not inflater.eof:
            raise zstandard.ZstdError("the data ends too early")
        rest = inflater.unused_data + rest[at:]
    return b"".join(parts)


def _too_large(data: bytes) -> EventError:
    if len(data) * BOMB_RATIO_MAX < DECODED_BYTES_MAX:
        return EventError(
            ErrorCode.CONTENT_ENCODING,
            f"decompression bomb: {len(data)} bytes become more than {DECODED_BYTES_MAX}",
        )
    return EventError(
        ErrorCode.RECORD_TOO_LARGE,
        f"the record decompresses to more than {DECODED_BYTES_MAX} bytes; send smaller batches",
    )


def _quote(raw: bytes) -> str:
    return show(raw[:200].decode("ascii", "backslashreplace"))
