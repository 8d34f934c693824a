"""Brings a request's body in: plain, compressed, or multipart with external tables.

In: an aiohttp request. Out: the statement, an INSERT's data in a file, external tables in files.
Never: unpacks or writes on the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from infra.local.clickhouse_http.blocks import BlockReader
from infra.local.clickhouse_http.body import Received, Receiver, Spool, SpoolFile, feed, pieces
from infra.local.clickhouse_http.compression import Decompressor
from infra.local.clickhouse_http.errors import BAD_ARGUMENTS, BODY_TOO_LARGE, ClickHouseError
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.plan import Tables
from infra.local.clickhouse_http.request import Wish, with_fields

Call = Callable[[Callable[[], Any]], Awaitable[Any]]

_PIECE_BYTES = 256 * 1024  # enough work for one trip to a thread
_INLINE_BYTES = 64 * 1024  # cheaper to copy than to hand to a thread


async def receive(
    request: web.Request, wish: Wish, spool: Spool, limits: Limits, stack: AsyncExitStack, call: Call
) -> tuple[Wish, Received, Tables]:
    """Reads the whole body. Files live until `stack` is left."""
    if (request.content_length or 0) > limits.request_bytes_max:
        raise ClickHouseError(
            BODY_TOO_LARGE,
            f"The body is larger than {limits.request_bytes_max} bytes; send the rows in several inserts",
        )
    if request.content_type == "multipart/form-data":
        return await _multipart(request, wish, spool, limits, stack, call)
    receiver = Receiver(wish.query.encode(), stack.enter_context(spool.file()), limits)
    coding = request.headers.get("Content-Encoding", "")
    unpacker = _Unpacker(coding, blocks=wish.native_decompress, bytes_max=limits.request_bytes_max)
    async for piece in pieces(request.content.iter_any(), _PIECE_BYTES):
        if unpacker.plain and len(piece) <= _INLINE_BYTES:
            feed(receiver, unpacker.feed, piece)
        else:
            await call(partial(feed, receiver, unpacker.feed, piece))
    unpacker.finish()
    return wish, receiver.end(), {}


async def _multipart(
    request: web.Request, wish: Wish, spool: Spool, limits: Limits, stack: AsyncExitStack, call: Call
) -> tuple[Wish, Received, Tables]:
    fields: dict[str, str] = {}
    files: dict[str, Path] = {}
    counter = Decompressor("", bytes_max=limits.request_bytes_max)
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ClickHouseError(BAD_ARGUMENTS, "A part of the multipart body has no name")
        if part.filename is None:
            text = b"".join(counter.feed(await part.read(decode=True)))
            fields[part.name] = text.decode("utf-8", "replace")
            continue
        sink = stack.enter_context(spool.file())
        sink.write(b"")
        files[part.name] = sink.path
        while piece := await part.read_chunk(_PIECE_BYTES):
            await call(partial(_store, sink, counter, piece))
    wish = with_fields(wish, fields)
    receiver = Receiver(wish.query.encode(), stack.enter_context(spool.file()), limits)
    return wish, receiver.end(), {name: _table(name, wish.external, path) for name, path in files.items()}


class _Unpacker:
    """The HTTP coding outside, ClickHouse's own blocks inside, each where the client says so."""

    def __init__(self, coding: str, *, blocks: bool, bytes_max: int) -> None:
        self._outer = Decompressor(coding, bytes_max=bytes_max)
        self._inner = BlockReader(bytes_max=bytes_max) if blocks else None
        self.plain = self._outer.plain and not blocks

    def feed(self, data: bytes) -> Iterator[bytes]:
        for part in self._outer.feed(data):
            if self._inner is None:
                yield part
            else:
                yield from self._inner.feed(part)

    def finish(self) -> None:
        self._outer.finish()
        if self._inner is not None:
            self._inner.finish()


def _store(sink: SpoolFile, counter: Decompressor, piece: bytes) -> None:
    for plain in counter.feed(piece):
        sink.write(plain)


def _table(name: str, external: Mapping[str, str], path: Path) -> tuple[str, str, Path]:
    structure = external.get(f"{name}_structure", "")
    if not structure and (types := external.get(f"{name}_types", "")):
        structure = ", ".join(f"_{number} {kind.strip()}" for number, kind in enumerate(types.split(","), 1))
    if not structure:
        raise ClickHouseError(
            BAD_ARGUMENTS, f"External table {name[:100]}: neither {name[:100]}_structure nor _types is given"
        )
    return structure, external.get(f"{name}_format", "TabSeparated"), path
