"""Reads a request's body: the statement into memory, an INSERT's data into a private file, piece by piece.

In: the body's pieces as they arrive. Out: `Received`. Never: holds more than a piece and the statement in memory,
leaves a file behind.

The engine inserts FROM INFILE because its streaming insert loses rows it acknowledges (see `engine`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.clickhouse_http.errors import NOT_ENOUGH_SPACE, QUERY_TOO_LARGE, ClickHouseError
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.statement import Insert, find_insert

_FIRST_LOOK_BYTES = 4096  # most statements end here; the look is repeated whenever the text has doubled
_NAME_BYTES = 16  # 128 random bits: the name cannot be guessed


class Spool:
    """A private directory for the data of running inserts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Makes the directory and removes what a killed server left in it."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._directory.chmod(0o700)
        for leftover in self._directory.iterdir():
            leftover.unlink()

    def file(self) -> SpoolFile:
        """A file that is made when something is written to it."""
        return SpoolFile(self._directory / secrets.token_hex(_NAME_BYTES))


class SpoolFile:
    """One private file. Leaving the `with` block removes it, however the block ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> SpoolFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Appends `data`; an empty write makes the file."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise ClickHouseError(
                NOT_ENOUGH_SPACE,
                f"The data of the insert cannot be put aside: {error.strerror}; make room and retry",
            ) from None


@dataclass(slots=True)
class Received:
    """A body that has been read: the statement, and where an INSERT's data lies, if it is one with data."""

    sql: bytes
    insert: Insert | None
    data: Path


class Receiver:
    """Takes pieces of one body. Its methods block (they write a file): call them off the event loop."""

    def __init__(self, query: bytes, sink: SpoolFile, limits: Limits) -> None:
        # ClickHouse's rule: the parameter, a line break, the body.
        self._text = query + b"\n" if query else b""
        self._sink = sink
        self._limits = limits
        self._insert: Insert | None = None
        self._look_at_bytes = len(self._text) + _FIRST_LOOK_BYTES
        if query:
            self._look(last=False)

    def take(self, piece: bytes) -> None:
        """The next piece of the plain body."""
        if self._insert is not None:
            self._sink.write(piece)
            return
        self._text += piece
        if len(self._text) >= self._look_at_bytes:
            self._look(last=False)
            self._look_at_bytes = 2 * len(self._text)
        if self._insert is None and len(self._text) > self._limits.query_bytes_max:
            raise ClickHouseError(
                QUERY_TOO_LARGE,
                f"The query is longer than {self._limits.query_bytes_max} bytes; send rows as INSERT ... FORMAT data",
            )

    def end(self) -> Received:
        """The whole body has been taken."""
        if self._insert is None:
            self._look(last=True)
        return Received(self._text, self._insert, self._sink.path)

    def _look(self, *, last: bool) -> None:
        """Looks whether the text so far is an INSERT whose data has begun."""
        found = find_insert(self._text)
        # At the very end of a piece a keyword or a line break may still go on in the next one.
        if found is None or (not last and found.data_start + 1 >= len(self._text)):
            return
        self._insert = found
        self._sink.write(self._text[found.data_start :])
        self._text = self._text[: found.data_start]


async def pieces(source: AsyncIterator[bytes], piece_bytes: int) -> AsyncIterator[bytes]:
    """Joins small network reads to pieces worth a thread's attention."""
    held: list[bytes] = []
    held_bytes = 0
    async for data in source:
        held.append(data)
        held_bytes += len(data)
        if held_bytes >= piece_bytes:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)


def feed(receiver: Receiver, unpack: Callable[[bytes], Iterator[bytes]], piece: bytes) -> None:
    """One piece through the content coding into the receiver."""
    for plain in unpack(piece):
        receiver.take(plain)
