"""Snapshots in a directory: written whole or not at all, checked when read.

In: a state's bytes. Out: the newest valid snapshot. Never: leaves half a file under a snapshot's name.

    <dir>/<fold version>/<topic>-<partition>/<log id>@<database id>/<next offset, 20 digits>.snap

Workers of one host share it; those of several hosts may, on a shared file system.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from streams.snapshots import Snapshot, SnapshotHeader, decode, encode, kept_snapshots, require_own

TMP_DEAD_S: Final = 60.0  # a temporary file this much older than a new snapshot has no writer: a save takes seconds


class DirectorySnapshots:
    """The `SnapshotStore` over a directory. `header.config` must match what is stored."""

    def __init__(self, directory: Path, header: SnapshotHeader, *, kept: int) -> None:
        self._dir = directory / str(header.fold_version) / f"{header.topic}-{header.partition}" / header.lineage
        self._header = header
        self._kept = kept
        self.corrupt = 0  # files found unreadable; they are left in place for a look

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._dir)

    def save(self, state: bytes, next_offset: int) -> int:
        """Writes tmp -> fsync -> rename -> fsync of the directory; returns the bytes written.

        Raises OSError when the disk is full or not writable; the previous snapshots are untouched then.
        """
        data = encode(msgspec.structs.replace(self._header, next_offset=next_offset), state)
        self._dir.mkdir(parents=True, exist_ok=True)
        path = self._path(next_offset)
        # Two workers that overlap must not write one temporary file (in containers even their process ids are equal);
        # the final bytes are equal.
        tmp = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            with tmp.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            tmp.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                tmp.unlink()
            raise
        _fsync_directory(self._dir)
        self._prune()
        self._remove_leftovers(path)
        return len(data)

    def newest(self, at_most: int | None = None) -> Snapshot | None:
        """The valid file with the highest offset (not above `at_most`), or None. Raises SnapshotError."""
        for path in sorted(self._dir.glob("*.snap"), reverse=True):
            if at_most is not None and int(path.stem) > at_most:
                continue
            try:
                snapshot = decode(path.read_bytes())
            except FileNotFoundError:
                continue  # pruned by another worker
            except (ValueError, OSError):
                self.corrupt += 1
                continue
            require_own(snapshot.header, self._header, where=str(path))
            return snapshot
        return None

    def any(self) -> bool:
        """Whether there is any snapshot file of this log, valid or not."""
        return next(self._dir.glob("*.snap"), None) is not None

    def _path(self, next_offset: int) -> Path:
        return self._dir / f"{next_offset:020d}.snap"

    def _prune(self) -> None:
        saved_at_s: dict[int, float] = {}
        for path in self._dir.glob("*.snap"):
            with contextlib.suppress(OSError):  # pruned by another worker
                saved_at_s[int(path.stem)] = path.stat().st_mtime
        for offset in set(saved_at_s) - kept_snapshots(saved_at_s, newest=self._kept):
            with contextlib.suppress(OSError):
                self._path(offset).unlink()

    def _remove_leftovers(self, saved: Path) -> None:
        """Temporary files of workers that were killed while they wrote."""
        with contextlib.suppress(OSError):  # another worker removes them too
            # Both times are the file system's: no clock of ours, whatever host shares the directory.
            dead_before_s = saved.stat().st_mtime - TMP_DEAD_S
            for tmp in self._dir.glob("*.tmp"):
                if tmp.stat().st_mtime < dead_before_s:
                    tmp.unlink()


def _fsync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
