"""The original bytes of single events, for dead letters that are found after decoding (future timestamps).

In: one record and the `idx` of events in it. Out: their bytes, uncut.
Never: fails for a record that decoded; asking for an event the record does not have is a programming error.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from models.codecs.columns import read_batch, row_payload
from models.codecs.envelope import open_envelope
from models.codecs.json_text import Item, read_items
from models.codecs.records import CONTENT_COLUMNS, EVENTS_PER_RECORD_MAX, WHOLE_RECORD, RawRecord
from models.codecs.structs import ColumnBatch


def payload_of(record: RawRecord, idx: int) -> bytes:
    """The bytes of one event: its slice of the JSON text, or the row of a columnar batch re-encoded as JSON."""
    if idx == WHOLE_RECORD:
        return record.value or b""
    opened = _open(record.value or b"", tuple((key, value) for key, value in record.headers))
    position = idx % EVENTS_PER_RECORD_MAX
    if isinstance(opened, ColumnBatch):
        return row_payload(opened, position)
    return opened[position].text.encode()


def payloads_of(record: RawRecord, idxs: Iterable[int]) -> list[bytes]:
    """The same for several events of one record."""
    return [payload_of(record, idx) for idx in idxs]


@lru_cache(maxsize=1)  # a producer whose clock runs ahead has all events of a record refused, one after the other
def _open(value: bytes, headers: tuple[tuple[str, bytes], ...]) -> ColumnBatch | list[Item]:
    content_type, body, _ = open_envelope(RawRecord(0, 0, headers, value))
    return read_batch(body) if content_type == CONTENT_COLUMNS else read_items(body, content_type)
