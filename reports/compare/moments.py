"""The moments of one side in every draw, and the studentised difference of two sides.

In: values of a side, weighted sums of its design. Out: theta and its spread, one number for each draw.
Never: a loop over draws or units; a sum that other sides have a part in, but for the product of a pair.

theta is sum(sign * log mean) on the log scale (a ratio of means), sum(sign * mean) on the linear one. Its variance
comes from the covariances of the columns by the delta method, so the correlation of paired columns counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from reports.compare.resample import FloatArray, Weights

Scale = Literal["log", "linear"]
Number = FloatArray | float

SPREAD_MIN: Final = 1e-12  # relative; below it the units differ by rounding only


@dataclass(frozen=True, slots=True)
class Side:
    """The values of one side, standardised by its own mean and spread so that no digits cancel.

    `z` is (units, columns); one column for a mean, two for a rate such as cost / success.
    """

    name: str
    z: FloatArray
    offset: FloatArray
    size: FloatArray
    design: FloatArray  # its sums are the number of units and every first and second moment
    total: Sums
    square: FloatArray  # mean of each z * z

    @classmethod
    def of(cls, name: str, values: FloatArray) -> Side:
        """`values` are (units, columns), at least one unit."""
        offset, spread = values.mean(axis=0), values.std(axis=0)
        size = np.where(spread > 0, spread, 1.0)
        z = (values - offset) / size
        products = [z[:, i] * z[:, j] for i, j in _column_pairs(z.shape[1])]
        design = np.column_stack([np.ones(len(z)), z, *products])
        return cls(name, z, offset, size, design, Sums.of(design.sum(axis=0), z.shape[1]), (z**2).mean(axis=0))

    @property
    def columns(self) -> int:
        """How many means the side has."""
        return len(self.offset)


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums of a design around `offset`, in units of `size`; of each draw, or of all units once."""

    count: Number
    first: tuple[Number, ...]
    second: tuple[Number, ...]  # columns (0, 0), (0, 1), .., (1, 1), ..

    @classmethod
    def of(cls, rows: Weights | FloatArray, columns: int) -> Sums:
        """`rows` are the sums of a design's columns, in its order."""
        wide = np.asarray(rows, dtype=np.float64)
        return cls(wide[0], tuple(wide[1 : 1 + columns]), tuple(wide[1 + columns :]))

    def __add__(self, other: Sums) -> Sums:
        first = tuple(x + y for x, y in zip(self.first, other.first, strict=True))
        second = tuple(x + y for x, y in zip(self.second, other.second, strict=True))
        return Sums(self.count + other.count, first, second)

    def __sub__(self, other: Sums) -> Sums:
        first = tuple(x - y for x, y in zip(self.first, other.first, strict=True))
        second = tuple(x - y for x, y in zip(self.second, other.second, strict=True))
        return Sums(self.count - other.count, first, second)

    def around(self, side: Side, offset: FloatArray, size: FloatArray) -> Sums:
        """The same sums as if the values had been shifted and scaled like another side's."""
        shift, factor = (side.offset - offset) / size, side.size / size
        k = len(shift)
        first = tuple(shift[i] * self.count + factor[i] * self.first[i] for i in range(k))
        second = []
        for (i, j), product in zip(_column_pairs(k), self.second, strict=True):
            mixed = shift[i] * factor[j] * self.first[j]
            mixed = mixed + (mixed if i == j else shift[j] * factor[i] * self.first[i])
            second.append(shift[i] * shift[j] * self.count + mixed + factor[i] * factor[j] * product)
        return Sums(self.count, first, tuple(second))


