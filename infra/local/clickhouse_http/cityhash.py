"""CityHash128, version 1.0.2: the checksum of ClickHouse's compressed blocks.

In: bytes. Out: 16 bytes, low half first. Never: a later CityHash, whose values differ.
Plain Python does about 20 MB/s, which is enough for the few clients that ask for native compression.
"""

from __future__ import annotations

import struct

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F
_K3 = 0xC949D7C7509E6557
_MUL = 0x9DDFEA08EB382D69
_BLOCK = struct.Struct("<8Q")
_PAIR = struct.Struct("<2Q")
_BLOCK_BYTES = 64


def cityhash128(data: bytes) -> bytes:
    """The checksum as it stands in front of a block."""
    size = len(data)
    if size >= 16:
        low, high = _seeded(data[16:], _u64(data, 0) ^ _K3, _u64(data, 8))
    elif size >= 8:
        low, high = _seeded(b"", _u64(data, 0) ^ (size * _K0 & _MASK), _u64(data, size - 8) ^ _K1)
    else:
        low, high = _seeded(data, _K0, _K1)
    return _PAIR.pack(low, high)


def _seeded(data: bytes, low: int, high: int) -> tuple[int, int]:
    size = len(data)
    if size < 2 * _BLOCK_BYTES:
        return _murmur(data, low, high)
    x, y, z = low, high, size * _K1 & _MASK
    v0 = (_rotate(y ^ _K1, 49) * _K1 + _u64(data, 0)) & _MASK
    v1 = (_rotate(v0, 42) * _K1 + _u64(data, 8)) & _MASK
    w0 = (_rotate((y + z) & _MASK, 35) * _K1 + x) & _MASK
    w1 = _rotate((x + _u64(data, 88)) & _MASK, 53) * _K1 & _MASK
    whole = size // (2 * _BLOCK_BYTES) * 2 * _BLOCK_BYTES  # two blocks a round
    for a0, a1, a2, a3, a4, a5, a6, a7 in _BLOCK.iter_unpack(memoryview(data)[:whole]):
        x = _rotate((x + y + v0 + a2) & _MASK, 37) * _K1 & _MASK
        y = _rotate((y + v1 + a6) & _MASK, 42) * _K1 & _MASK
        x ^= w1
        y ^= v0
        z = _rotate(z ^ w0, 33)
        v0, v1 = _weak(a0, a1, a2, a3, v1 * _K1 & _MASK, (x + w0) & _MASK)
        w0, w1 = _weak(a4, a5, a6, a7, (z + w1) & _MASK, y)
        z, x = x, z
    y = (y + _rotate(w0, 37) * _K0 + z) & _MASK
    x = (x + _rotate((v0 + z) & _MASK, 49) * _K0) & _MASK
    left = size - whole
    done = 0
    while done < left:
        done += 32
        start = size - done
        y = (_rotate((y - x) & _MASK, 42) * _K0 + v1) & _MASK
        w0 = (w0 + _u64(data, start + 16)) & _MASK
        x = (_rotate(x, 49) * _K0 + w0) & _MASK
        w0 = (w0 + v0) & _MASK
        b0, b1, b2, b3 = struct.unpack_from("<4Q", data, start)
        v0, v1 = _weak(b0, b1, b2, b3, v0, v1)
    x = _mix(x, v0)
    y = _mix(y, w0)
    return (_mix((x + v1) & _MASK, w1) + y) & _MASK, _mix((x + w1) & _MASK, (y + v1) & _MASK)


def _murmur(data: bytes, low: int, high: int) -> tuple[int, int]:
    a, b, size = low, high, len(data)
    if size <= 16:
        a = _shift(a * _K1 & _MASK) * _K1 & _MASK
        c = (b * _K1 + _short(data)) & _MASK
        d = _shift((a + (_u64(data, 0) if size >= 8 else c)) & _MASK)
    else:
        c = _mix((_u64(data, size - 8) + _K1) & _MASK, a)
        d = _mix((b + size) & _MASK, (c + _u64(data, size - 16)) & _MASK)
        a = (a + d) & _MASK
        for start in range(0, size - 16, 16):
            first, second = _PAIR.unpack_from(data, start)
            a = (a ^ _shift(first * _K1 & _MASK) * _K1 & _MASK) * _K1 & _MASK
            b ^= a
            c = (c ^ _shift(second * _K1 & _MASK) * _K1 & _MASK) * _K1 & _MASK
            d ^= c
    a, b = _mix(a, c), _mix(d, b)
    return a ^ b, _mix(b, a)


def _short(data: bytes) -> int:
    size = len(data)
    if size > 8:
        a, b = _u64(data, 0), _u64(data, size - 8)
        return _mix(a, _rotate((b + size) & _MASK, size)) ^ b
    if size >= 4:
        head, tail = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, size - 4)[0]
        return _mix((size + (head << 3)) & _MASK, tail)
    if size:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[-1] << 2)
        return _shift(y * _K2 & _MASK ^ z * _K3 & _MASK) * _K2 & _MASK
    return _K2


def _weak(w: int, x: int, y: int, z: int, a: int, b: int) -> tuple[int, int]:
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotate(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _mix(u: int, v: int) -> int:
    a = (u ^ v) * _MUL & _MASK
    a ^= a >> 47
    b = (v ^ a) * _MUL & _MASK
    b ^= b >> 47
    return b * _MUL & _MASK


def _rotate(value: int, bits: int) -> int:
    return (value >> bits | value << (64 - bits)) & _MASK


def _shift(value: int) -> int:
    return value ^ value >> 47


def _u64(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 8], "little")
