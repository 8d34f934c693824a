"""ClickHouse's own compressed blocks (`compress=1`, `decompress=1`): what JDBC and Go clients may ask for.

A block: CityHash128 of the rest (16 bytes), method (1), size with this header of 9 (4), plain size (4), data.
In: plain bytes or blocks. Out: blocks or plain bytes. Never: believes a size or skips a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import lz4.block
import zstandard

from infra.local.clickhouse_http.cityhash import cityhash128
from infra.local.clickhouse_http.errors import (
    BODY_TOO_LARGE,
    CANNOT_DECOMPRESS,
    CHECKSUM,
    ClickHouseError,
)

_HEADER = struct.Struct("<BII")
_CHECKSUM_BYTES = 16
_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02
_BLOCK_BYTES = 1024 * 1024  # plain bytes a block, as ClickHouse's buffers
_BLOCK_BYTES_MAX = 128 * 1024 * 1024  # of one block, packed or plain; ClickHouse writes about 1 MiB


def pack(data: bytes) -> bytes:
    """`data` as LZ4 blocks."""
    parts: list[bytes] = []
    for start in range(0, len(data), _BLOCK_BYTES):
        plain = data[start : start + _BLOCK_BYTES]
        packed = lz4.block.compress(plain, store_size=False)
        block = _HEADER.pack(_LZ4, _HEADER.size + len(packed), len(plain)) + packed
        parts += (cityhash128(block), block)
    return b"".join(parts)


class BlockReader:
    """Takes blocks cut anywhere, gives their plain bytes, never more than `bytes_max` in total."""

    def __init__(self, *, bytes_max: int) -> None:
        self._held = b""
        self._left_bytes = bytes_max

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of the blocks that `data` completes."""
        self._held += data
        position = 0
        while len(self._held) - position >= _CHECKSUM_BYTES + _HEADER.size:
            start = position + _CHECKSUM_BYTES
            method, size, plain_size = _HEADER.unpack_from(self._held, start)
            if not _HEADER.size <= size <= _BLOCK_BYTES_MAX or plain_size > _BLOCK_BYTES_MAX:
                raise ClickHouseError(CANNOT_DECOMPRESS, "A compressed block of the body states an impossible size")
            if len(self._held) < start + size:
                break
            self._left_bytes -= plain_size
            if self._left_bytes < 0:
                raise ClickHouseError(BODY_TOO_LARGE, "The decompressed body is too large; send several inserts")
            block = self._held[start : start + size]
            if cityhash128(block) != self._held[position:start]:
                raise ClickHouseError(CHECKSUM, "Checksum doesn't match: corrupted data in a block of the body")
            yield _unpack(method, block[_HEADER.size :], plain_size)
            position = start + size
        self._held = self._held[position:]

    def finish(self) -> None:
        """Raises when the data stopped in the middle of a block."""
        if self._held:
            raise ClickHouseError(CANNOT_DECOMPRESS, "The body ends in the middle of a compressed block")


def _unpack(method: int, packed: bytes, plain_size: int) -> bytes:
    try:
        if method == _LZ4:
            plain = bytes(lz4.block.decompress(packed, uncompressed_size=plain_size))
        elif method == _ZSTD:
            plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=plain_size)
        elif method == _NONE:
            plain = packed
        else:
            raise ClickHouseError(CANNOT_DECOMPRESS, f"Unknown method 0x{method:02x} of a compressed block")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise ClickHouseError(CANNOT_DECOMPRESS, f"Cannot decompress a block of the body: {error}") from None
    if len(plain) != plain_size:
        raise ClickHouseError(CANNOT_DECOMPRESS, "A compressed block of the body has another size than it states")
    return plain
