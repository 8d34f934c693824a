"""Records that wait on disk for a broker that is away.

In: encoded records, oldest first. Out: the same records, oldest first, also in the next process.
Never: grows past its bound; hands out a torn or damaged record; sends one record under two stamps.

A publisher owns one directory `<spool_dir>/<creation time>-<producer uuid>/` by a file lock, and adopts the
directories of dead publishers. A directory has its own producer identity: stamps follow from the position in it, so
a record that was sent by one process and again by the next carries the same stamp, and the worker drops the second.
Appended bytes survive the death of the process; they are not fsynced, so not the loss of power.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from murmur.record import Record
from murmur.spool_directory import SpoolDirectory

SEGMENTS_MIN = 8  # the bound is kept by dropping whole segments: never more than an eighth of it at once
SEGMENT_BYTES_MAX = 4 * 1024 * 1024


class Spool:
    """The own directory and the adopted ones, as one queue."""

    def __init__(self, root: Path, *, bytes_max: int) -> None:
        self.root = root
        self.bytes_max = bytes_max
        self.segment_bytes = min(SEGMENT_BYTES_MAX, bytes_max // SEGMENTS_MIN)
        self.spooled_events = 0
        self.dropped_events = 0
        self.recovered_events = 0
        self._retired_corrupt_events = 0
        self._own: SpoolDirectory | None = None
        self._adopted: deque[SpoolDirectory] = deque()

    def adopt(self) -> None:
        """Takes over what dead publishers left in `root`. Raises OSError when `root` cannot be read."""
        if not self.root.exists():
            return
        for path in sorted(p for p in self.root.iterdir() if p.is_dir()):
            if self._own is not None and path == self._own.path:
                continue
            directory = SpoolDirectory.open_existing(path)
            if directory is None:
                continue  # its publisher lives
            if directory.unread_events == 0 and not directory.unacknowledged:
                directory.remove()
                continue
            self.recovered_events += directory.unread_events
            self._adopted.append(directory)

    def append(self, record: Record) -> None:
        """Adds the newest record. Raises OSError, and keeps nothing of it, when the disk refuses."""
        if self._own is None:
            self._own = SpoolDirectory.create(self.root)
        self._own.append(record, segment_bytes=self.segment_bytes)
        self.spooled_events += record.events
        while self.bytes_on_disk > self.bytes_max and (oldest := next(self._directories(), None)) is not None:
            dropped = oldest.drop_oldest_segment()
            self.dropped_events += dropped
            self._retire(oldest)

    def read(self, count: int) -> list[Record]:
        """Up to `count` oldest records not read yet; each reports back through its `on_done`."""
        records: list[Record] = []
        for directory in list(self._directories()):
            for record in islice(directory.read(), count - len(records)):
                record.on_done = partial(self._done, directory)
                records.append(record)
            self._retire(directory)  # everything left in it may have been damaged
            if len(records) >= count:
                break
        return records

    def close(self) -> None:
        """Gives up the locks; what is not acknowledged stays for the next process."""
        for directory in list(self._directories()):
            if directory.unread_events == 0 and not directory.unacknowledged:
                directory.remove()
            else:
                directory.close()
        self._own = None
        self._adopted.clear()

    def abandon(self) -> None:
        """In a forked child: closes the inherited handles and forgets; the files are the parent's."""
        for directory in self._directories():
            directory.close()
        self._own = None
        self._adopted.clear()

    @property
    def unread_events(self) -> int:
        """Events on disk that were not handed out by `read`."""
        return sum(directory.unread_events for directory in self._directories())

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all segments, read and unread."""
        return sum(directory.bytes_on_disk for directory in self._directories())

    @property
    def unacknowledged_events(self) -> int:
        """Events handed out by `read` whose end is not known; they still stand on disk."""
        return sum(h.record.events for d in self._directories() for h in d.unacknowledged if not h.acknowledged)

    @property
    def corrupt_events(self) -> int:
        """Events of damaged entries, skipped."""
        return sum(directory.corrupt_events for directory in self._directories()) + self._retired_corrupt_events

    def _done(self, directory: SpoolDirectory, record: Record) -> None:
        directory.acknowledge(record)
        self._retire(directory)

    def _retire(self, directory: SpoolDirectory) -> None:
        """An adopted directory that is empty is removed; the own one stays open for what comes."""
        if directory in self._adopted and directory.unread_events == 0 and not directory.unacknowledged:
            self._adopted.remove(directory)
            self._retired_corrupt_events += directory.corrupt_events
            directory.remove()

    def _directories(self) -> Iterator[SpoolDirectory]:
        yield from self._adopted
        if self._own is not None:
            yield self._own
