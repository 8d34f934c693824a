"""Activity records -> `ActivityRecord` structs.

In: a chunk of raw records of the activities topic, in log order. Out: one `ActivityChunk`.
Never: raises for bad input. Columnar batches carry metrics only and are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.codecs import rules
from models.codecs.envelope import open_envelope
from models.codecs.fast import FastReader
from models.codecs.json_text import read_items
from models.codecs.records import (
    CONTENT_COLUMNS,
    HEADER_CONTENT_TYPE,
    WHOLE_RECORD,
    DecodeError,
    EventError,
    ProducerStamp,
    RawRecord,
    error_of,
)
from models.codecs.structs import ActivityRecord
from models.error_codes import ErrorCode

# Activities are few: those with unknown fields go to the exact reader, hence one struct for both tries.
_FAST: Final = FastReader(ActivityRecord, ActivityRecord)


@dataclass(slots=True)
class ActivityChunk:
    """The valid activities of a chunk, in log order, and what was wrong with the others."""

    activities: list[tuple[int, int, ActivityRecord]] = field(default_factory=list)  # record index, idx, activity
    errors: list[DecodeError] = field(default_factory=list)
    producers: list[ProducerStamp | None] = field(default_factory=list)  # one a record


def decode_activities(records: Sequence[RawRecord]) -> ActivityChunk:
    """Decodes a chunk of records of the activities topic."""
    chunk = ActivityChunk(producers=[None] * len(records))
    for index, record in enumerate(records):
        try:
            content_type, body, chunk.producers[index] = open_envelope(record)
            if content_type == CONTENT_COLUMNS:
                raise EventError(
                    ErrorCode.CONTENT_TYPE_UNKNOWN,
                    f"header {HEADER_CONTENT_TYPE}: columnar batches carry metrics; send activities as JSON",
                )
            found = _read_fast(body, content_type)
            if found is None:
                _read_slow(chunk, index, record, body, content_type)
            else:
                chunk.activities += [(index, idx, activity) for idx, activity in enumerate(found)]
        except EventError as error:
            chunk.errors.append(error_of(record, index, WHOLE_RECORD, error, record.value or b""))
    return chunk


def _read_fast(body: bytes, content_type: str) -> list[ActivityRecord] | None:
    """The activities, or None when the rules must decide."""
    read = _FAST.read(body, content_type)
    if read is None:
        return None
    found: list[ActivityRecord] = read if isinstance(read, list) else [read]
    try:
        for activity in found:
            rules.check_activity_whole(
                activity.started_at, activity.ended_at, activity.cost_usd, activity.cost_provenance
            )
    except EventError:
        return None
    return found


def _read_slow(chunk: ActivityChunk, index: int, record: RawRecord, body: bytes, content_type: str) -> None:
    for position, item in enumerate(read_items(body, content_type)):
        try:
            if item.error is not None:
                raise item.error
            chunk.activities.append((index, position, ActivityRecord(**rules.check_activity(item.value))))
        except EventError as error:
            chunk.errors.append(error_of(record, index, position, error, item.text.encode()))