@dataclass(frozen=True, slots=True)
class Moments:
    """One side in each draw. `usable` is False where a mean is not positive and the log does not exist."""

    count: Number
    shift: tuple[Number, ...]  # mean of each standardised column
    slope: tuple[Number, ...]  # of theta in each standardised column
    theta: FloatArray
    spread: FloatArray  # variance of theta for a single unit
    usable: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, sums: Sums, *, offset: FloatArray, size: FloatArray, signs: tuple[int, ...], scale: Scale) -> Moments:
        """`sums` are of (x - offset) / size; the numbers come back on the scale of x."""
        units = np.maximum(sums.count, 1.0)
        shift = tuple(first / units for first in sums.first)
        terms: list[Number] = []
        spread: Number = 0.0
        usable = np.ones(np.shape(shift[0]), dtype=np.bool_)  # shape (): all units once
        slope: list[Number] = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for i, sign in enumerate(signs):
                mean = offset[i] + shift[i] * size[i]
                if scale == "log":
                    usable &= mean > 0
                    terms.append(np.log(mean) if sign == 1 else sign * np.log(mean))
                    slope.append(sign * size[i] / mean)
                else:
                    terms.append(mean if sign == 1 else sign * mean)
                    slope.append(sign * size[i])
            for (i, j), product in zip(_column_pairs(len(signs)), sums.second, strict=True):
                covariance = product / units - shift[i] * shift[j]
                covariance *= slope[i] * slope[j]
                if i != j:
                    covariance *= 2.0
                spread = covariance if (i, j) == (0, 0) else spread + covariance
        theta = np.asarray(sum(terms[1:], terms[0]))
        return cls(sums.count, shift, tuple(slope), theta, np.maximum(spread, 0.0), usable)

    def reordered(self, order: npt.NDArray[np.intp]) -> Moments:
        """The same draws in another order; only what unpaired sides are compared by."""
        return Moments(np.asarray(self.count)[order], (), (), self.theta[order], self.spread[order], self.usable[order])


@dataclass(frozen=True, slots=True)
class Difference:
    """theta of a minus theta of b in each draw."""

    theta: FloatArray
    variance: FloatArray
    apart: FloatArray  # the variance if the sides hung together in nothing: the scale of what cancelled
    usable: npt.NDArray[np.bool_]

    @classmethod
    def paired(cls, a: Moments, b: Moments, cross: Mapping[tuple[int, int], Number]) -> Difference:
        """`cross` holds the sums of products of a's column i and b's column j."""
        units = np.maximum(a.count, 1.0)
        with np.errstate(invalid="ignore"):  # inf - inf: neither is usable
            apart = a.spread + b.spread
            variance = np.array(apart)
            for (i, j), product in cross.items():
                covariance = product / units - a.shift[i] * b.shift[j]
                covariance *= a.slope[i] * b.slope[j]
                variance -= 2.0 * covariance
            below = np.maximum(units - 1.0, 1.0)
            np.maximum(variance, 0.0, out=variance)
            return cls(a.theta - b.theta, variance / below, apart / below, a.usable & b.usable)

    @classmethod
    def unpaired(cls, a: Moments, b: Moments) -> Difference:
        """Of two independent sides."""
        with np.errstate(invalid="ignore"):  # inf - inf: neither is usable
            variance = a.spread / np.maximum(a.count - 1.0, 1.0) + b.spread / np.maximum(b.count - 1.0, 1.0)
            return cls(a.theta - b.theta, variance, variance, a.usable & b.usable)

    def studentised(self, null: float, *, noise: float, rounding: float) -> FloatArray:
        """(theta - null) / its standard error, for the usable draws.

        A standard error below `noise`, or a variance below `rounding` of what cancelled in it, is rounding: the draw
        has no spread and lies infinitely far, or on the null.
        """
        keep = self.usable & np.isfinite(self.theta) & np.isfinite(self.variance)
        theta, variance, apart = self.theta, self.variance, self.apart
        if not keep.all():
            theta, variance, apart = theta[keep], variance[keep], apart[keep]
        distance: FloatArray = theta - null
        flat = variance <= np.maximum(rounding * apart, noise * noise)
        if not flat.any():
            return distance / np.sqrt(variance)
        far = np.where(np.abs(distance) <= noise, 0.0, np.copysign(np.inf, distance))
        result: FloatArray = np.where(flat, far, distance / np.sqrt(np.where(flat, 1.0, variance)))
        return result


def _column_pairs(k: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(k) for j in range(i, k)]
