"""Packed bodies and native blocks of the ClickHouse HTTP server: cut, changed, too large, of other packers."""

from __future__ import annotations

import gzip
import zlib

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from infra.local.clickhouse_http.blocks import BlockReader, pack
from infra.local.clickhouse_http.compression import Decompressor, choose, compress
from infra.local.clickhouse_http.errors import ClickHouseError

CODINGS = ("lz4", "zstd", "gzip", "deflate")


def unpack(data: bytes, coding: str, *, bytes_max: int = 1 << 20, step: int = 1 << 20) -> bytes:
    decompressor = Decompressor(coding, bytes_max=bytes_max)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    plain = b"".join(part for piece in pieces for part in decompressor.feed(piece))
    decompressor.finish()
    return plain


@given(
    frames=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    coding=st.sampled_from(CODINGS),
    step=st.integers(1, 64),
)
def test_frames_in_a_row_cut_anywhere_come_back(frames: list[bytes], coding: str, step: int) -> None:
    packed = b"".join(compress(frame, coding) for frame in frames)
    assert unpack(packed, coding, step=step) == b"".join(frames)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_decompression_bomb_stops_at_the_bound(coding: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        unpack(compress(bytes(50_000_000), coding), coding, bytes_max=1_000_000)
    assert (caught.value.code, caught.value.status) == (307, 413)


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_and_cut_bodies_are_refused(coding: str) -> None:
    packed = compress(b"some rows" * 100, coding)
    for broken in (packed[:-5], b"no frame at all"):
        with pytest.raises(ClickHouseError) as caught:
            unpack(broken, coding)
        assert caught.value.code == 271


def test_bodies_of_other_packers_are_read() -> None:
    data = b"x" * 100_000
    assert unpack(gzip.compress(data), "gzip") == data
    assert unpack(zlib.compress(data), "deflate") == data
    assert unpack(zstandard.compress(data), "zstd", step=7) == data
    assert unpack(lz4.frame.compress(data), "LZ4") == data


def read_blocks(data: bytes, step: int = 1 << 20) -> bytes:
    reader = BlockReader(bytes_max=1 << 20)
    plain = b"".join(part for i in range(0, len(data), step) for part in reader.feed(data[i : i + step]))
    reader.finish()
    return plain


@given(data=st.binary(max_size=3000), cuts=st.integers(1, 700))
def test_native_blocks_cut_anywhere_come_back(data: bytes, cuts: int) -> None:
    assert read_blocks(pack(data), cuts) == data


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_changed_byte_of_a_native_block_is_noticed(at: int, flip: int) -> None:
    packed = bytearray(pack(b"some rows" * 200))
    packed[at % len(packed)] ^= flip
    with pytest.raises(ClickHouseError) as caught:
        read_blocks(bytes(packed))
    assert caught.value.code in {40, 271, 307}


def test_native_blocks_above_the_bound_are_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        list(BlockReader(bytes_max=1_000_000).feed(pack(bytes(5_000_000))))
    assert caught.value.code == 307


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        Decompressor("rot13", bytes_max=1)
    assert caught.value.code == 89


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate", "gzip"),
        ("lz4,zstd,gzip,deflate", "lz4"),
        ("ZSTD;q=0.5, gzip", "zstd"),
        ("lz4;q=0, gzip", "gzip"),
        ("br", ""),
        ("", ""),
    ],
)
def test_the_fastest_accepted_coding_is_chosen(accepted: str, chosen: str) -> None:
    assert choose(accepted) == chosen
