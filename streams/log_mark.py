"""What a state remembers of the last record it folded, so that another log under the same offsets is noticed.

In: records. Out: marks, and whether a record contradicts one. Never: keeps the record.

A broker that loses the end of its log (an unclean leader election, a restored backup) gives the lost offsets to other
records. Offsets alone cannot show that once the log has grown past the old end.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from models.codecs.records import RawRecord


class LogMark(NamedTuple):
    """Offset and checksum of a record."""

    offset: int
    checksum: int  # CRC-32 of its bytes, begun with its timestamp

    @classmethod
    def of(cls, record: RawRecord) -> LogMark:
        """The mark of a record."""
        return cls(record.offset, zlib.crc32(record.value or b"", record.timestamp_ms & 0xFFFFFFFF))

    def contradicts(self, record: RawRecord) -> bool:
        """Whether another record stands where the marked one stood."""
        return record.offset == self.offset and LogMark.of(record) != self
