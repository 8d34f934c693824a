"""Snapshots of partition states in a directory: written whole or not at all, checked when read.

In: a state's bytes and where they belong. Out: the newest valid snapshot. Never: reads a pickle; mistakes a snapshot
of another log, fold version or configuration for its own.

    <dir>/<fold version>/<topic>-<partition>/<log id>/<next offset, 20 digits>.snap

A file is MAGIC, the length of the header, the header (JSON), zlib-compressed state, and a CRC-32 over all of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

MAGIC: Final = b"MURMSNAP"
FORMAT: Final = 1  # of the file, not of the state in it
COMPRESSION_LEVEL: Final = (
    1  # zlib: 57 ms for 10 MB of window state, 12 % of its size; level 6 gains 2 points for 4x the time
)
TMP_DEAD_S: Final = 60.0  # a temporary file this much older than a new snapshot has no writer: a save takes seconds
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state and what it is the state of."""

    header: SnapshotHeader
    state: bytes


class DirectorySnapshots:
    """The snapshots of one partition of one log under one fold version. `config` must match what is stored."""

    def __init__(self, directory: Path, header: SnapshotHeader, *, kept: int) -> None:
        self._dir = directory / str(header.fold_version) / f"{header.topic}-{header.partition}" / header.log_id
        self._header = header
        self._kept = kept
        self.corrupt = 0  # files found unreadable; they are left in place for a look

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

    def newest(self) -> Snapshot | None:
        """The valid snapshot with the highest offset, or None.

        Raises SnapshotError when a valid one was written under another configuration: its state must not be
        continued, and silently starting over would mix two kinds of results.
        """
        for path in sorted(self._dir.glob("*.snap"), reverse=True):
            try:
                snapshot = decode(path.read_bytes())
            except FileNotFoundError:
                continue  # pruned by another worker
            except (ValueError, OSError):
                self.corrupt += 1
                continue
            self._check(path, snapshot.header)
            return snapshot
        return None

    def any(self) -> bool:
        """Whether there is any snapshot file of this log, valid or not."""
        return next(self._dir.glob("*.snap"), None) is not None

    def _check(self, path: Path, header: SnapshotHeader) -> None:
        if header.config != self._header.config:
            raise SnapshotError(
                f"{path}: written under other settings (configuration {header.config}, now {self._header.config}): "
                "windows, lateness, skew, memory bounds, anomaly threshold or prices have changed, and results of two "
                "configurations must not mix. Restore the settings, or set MURMUR_FOLD_VERSION to "
                f"{header.fold_version + 1} to recompute from the log beside the old results."
            )
        same = (header.log_id, header.topic, header.partition, header.fold_version)
        mine = (self._header.log_id, self._header.topic, self._header.partition, self._header.fold_version)
        if same != mine:
            raise SnapshotError(f"{path}: belongs to {same}, not to {mine}; move it back to its own folder")

    def _path(self, next_offset: int) -> Path:
        return self._dir / f"{next_offset:020d}.snap"

    def _prune(self) -> None:
        for old in sorted(self._dir.glob("*.snap"))[: -self._kept]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _remove_leftovers(self, saved: Path) -> None:
        """Temporary files of workers that were killed while they wrote."""
        with contextlib.suppress(OSError):  # another worker removes them too
            # Both times are the file system's: no clock of ours, whatever host shares the directory.
            dead_before_s = saved.stat().st_mtime - TMP_DEAD_S
            for tmp in self._dir.glob("*.tmp"):
                if tmp.stat().st_mtime < dead_before_s:
                    tmp.unlink()


def encode(header: SnapshotHeader, state: bytes) -> bytes:
    """The bytes of a snapshot file."""
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


def _fsync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
