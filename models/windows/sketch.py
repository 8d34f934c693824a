"""The percentile sketch: counts in logarithmic buckets, mergeable by adding counts.

In: values and weights. Out: (key, count) pairs, quantiles. Never: a relative error above RELATIVE_ERROR_MAX.

A bucket holds the values between two powers of GAMMA, as in DDSketch (Masson, Rim, Lee, VLDB 2019). The bucket is
read from the bits of the double (exponent, and the ten highest bits of the mantissa through a table), so that every
machine finds the same bucket: a logarithm may differ in its last bit between processors.

Keys ascend with the values: negative numbers have negative keys, 0 has key 0. Counts are weights in units of
1 / SKETCH_UNITS: integers add up to the same total in any order, floats would not.
The views compute the same quantiles in SQL with these constants; a contract test ties the two.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

BUCKETS_PER_OCTAVE: Final = 44
GAMMA: Final = 2.0 ** (1 / BUCKETS_PER_OCTAVE)
KEY_OFFSET: Final = 50_000  # > 1,024 octaves * 44, so that the key of a positive number is positive
KEY_BITS: Final = 17  # |key| < 131,072: room for both signs in SlotSketches' codes
SKETCH_UNITS: Final = 1_024  # a weight of 1 is 1,024 units: sampling weights are kept to 0.05 %
RELATIVE_ERROR_MAX: Final = 0.01  # the promise; half a bucket is 0.79 %, the table's rounding adds up to 0.05 %
# Below the smallest normal double a value counts as 0: the exponent bits no longer tell its magnitude.
SMALLEST: Final = float(np.finfo(np.float64).tiny)

_CELL_BITS: Final = 10
_CELLS: Final = 1 << _CELL_BITS
_MIDPOINTS = 1.0 + (np.arange(_CELLS) + 0.5) / _CELLS
_BOUNDS = 2.0 ** (np.arange(1, BUCKETS_PER_OCTAVE) / BUCKETS_PER_OCTAVE)
# Mantissa cell -> bucket within the octave. No midpoint lies within a rounding error of a bound (tested).
_BUCKET_OF_CELL: Final[npt.NDArray[np.int32]] = np.searchsorted(_BOUNDS, _MIDPOINTS, side="right").astype(np.int32)
_HALF_BUCKET: Final = 2.0 * GAMMA / (GAMMA + 1.0)  # lower bound -> value with equal relative error to both bounds


def keys_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """The bucket key of each finite value."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    exponent = ((bits >> 52) & 0x7FF).astype(np.int32)
    cell = ((bits >> (52 - _CELL_BITS)) & (_CELLS - 1)).astype(np.int32)
    keys = (exponent - 1023) * BUCKETS_PER_OCTAVE + _BUCKET_OF_CELL[cell] + KEY_OFFSET
    keys = np.where(bits < 0, -keys, keys)
    return np.where(exponent == 0, 0, keys).astype(np.int32)


def units_of(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Weights in sketch units, at least one unit each: no event vanishes from a percentile."""
    return np.maximum(np.rint(weights * SKETCH_UNITS), 1.0).astype(np.int64)


def value_of(key: int) -> float:
    """The representative of a bucket: within RELATIVE_ERROR_MAX of every value in it."""
    if key == 0:
        return 0.0
    index = abs(key) - KEY_OFFSET
    octave, step = divmod(index, BUCKETS_PER_OCTAVE)
    # Split as 2**octave * 2**fraction: the product of two exact factors does not overflow before the end.
    magnitude = float(min(2.0**octave * (2.0 ** (step / BUCKETS_PER_OCTAVE) * _HALF_BUCKET), np.finfo(np.float64).max))
    return magnitude if key > 0 else -magnitude


def quantile(keys: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], q: float, *, low: float, high: float) -> float:
    """The nearest-rank quantile `q` (0..1) of a sketch with ascending keys, clamped to [low, high] (min and max).

    Nearest rank: the smallest value whose cumulative count reaches q times the total.
    Raises ValueError for an empty sketch: the percentile of nothing is not a number.
    """
    if len(keys) == 0:
        raise ValueError("an empty sketch has no quantile")
    cumulative = np.cumsum(counts)
    position = int(np.searchsorted(cumulative, q * float(cumulative[-1]), side="left"))
    return min(max(value_of(int(keys[min(position, len(keys) - 1)])), low), high)


def values_of(keys: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """`value_of` each key."""
    octave, step = np.divmod(np.abs(keys) - KEY_OFFSET, BUCKETS_PER_OCTAVE)
    with np.errstate(over="ignore", invalid="ignore"):  # the last bucket reaches beyond the largest double
        magnitudes = np.ldexp(2.0 ** (step / BUCKETS_PER_OCTAVE) * _HALF_BUCKET, octave)
    return np.where(keys == 0, 0.0, np.sign(keys) * np.minimum(magnitudes, np.finfo(np.float64).max))


def quantiles(
    offsets: npt.NDArray[np.int64],
    keys: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
    q: float,
    *,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """`quantile` of many sketches at once; the i-th is keys[offsets[i]:offsets[i + 1]] and must not be empty."""
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    before, after = cumulative[offsets[:-1]], cumulative[offsets[1:]]
    # Ranks are integers: the first count at or above q * total is the first at or above its ceiling.
    ranks = before + np.ceil(q * (after - before)).astype(np.int64)
    positions = np.searchsorted(cumulative[1:], np.maximum(ranks, before + 1), side="left")
    return np.clip(values_of(keys[positions]), low, high)
