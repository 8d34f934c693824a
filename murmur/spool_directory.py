"""One directory of spooled records: segments, a cursor, a lock and a producer identity.

In: records to append; acknowledgements. Out: records in order, each checked against its checksum.
Never: shared by two live publishers (an advisory file lock says whose it is).

Segment file: entries of `<u32 body bytes><u32 crc32 of events and body><u32 events><msgpack body>`.
Cursor file: JSON, where the oldest unacknowledged entry stands and the sequence numbers from there on, replaced
atomically after acknowledgements.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from murmur.clock import now_ns
from murmur.record import Identity, Record, Stamp

HEADER = struct.Struct("<III")
ENTRY_BYTES_MAX = 64 * 1024 * 1024  # a longer length field is damage, not a record


class _Cursor(msgspec.Struct, kw_only=True):
    """Where the oldest unacknowledged entry stands, and the stamps from there on."""

    producer: str
    segment: int
    offset: int
    next_seq: list[tuple[str, int, int]]

    def sequences(self) -> dict[tuple[str, int], int]:
        return {(topic, partition): seq for topic, partition, seq in self.next_seq}


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    entries: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, events) of entries not read yet
    size_bytes: int = 0
    unread_events: int = 0


@dataclass(slots=True, eq=False)
class _Handed:
    """An entry that was read and is not covered by the cursor yet."""

    record: Record
    segment: int
    end: int
    acknowledged: bool = False


class SpoolDirectory:
    """Append at the young end, read at the old one, acknowledge in any order."""

    def __init__(self, path: Path, lock: BinaryIO, identity: Identity) -> None:
        self.path = path
        self.identity = identity
        self.corrupt_events = 0
        self.unacknowledged: deque[_Handed] = deque()
        self._lock = lock
        self._segments: deque[_Segment] = deque()
        self._writer: BinaryIO | None = None
        self._cursor_seq: dict[tuple[str, int], int] = dict(identity.next_seq)

    @classmethod
    def create(cls, root: Path) -> SpoolDirectory:
        """A new, empty directory under `root`."""
        identity = Identity()
        # Names sort by creation, so that the oldest events of several dead publishers leave first.
        path = root / f"{now_ns():019d}-{identity.producer}"
        path.mkdir(parents=True)
        lock = _lock(path / "lock")
        assert lock is not None, "a new directory has no other owner"
        return cls(path, lock, identity)

    @classmethod
    def open_existing(cls, path: Path) -> SpoolDirectory | None:
        """A dead publisher's directory, or None while its owner lives (or it is no spool)."""
        if not (path / "lock").exists() or (lock := _lock(path / "lock")) is None:
            return None
        cursor = _read_cursor(path / "cursor.json")
        # Without a readable cursor the stamps of earlier sends are unknown: a new identity may repeat an event,
        # the old one could make the worker drop a new one as seen. Loss is worse.
        identity = Identity(cursor.producer, cursor.sequences()) if cursor is not None else Identity()
        directory = cls(path, lock, identity)
        directory._scan(cursor.segment if cursor else 0, cursor.offset if cursor else 0)
        return directory

    @property
    def unread_events(self) -> int:
        """Events on disk that were not handed out by `read`."""
        return sum(segment.unread_events for segment in self._segments)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all segments, read and unread."""
        return sum(segment.size_bytes for segment in self._segments)

    def append(self, record: Record, *, segment_bytes: int) -> None:
        """Writes one entry. Raises OSError with nothing kept."""
        stamp = list(record.stamp) if record.stamp is not None else None
        body = msgspec.msgpack.encode(
            [record.topic, record.key, record.value, record.content_type, record.events, stamp]
        )
        entry = HEADER.pack(len(body), _checksum(record.events, body), record.events) + body
        segment = self._segments[-1] if self._segments else None
        if segment is None or self._writer is None or segment.size_bytes + len(entry) > segment_bytes:
            segment = self._new_segment()
        assert self._writer is not None
        try:
            written = self._writer.write(entry)
            if written != len(entry):
                raise OSError(28, "No space left on device")
        except OSError:
            self._writer.truncate(segment.size_bytes)
            self._writer.seek(segment.size_bytes)
            raise
        segment.entries.append((segment.size_bytes, record.events))
        segment.size_bytes += len(entry)
        segment.unread_events += record.events

    def read(self) -> Iterator[Record]:
        """The unread records, oldest first; damaged ones are counted and skipped."""
        for segment in list(self._segments):
            while segment.entries:
                offset, events = segment.entries.popleft()
                segment.unread_events -= events
                loaded = self._load(segment, offset)
                if loaded is None:
                    self.corrupt_events += events
                    continue
                record, end = loaded
                self.unacknowledged.append(_Handed(record, segment.number, end))
                yield record

    def acknowledge(self, record: Record) -> None:
        """Marks a record as done and moves the cursor over the done prefix."""
        for handed in self.unacknowledged:
            if handed.record is record:
                handed.acknowledged = True
                break
        moved: _Handed | None = None
        while self.unacknowledged and self.unacknowledged[0].acknowledged:
            moved = self.unacknowledged.popleft()
            stamp = moved.record.stamp
            if stamp is not None and stamp.producer == self.identity.producer:
                self._cursor_seq[(moved.record.topic, stamp.partition)] = stamp.seq + 1
        if moved is not None:
            self._write_cursor(moved.segment, moved.end)
            self._delete_segments_before(moved.segment)

    def drop_oldest_segment(self) -> int:
        """Gives up the oldest segment's unread events; returns how many.

        Stamps follow from the position, which has lost its past: what comes next gets a new identity, so that a
        later process can never give a seen stamp to an unseen record.
        """
        segment = self._segments.popleft()
        if not self._segments and self._writer is not None:
            self._writer.close()
            self._writer = None
        self.unacknowledged = deque(h for h in self.unacknowledged if h.segment != segment.number)
        self.identity = Identity()
        self._cursor_seq = {}
        self._write_cursor(segment.number + 1, 0)
        segment.path.unlink(missing_ok=True)
        return segment.unread_events

    def remove(self) -> None:
        """Deletes everything; the lock goes last."""
        self.close()
        for path in (*self.path.glob("*.seg"), self.path / "cursor.json", self.path / "lock"):
            path.unlink(missing_ok=True)
        self.path.rmdir()

    def close(self) -> None:
        """Lets go of the files and of the lock; the content stays."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._lock.close()

    def _new_segment(self) -> _Segment:
        if self._writer is not None:
            self._writer.close()
        number = self._segments[-1].number + 1 if self._segments else self._last_number() + 1
        segment = _Segment(number, self.path / f"{number:012d}.seg")
        self._writer = open(segment.path, "wb", buffering=0)  # noqa: SIM115 -- kept open across appends
        self._segments.append(segment)
        if number == 1:
            self._write_cursor(0, 0)
        return segment

    def _last_number(self) -> int:
        cursor = _read_cursor(self.path / "cursor.json")
        handed = self.unacknowledged[-1].segment if self.unacknowledged else 0
        return max(cursor.segment if cursor is not None else 0, handed)

    def _load(self, segment: _Segment, offset: int) -> tuple[Record, int] | None:
        try:
            with open(segment.path, "rb") as file:
                file.seek(offset)
                length, checksum, events = HEADER.unpack(file.read(HEADER.size))
                body = file.read(length)
            if len(body) != length or _checksum(events, body) != checksum:
                return None
            topic, key, value, content_type, count, stamp = msgspec.msgpack.decode(body)
        except (OSError, struct.error, msgspec.DecodeError, ValueError):
            return None
        record = Record(topic, key, value, content_type, count, identity=self.identity)
        if stamp is not None:
            record.stamp = Stamp(*stamp)
        return record, offset + HEADER.size + length

    def _scan(self, first: int, offset: int) -> None:
        """Indexes the entries from the cursor on; a torn tail ends its segment."""
        for path in sorted(self.path.glob("*.seg")):
            number = int(path.stem)
            if number < first:
                path.unlink(missing_ok=True)
                continue
            segment = _Segment(number, path, size_bytes=path.stat().st_size)
            position = offset if number == first else 0
            with open(path, "rb") as file:
                while position + HEADER.size <= segment.size_bytes:
                    file.seek(position)
                    length, _, events = HEADER.unpack(file.read(HEADER.size))
                    if length > ENTRY_BYTES_MAX or position + HEADER.size + length > segment.size_bytes:
                        break  # written by a process that died in the middle: nobody was told it was kept
                    segment.entries.append((position, events))
                    segment.unread_events += events
                    position += HEADER.size + length
            self._segments.append(segment)

    def _delete_segments_before(self, number: int) -> None:
        while self._segments and not self._segments[0].entries:
            segment = self._segments[0]
            finished = segment.number < number or not any(h.segment == segment.number for h in self.unacknowledged)
            if not finished or (segment is self._segments[-1] and self._writer is not None):
                break
            self._segments.popleft()
            segment.path.unlink(missing_ok=True)

    def _write_cursor(self, segment: int, offset: int) -> None:
        rows = [(topic, partition, seq) for (topic, partition), seq in self._cursor_seq.items()]
        cursor = _Cursor(producer=self.identity.producer, segment=segment, offset=offset, next_seq=rows)
        temporary = self.path / "cursor.tmp"
        temporary.write_bytes(msgspec.json.encode(cursor))
        os.replace(temporary, self.path / "cursor.json")


def _checksum(events: int, body: bytes) -> int:
    return zlib.crc32(body, events & 0xFFFFFFFF)


def _read_cursor(path: Path) -> _Cursor | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Cursor)
    except (OSError, ValueError):
        return None


def _lock(path: Path) -> BinaryIO | None:
    """The open, locked file; None when another process holds it. The lock falls with the process."""
    file = open(path, "ab")  # noqa: SIM115 -- the open file is the lock
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    except ImportError:  # Windows has no flock: such a spool is never adopted by another process
        pass
    return file
