"""Bootstrap resamples and permutations as rows of weights: every statistic of every draw is one matrix product.

In: n, the number of draws, a seed. Out: chunks of weights, shape (draws, n).
Never: unseeded randomness, a loop over draws, more than CHUNK_WEIGHTS numbers in memory.

Up to EXACT_UNITS_MAX units a bootstrap row is the classical multinomial resample. Above it a row is a Poisson(1)
resample read from random bytes through a table: with thousands of units the two agree far below the interval's
own Monte-Carlo error, and 10,000 draws of 10,000 units then cost a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Weights = npt.NDArray[np.floating[Any]]

DRAWS: Final = 10_000  # Monte-Carlo error of a 2.5 % tail is then 0.16 percentage points
SEED: Final = 20_261_120  # any constant: the same rows must give the same report
EXACT_UNITS_MAX: Final = 2_000  # above it a multinomial row costs more than it is worth
CHUNK_WEIGHTS: Final = 4_000_000  # 32 MB of float64 at a time; smaller products are slower
CACHED_WEIGHTS_MAX: Final = 20_000_000  # 20 MB as bytes: 10,000 draws of 2,000 units, shared by all pairs
WIDE_WEIGHTS_MAX: Final = 6_000_000  # up to here they are kept as floats, 48 MB: nothing is widened again

# Poisson(1) in 256ths for the counts 0..5; mean exactly 1 and variance exactly 1 (a test recounts it).
POISSON_BYTES: Final = (94, 94, 49, 13, 5, 1)


def poisson_table() -> Weights:
    """Byte -> count, for all 256 bytes."""
    return np.repeat(np.arange(len(POISSON_BYTES), dtype=np.float32), POISSON_BYTES)


def weight_chunks(n: int, *, draws: int = DRAWS, seed: int = SEED) -> Iterator[Weights]:
    """Bootstrap: how often each of n units is in each draw."""
    make = _multinomial if n <= EXACT_UNITS_MAX else _poisson
    return _chunks(make, n, n, draws=draws, seed=seed)


def swap_chunks(n: int, *, draws: int = DRAWS, seed: int = SEED) -> Iterator[Weights]:
    """Paired permutation: 1 where the sides of a pair are exchanged."""
    return _chunks(_coins, n, n, draws=draws, seed=seed)


def label_chunks(n_a: int, n_b: int, *, draws: int = DRAWS, seed: int = SEED) -> Iterator[Weights]:
    """Unpaired permutation: 1 for the n_a units that are called a.

    Beyond EXACT_UNITS_MAX each unit draws its own label, so the sizes vary by chance; given the sizes it is the
    same shuffle, and the statistic is divided by its own standard error.
    """
    total = n_a + n_b
    return _chunks(_shuffle if total <= EXACT_UNITS_MAX else _lots, total, n_a, draws=draws, seed=seed)


Maker = Callable[[np.random.Generator, int, int, int], Weights]


def _chunks(make: Maker, n: int, part: int, *, draws: int, seed: int) -> Iterator[Weights]:
    if n < 1 or draws < 1:
        raise ValueError(f"a resample needs at least one unit and one draw, got n={n} draws={draws}")
    if n * draws <= CACHED_WEIGHTS_MAX:
        precision = _precision(n)
        yield from (chunk.astype(precision, copy=False) for chunk in _cached(make, n, part, draws, seed))
        return
    yield from _generate(make, n, part, draws, seed)


@lru_cache(maxsize=8)
def _cached(make: Maker, n: int, part: int, draws: int, seed: int) -> tuple[npt.NDArray[Any], ...]:
    """Large ones as bytes: they are small counts, and to widen them is several times faster than to make them."""
    chunks = _generate(make, n, part, draws, seed)
    kept = tuple(chunk if n * draws <= WIDE_WEIGHTS_MAX else chunk.astype(np.uint8) for chunk in chunks)
    for chunk in kept:
        chunk.flags.writeable = False
    return kept


def _generate(make: Maker, n: int, part: int, draws: int, seed: int) -> Iterator[Weights]:
    rng = np.random.default_rng((seed, n, part))
    rows_max = max(1, CHUNK_WEIGHTS // n)
    for start in range(0, draws, rows_max):
        yield make(rng, min(rows_max, draws - start), n, part)


def _multinomial(rng: np.random.Generator, rows: int, n: int, _: int) -> Weights:
    picks = rng.integers(0, n, size=(rows, n), dtype=np.uint16).astype(np.int64)
    picks += (np.arange(rows) * n)[:, None]
    return np.bincount(picks.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _precision(n: int) -> type[np.floating[Any]]:
    """Weights are small whole numbers: single precision holds them, halves the work, and the sums of columns of
    unit size over 10,000 units still have six digits."""
    return np.float64 if n <= EXACT_UNITS_MAX else np.float32


def _poisson(rng: np.random.Generator, rows: int, n: int, _: int) -> Weights:
    noise = np.frombuffer(rng.bytes(rows * n), dtype=np.uint8)
    return np.take(poisson_table(), noise).reshape(rows, n)


def _coins(rng: np.random.Generator, rows: int, n: int, _: int) -> Weights:
    bits = np.unpackbits(np.frombuffer(rng.bytes(rows * n // 8 + 1), dtype=np.uint8))
    return bits[: rows * n].reshape(rows, n).astype(_precision(n))


def _shuffle(rng: np.random.Generator, rows: int, n: int, part: int) -> Weights:
    labels = np.zeros((rows, n))
    labels[:, :part] = 1.0
    shuffled: Weights = rng.permuted(labels, axis=1)
    return shuffled


def _lots(rng: np.random.Generator, rows: int, n: int, part: int) -> Weights:
    noise = np.frombuffer(rng.bytes(2 * rows * n), dtype=np.uint16)
    return (noise < round(65_536 * part / n)).reshape(rows, n).astype(np.float32)
