"""What a snapshot is, who may read it, which ones are kept: the port every snapshot store stands behind.

In: a state's bytes and where they belong. Out: bytes that tell by themselves whether they are whole.
Never: reads a pickle; mistakes a snapshot of another log, fold version or configuration for its own.

The bytes are MAGIC, the length of the header, the header (JSON), zlib-compressed state, and a CRC-32 over all of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

MAGIC: Final = b"MURMSNAP"
FORMAT: Final = 1  # of the bytes, not of the state in them
COMPRESSION_LEVEL: Final = (
    1  # zlib: 57 ms for 10 MB of window state, 12 % of its size; level 6 gains 2 points for 4x the time
)
ARCHIVE_INTERVAL_S: Final = 3_600  # one snapshot an hour is archived: a replay then folds an hour too much at most
ARCHIVE_INTERVALS: Final = 48  # two days: a fault is found the day after; older points are replayed from earlier
_LENGTH = struct.Struct("<I")


class SnapshotError(Exception):
    """A snapshot store that cannot be used as it is; one line that says what to do."""


class SnapshotHeader(msgspec.Struct, frozen=True):
    """What a snapshot is a snapshot of."""

    format: int
    fold_version: int
    config: str  # FoldConfig.fingerprint()
    log_id: str
    topic: str
    partition: int
    next_offset: int
    database_id: str = ""  # of the one that holds the rows below next_offset; empty: there are no rows

    @property
    def lineage(self) -> str:
        """The log and the database: a state goes on only where both are the same."""
        return f"{self.log_id}@{self.database_id}" if self.database_id else self.log_id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state and what it is the state of."""

    header: SnapshotHeader
    state: bytes


class SnapshotStore(Protocol):
    """The snapshots of one partition of one log under one fold version. Every call may block: use a thread."""

    corrupt: int  # snapshots found damaged; they are passed over

    @property
    def where(self) -> str:
        """Where the snapshots lie, for messages."""
        ...

    def save(self, state: bytes, next_offset: int) -> int:
        """Returns when the snapshot is durable, with the bytes written. An older one of the last ones is kept.

        Raises OSError when the store does not take it; earlier snapshots are untouched then.
        """
        ...

    def newest(self, at_most: int | None = None) -> Snapshot | None:
        """The valid snapshot with the highest offset (not above `at_most`), or None.

        Raises SnapshotError when it was written under another configuration: its state must not be continued, and
        silently starting over would mix two kinds of results.
        """
        ...

    def any(self) -> bool:
        """Whether there is any snapshot of this log, valid or not."""
        ...


def kept_snapshots(saved_at_s: Mapping[int, float], *, newest: int) -> set[int]:
    """Of snapshots by next offset, those to keep: the newest few, and the first of each hour of the last two days.

    The first of an hour, so that what is archived stays the same while new ones come.
    """
    keep = set(sorted(saved_at_s)[-newest:])
    if not saved_at_s:
        return keep
    oldest = max(saved_at_s.values()) // ARCHIVE_INTERVAL_S - ARCHIVE_INTERVALS
    first_of_hour: dict[float, int] = {}
    for offset, at_s in sorted(saved_at_s.items()):
        hour = at_s // ARCHIVE_INTERVAL_S
        if hour > oldest:
            first_of_hour.setdefault(hour, offset)
    return keep | set(first_of_hour.values())


def require_own(found: SnapshotHeader, mine: SnapshotHeader, *, where: str) -> None:
    """Raises SnapshotError unless the snapshot found belongs to this place and configuration."""
    if found.config != mine.config:
        raise SnapshotError(
            f"{where}: written under other settings (configuration {found.config}, now {mine.config}): "
            "windows, lateness, skew, memory bounds, anomaly threshold or prices have changed, and results of two "
            "configurations must not mix. Restore the settings, or set MURMUR_FOLD_VERSION to "
            f"{found.fold_version + 1} to recompute from the log beside the old results."
        )
    same = (found.lineage, found.topic, found.partition, found.fold_version)
    own = (mine.lineage, mine.topic, mine.partition, mine.fold_version)
    if same != own:
        raise SnapshotError(f"{where}: belongs to {same}, not to {own}; move it back to its own folder")


def encode(header: SnapshotHeader, state: bytes) -> bytes:
    """The bytes of a snapshot."""
    head = msgspec.json.encode(header)
    body = MAGIC + _LENGTH.pack(len(head)) + head + zlib.compress(state, COMPRESSION_LEVEL)
    return body + _LENGTH.pack(zlib.crc32(body))


def decode(data: bytes) -> Snapshot:
    """The snapshot in these bytes. Raises ValueError for anything torn, flipped or foreign."""
    body, tail = data[: -_LENGTH.size], data[-_LENGTH.size :]
    if not body.startswith(MAGIC) or len(tail) != _LENGTH.size or zlib.crc32(body) != _LENGTH.unpack(tail)[0]:
        raise ValueError("not a snapshot, or damaged")
    start = len(MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack(body[len(MAGIC) : start])
    try:
        header = msgspec.json.decode(body[start : start + length], type=SnapshotHeader)
        state = zlib.decompress(body[start + length :])
    except (msgspec.DecodeError, zlib.error) as error:
        raise ValueError(f"damaged: {error}") from None
    if header.format != FORMAT:
        raise ValueError(f"format {header.format}, this build reads {FORMAT}")
    return Snapshot(header, state)
