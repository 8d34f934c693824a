"""HTTP content codings of bodies and answers: gzip, deflate, zstd, lz4 (frames), several frames in a row included.

In: bytes and a coding's name. Out: bytes, never more than the bound. Never: trusts a length a client states.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import lz4.frame
import zstandard

from infra.local.clickhouse_http.errors import (
    BODY_TOO_LARGE,
    CANNOT_DECOMPRESS,
    UNKNOWN_COMPRESSION,
    ClickHouseError,
)

# What a client accepts is answered with the first of these: fastest first, the way is a loopback.
_PREFERRED = ("lz4", "zstd", "gzip", "deflate")
_ZSTD_LEVEL = 1  # the fastest level
_ZLIB_LEVEL = 3  # ClickHouse's http_zlib_compression_level
_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_AUTO_WBITS = 47  # gzip or zlib, told by the header
_BARE_WBITS = -15
_ZSTD_STEP_BYTES = 4096
_STEP_BYTES = 1024 * 1024  # output taken per step, so a bomb is seen before it has been unpacked


def choose(accept_encoding: str) -> str:
    """The coding to answer with, "" for none. Codings with q=0 are refused by the client."""
    accepted: set[str] = set()
    for part in accept_encoding.lower().split(","):
        name, _, quality = part.strip().partition(";")
        if quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            accepted.add(name.strip())
    return next((name for name in _PREFERRED if name in accepted), "")


def compressor(coding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """(feed, finish) of one coded stream."""
    if coding == "lz4":
        frame = lz4.frame.LZ4FrameCompressor()
        opened = [frame.begin()]

        def feed(data: bytes) -> bytes:
            head = opened.pop() if opened else b""
            return head + bytes(frame.compress(data))

        def finish() -> bytes:
            head = opened.pop() if opened else b""
            return head + bytes(frame.flush())

        return feed, finish
    if coding == "zstd":
        stream = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        return stream.compress, stream.flush
    if coding in {"gzip", "deflate"}:
        packer = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP_WBITS if coding == "gzip" else _ZLIB_WBITS)
        return packer.compress, packer.flush
    raise ClickHouseError(UNKNOWN_COMPRESSION, f"Unknown compression method: {coding}")


def compress(data: bytes, coding: str) -> bytes:
    """The whole of `data` in one coded stream."""
    feed, finish = compressor(coding)
    return feed(data) + finish()


class Decompressor:
    """Undoes one coding piece by piece, never giving more than `bytes_max` in total.

    Raises code 89 for an unknown coding, 271 for broken data, 307 above the bound.
    """

    def __init__(self, coding: str, *, bytes_max: int) -> None:
        coding = coding.strip().lower()
        if coding not in {"", "identity"} and coding not in _FRAMES:
            raise ClickHouseError(
                UNKNOWN_COMPRESSION,
                f"Unknown compression method: {coding[:40]}. This server takes gzip, deflate, zstd and lz4",
            )
        self._frame_type = _FRAMES.get(coding)
        self.plain = self._frame_type is None
        self._coding = coding
        self._bytes_max = bytes_max
        self._frame: _Frame | None = None
        self._total = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes that `data` adds, in steps."""
        if self._frame_type is None:
            yield self._counted(data)
            return
        try:
            while data or (self._frame is not None and self._frame.has_more):
                if self._frame is None:
                    self._frame = self._frame_type()
                part, data = self._frame.take(data)
                if part:
                    yield self._counted(part)
                if self._frame.ended:
                    self._frame = None
                elif not part and not data:
                    return
        except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
            raise ClickHouseError(CANNOT_DECOMPRESS, f"Cannot decompress the {self._coding} body: {error}") from None

    def finish(self) -> None:
        """Raises when the data stopped in the middle of a frame."""
        if self._frame is not None:
            raise ClickHouseError(CANNOT_DECOMPRESS, f"The {self._coding} body ends in the middle of a frame")

    def _counted(self, part: bytes) -> bytes:
        self._total += len(part)
        if self._total > self._bytes_max:
            raise ClickHouseError(
                BODY_TOO_LARGE,
                f"The body is larger than {self._bytes_max} bytes; send the rows in several inserts",
            )
        return part


class _Frame(Protocol):
    """One frame of a coding: gives output in steps and says what input is left over."""

    ended: bool
    has_more: bool

    def take(self, data: bytes) -> tuple[bytes, bytes]: ...


class _ZlibFrame:
    def __init__(self) -> None:
        self._inner: Any = None
        self.ended = False
        self.has_more = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        if self._inner is None:  # the header tells zlib from gzip; some clients send bare deflate
            known = data[:1] in {b"\x1f", b"\x78"}
            self._inner = zlib.decompressobj(_AUTO_WBITS if known else _BARE_WBITS)
        out = self._inner.decompress(data, _STEP_BYTES)
        self.ended = self._inner.eof
        return out, self._inner.unused_data if self.ended else self._inner.unconsumed_tail


class _Lz4Frame:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameDecompressor()
        self.ended = False
        self.has_more = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        out = bytes(self._inner.decompress(data, _STEP_BYTES))
        self.ended = bool(self._inner.eof)
        # Input the frame has not used stays inside the decompressor until more output is asked for.
        self.has_more = not self.ended and not self._inner.needs_input
        return out, (self._inner.unused_data or b"") if self.ended else b""


class _ZstdFrame:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()
        self.ended = False
        self.has_more = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        # A block of at most 128 KiB output takes at least 4 bytes of input: small steps bound a bomb.
        step, later = data[:_ZSTD_STEP_BYTES], data[_ZSTD_STEP_BYTES:]
        out = self._inner.decompress(step)
        self.ended = bool(self._inner.eof)
        return out, (self._inner.unused_data + later) if self.ended else later


_FRAMES: dict[str, type[_ZlibFrame] | type[_Lz4Frame] | type[_ZstdFrame]] = {
    "gzip": _ZlibFrame,
    "x-gzip": _ZlibFrame,
    "deflate": _ZlibFrame,
    "lz4": _Lz4Frame,
    "zstd": _ZstdFrame,
}
