"""Bootstrap resamples, swaps and labels as weights: every sum of every draw is one matrix product.

In: designs (units, columns), the number of draws, a seed. Out: weighted sums, one row a column, one column a draw.
Never: unseeded randomness, a loop over draws or units, more than one block of weights in memory.

The weights of a unit depend on its number, the seed and the number of draws, and on nothing else. So sides of any
size, in any order and beside any others get the same resamples, and share one product: a comparison of 45 pairs
draws no more than one of a single pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Weights = npt.NDArray[np.floating[Any]]
Precision = type[np.float32] | type[np.float64]

DRAWS: Final = 10_000  # Monte-Carlo error of a 2.5 % tail is then 0.16 percentage points
SEED: Final = 20_261_120  # any constant: the same rows must give the same report
BLOCK_UNITS: Final = 256  # 20 MB of weights at 10,000 draws; larger blocks leave the processor's cache
COLUMNS_STEP: Final = 16  # of a product; the engine of the products takes another way for a few columns
EXACT_LABELS_MAX: Final = 2_000  # units of both sides; above it a shuffle costs more than it is worth
LABEL_CELLS_MAX: Final = 4_000_000  # 16 MB of keys at a time

# Poisson(1) in 256ths for the counts 0..5; mean exactly 1 and variance exactly 1 (a test recounts it).
POISSON_BYTES: Final = (94, 94, 49, 13, 5, 1)

_BOOTSTRAP, _SWAP, _LABEL, _ORDER = range(4)  # what a stream of random numbers is for

BlockMaker = Callable[[int, int, int, int, Precision], Weights]


def poisson_table() -> FloatArray:
    """Byte -> count, for all 256 bytes."""
    return np.repeat(np.arange(len(POISSON_BYTES), dtype=np.float64), POISSON_BYTES)


def bootstrap_block(number: int, units: int, draws: int, seed: int, precision: Precision) -> Weights:
    """How often each of a block's first units is in each draw: a Poisson(1) resample, read from random bytes."""
    rng = np.random.default_rng((seed, _BOOTSTRAP, number))
    noise = np.frombuffer(rng.bytes(units * draws), dtype=np.uint8).reshape(units, draws)
    weights: Weights = np.take(poisson_table().astype(precision), noise, mode="clip")
    return weights


def swap_block(number: int, units: int, draws: int, seed: int, precision: Precision) -> Weights:
    """Paired permutation: 1 where the sides of a pair are exchanged."""
    rng = np.random.default_rng((seed, _SWAP, number))
    noise = np.frombuffer(rng.bytes(units * -(-draws // 8)), dtype=np.uint8)
    return np.unpackbits(noise.reshape(units, -1), axis=1, count=draws).astype(precision)


@lru_cache(maxsize=128)  # 80 KB each: the sides of a comparison; each of its measures asks again
def order_of_draws(name: str, *, draws: int, seed: int) -> npt.NDArray[np.intp]:
    """A side's own order of the draws: with it two sides resampled by the same weights are independent.

    A draw then pairs row r of one side with row s of the other; one row in `draws` meets itself, by chance.
    """
    words = np.frombuffer(name.encode().ljust(-(-max(len(name.encode()), 1) // 4) * 4, b"\0"), dtype="<u4")
    order = np.random.default_rng((seed, _ORDER, *words.tolist())).permutation(draws)
    order.flags.writeable = False
    return order


def weighted_sums(
    make: BlockMaker, designs: Sequence[FloatArray], *, draws: int, seed: int, precision: Precision
) -> list[Weights]:
    """For each design of n units its sums in every draw, shape (columns, draws)."""
    order = sorted(range(len(designs)), key=lambda i: -len(designs[i]))
    columns = np.cumsum([0, *(designs[i].shape[1] for i in order)])
    sums = np.zeros((columns[-1], draws), dtype=precision)
    units_max = len(designs[order[0]])
    for start in range(0, units_max, BLOCK_UNITS):
        active = sum(len(designs[i]) > start for i in order)
        stacked = np.zeros((_padded(columns[active]), BLOCK_UNITS), dtype=precision)
        for place, i in enumerate(order[:active]):
            part = designs[i][start : start + BLOCK_UNITS]
            stacked[columns[place] : columns[place + 1], : len(part)] = part.T
        # Weights of units that nobody has are not made; the product keeps its shape, and so its last digits.
        units = min(BLOCK_UNITS, units_max - start)
        weights = make(start // BLOCK_UNITS, units, draws, seed, precision)
        if units < BLOCK_UNITS:
            weights = np.concatenate([weights, np.zeros((BLOCK_UNITS - units, draws), dtype=precision)])
        products = stacked @ weights
        sums[: columns[active]] += products[: columns[active]]
    result: list[Weights] = [sums] * len(designs)
    for place, i in enumerate(order):
        result[i] = sums[columns[place] : columns[place + 1]]
    return result


def labelled_sums(design: FloatArray, labels: FloatArray) -> FloatArray:
    """The sums of the units that each row of `labels` calls 1, shape (columns, draws)."""
    stacked = np.zeros((_padded(design.shape[1]), len(design)))
    stacked[: design.shape[1]] = design.T
    sums: FloatArray = (stacked @ labels.T)[: design.shape[1]]
    return sums


def label_chunks(n_a: int, n_b: int, *, draws: int = DRAWS, seed: int = SEED) -> Iterator[FloatArray]:
    """Unpaired permutation, shape (draws, n_a + n_b): 1 for the n_a units that are called a.

    Beyond EXACT_LABELS_MAX each unit draws its own label, so the sizes vary by chance; given the sizes it is the
    same shuffle, and the statistic is divided by its own standard error.
    """
    if min(n_a, n_b, draws) < 1:
        raise ValueError(f"labels need at least one unit a side and one draw, got {n_a}, {n_b} and {draws} draws")
    total = n_a + n_b
    rng = np.random.default_rng((seed, _LABEL, n_a, n_b))
    make = _shuffled if total <= EXACT_LABELS_MAX else _drawn
    rows_max = max(1, LABEL_CELLS_MAX // total)
    for start in range(0, draws, rows_max):
        yield make(rng, min(rows_max, draws - start), n_a, total).astype(np.float64)


def _padded(columns: int) -> int:
    """A product of another shape may be added up in another order, and then ends in another last digit."""
    return -(-columns // COLUMNS_STEP) * COLUMNS_STEP


def _shuffled(rng: np.random.Generator, rows: int, n_a: int, total: int) -> npt.NDArray[np.uint32]:
    """Sorted random keys with the label in their lowest bit: a shuffle, several times faster than shuffling."""
    keys = rng.integers(0, 2**32, size=(rows, total), dtype=np.uint32)
    keys &= np.uint32(0xFFFFFFFE)
    keys[:, :n_a] |= np.uint32(1)
    keys.sort(axis=1)
    return keys & np.uint32(1)


def _drawn(rng: np.random.Generator, rows: int, n_a: int, total: int) -> npt.NDArray[np.bool_]:
    noise = np.frombuffer(rng.bytes(2 * rows * total), dtype=np.uint16)
    return (noise < round(65_536 * n_a / total)).reshape(rows, total)
