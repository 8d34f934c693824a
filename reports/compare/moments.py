"""Means, their covariances, and what follows for a signed sum of (log) means, for many resamples at once.

In: weighted sums of a design matrix. Out: theta and its variance, one for each row of sums.
Never: a loop over draws or units.

theta is sum(sign * log mean) on the log scale (a ratio of means), sum(sign * mean) on the linear one. Its variance
comes from the covariances of the columns by the delta method, so the correlation of paired columns counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reports.compare.resample import FloatArray

Scale = Literal["log", "linear"]


def design_of(x: FloatArray) -> FloatArray:
    """(units, columns) -> (units, 1 + columns + pairs of columns): its sums hold every first and second moment."""
    k = x.shape[1]
    products = [x[:, i] * x[:, j] for i in range(k) for j in range(i, k)]
    return np.column_stack([np.ones(len(x)), x, *products])


@dataclass(frozen=True, slots=True)
class Moments:
    """One row for each resample. `usable` is False where a mean is not positive and the log does not exist."""

    theta: FloatArray
    variance: FloatArray
    usable: npt.NDArray[np.bool_]

    @classmethod
    def from_sums(
        cls, sums: FloatArray, *, offset: FloatArray, size: FloatArray, signs: FloatArray, scale: Scale
    ) -> Moments:
        """`sums` are of design_of((x - offset) / size); the numbers come back on the scale of x."""
        k = len(signs)
        units = np.maximum(sums[:, 0], 1.0)
        shift = sums[:, 1 : k + 1] / units[:, None]
        means = offset + shift * size
        usable = np.ones(len(sums), dtype=np.bool_)
        if scale == "log":
            usable &= (means > 0).all(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = signs / means if scale == "log" else np.broadcast_to(signs, means.shape)
            theta = (np.log(means) if scale == "log" else means) @ signs
            spread = np.zeros(len(sums))
            column = k + 1
            for i in range(k):
                for j in range(i, k):
                    covariance = sums[:, column] / units - shift[:, i] * shift[:, j]
                    twice = 1.0 if i == j else 2.0
                    spread += twice * slopes[:, i] * slopes[:, j] * covariance * size[i] * size[j]
                    column += 1
            variance = np.maximum(spread, 0.0) / np.maximum(units - 1, 1.0)
        return cls(theta, variance, usable)

    def __add__(self, other: Moments) -> Moments:
        """Of two independent groups."""
        with np.errstate(invalid="ignore"):  # inf - inf: neither is usable
            theta, variance = self.theta + other.theta, self.variance + other.variance
        return Moments(theta, variance, self.usable & other.usable)

    def studentised(self, null: float, *, noise: float) -> FloatArray:
        """(theta - null) / its standard error, for the usable rows.

        A standard error below `noise` is rounding: the row has no spread and lies infinitely far, or on the null.
        """
        keep = self.usable & np.isfinite(self.theta) & np.isfinite(self.variance)
        distance, error = self.theta[keep] - null, np.sqrt(self.variance[keep])
        flat = error <= noise
        far = np.where(np.abs(distance) <= noise, 0.0, np.copysign(np.inf, distance))
        result: FloatArray = np.where(flat, far, distance / np.where(flat, 1.0, error))
        return result
