"""What endless resampling of a large sample would give: the tails of the studentised difference, without a draw.

In: a case. Out: `Tail`, that of its bootstrap or of its permutation. Never: randomness; a decision when to use it.

T = (theta* - theta) / its standard error is a polynomial of third degree in means over units, up to terms of order
n^-3/2 (Taylor series of logarithm and root). Its first four cumulants follow from the moments of the units, and bend
the normal tail (Edgeworth's expansion, turned round as Cornish and Fisher do): what is left out is of order n^-2.
Hall, The Bootstrap and Edgeworth Expansion (1992), chapters 2 and 3, has both steps for a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from reports.compare.cases import Case
from reports.compare.moments import Scale, Side
from reports.compare.resample import FloatArray


@dataclass(frozen=True, slots=True)
class Tail:
    """Cumulants of T: its mean, its variance less 1, the third and the fourth."""

    mean: float
    variance_over: float
    third: float
    fourth: float

    def stretch(self, z: float) -> float:
        """|T| exceeds z * (1 + stretch) as often as |a normal number| exceeds z, up to order n^-2."""
        square = z * z
        return (
            (self.variance_over + self.mean**2) / 2
            + (self.fourth + 4 * self.mean * self.third) * (square - 3) / 24
            + self.third**2 * (square**2 - 10 * square + 15) / 72
        )


@dataclass(frozen=True, slots=True)
class _Group:
    """Columns of the units that enter one variance: both sides of pairs, or one side alone.

    `relative` is (units, columns): values less their mean, divided by it on the log scale. `exchanged`: the same
    with the sides of each pair exchanged, where that is what a draw may do.
    """

    relative: FloatArray
    signs: FloatArray
    units: int  # of the group in a draw
    exchanged: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class _Law:
    """Cumulants of a unit's weight: second, third, fourth; and what the fourth loses, as weights have a fixed sum."""

    second: float = 1.0
    third: float = 1.0
    fourth: float = 1.0
    lost: float = 3.0  # divided by the number of units


def bootstrap_tail(case: Case) -> Tail:
    """Units drawn with replacement: pairs together, unpaired sides each on their own."""
    signs = np.array(case.signs, dtype=np.float64)
    a, b = (_relative(_values(side), case.scale) for side in (case.a, case.b))
    if case.paired:
        return _tail([_Group(np.hstack([a, b]), np.concatenate([signs, -signs]), len(a))], _Law(), case.scale)
    return _tail([_Group(a, signs, len(a)), _Group(b, -signs, len(b))], _Law(), case.scale)


def permutation_tail(case: Case) -> Tail:
    """The sides exchanged at random: within each pair, or all labels shuffled."""
    signs = np.array(case.signs, dtype=np.float64)
    a, b = _values(case.a), _values(case.b)
    both = _relative(np.concatenate([a, b]), case.scale)
    if case.paired:
        left, right = both[: len(a)], both[len(a) :]
        group = _Group(
            np.hstack([left, right]), np.concatenate([signs, -signs]), len(a), exchanged=np.hstack([right, left])
        )
        return _tail([group], _Law(1.0, 0.0, -2.0, 0.0), case.scale)
    total = len(both)
    p = len(a) / total
    spread = p * (1 - p)
    law = _Law(
        spread * total / (total - 1),
        spread * (1 - 2 * p),
        spread * (1 - 6 * spread),
        3 * spread * (1 - 4 * spread),
    )
    return _tail([_Group(both, signs, len(a)), _Group(both, -signs, len(b))], law, case.scale, shared=True)


def relative_differences(case: Case) -> tuple[FloatArray, ...]:
    """What each unit adds to theta, up to a constant: a pair once, the units of unpaired sides side by side."""
    signs = np.array(case.signs, dtype=np.float64)
    a, b = (_relative(_values(side), case.scale) @ signs for side in (case.a, case.b))
    return (a - b,) if case.paired else (a, b)


def _values(side: Side) -> FloatArray:
    values: FloatArray = side.offset + side.size * side.z
    return values


def _relative(values: FloatArray, scale: Scale) -> FloatArray:
    mean = values.mean(axis=0)
    relative: FloatArray = values / mean - 1.0 if scale == "log" else values - mean
    return relative


def _tail(groups: Sequence[_Group], law: _Law, scale: Scale, *, shared: bool = False) -> Tail:
    """`shared`: the units of all groups are the same, and what one group has more of the other has less."""
    k = sum(group.relative.shape[1] for group in groups)
    variance = sum(float(np.mean((g.relative @ g.signs) ** 2)) / (g.units - 1) for g in groups)
    features, b = [], np.zeros((2 * k + 1, 2 * k + 1))
    start = 0
    for group in groups:
        own = slice(start, start + group.relative.shape[1])
        rows, products = _features(group, own, k, scale, 1.0 / (variance * (group.units - 1)))
        features.append(rows / group.units)
        b += products
        start = own.stop
    if shared:
        features = [features[0] - features[1]]
    g = np.zeros(2 * k + 1)
    g[:k] = np.concatenate([group.signs for group in groups]) / np.sqrt(variance)
    quadratic, cubic = _polynomial(g, b, k, scale)
    return _cumulants(features, law, g, quadratic, cubic)


def _features(group: _Group, own: slice, k: int, scale: Scale, share: float) -> tuple[FloatArray, FloatArray]:
    """What T is a polynomial in, a column each: k relative columns, the variance's linear part, k products with u.

    And the quadratic part of the variance, a matrix over the same columns. Both relative to the variance of T.
    """
    e, signs = group.relative, group.signs
    states = [e] if group.exchanged is None else [e, group.exchanged]
    w = _mean([(s * (s @ signs)[:, None]).mean(axis=0) for s in states])
    rows = []
    for state in states:
        u = state @ signs
        row = np.zeros((len(u), 2 * k + 1))
        row[:, own] = state
        row[:, k] = u * u
        if scale == "log":
            row[:, k] -= 2.0 * (state @ (signs * w))
            row[:, own.start + k + 1 : own.stop + k + 1] = state * u[:, None]
        row[:, k] *= share
        rows.append(row)
    products = np.zeros((2 * k + 1, 2 * k + 1))
    outer = np.outer(signs, signs)
    products[own, own] = -outer
    if scale == "log":
        together = _mean([s.T @ s / len(s) for s in states])
        products[own, own] += outer * together + np.diag(2.0 * signs * w)
        for c in range(own.start, own.stop):
            products[c, c + k + 1] = products[c + k + 1, c] = -signs[c - own.start]
    features = rows[0] - rows[0].mean(axis=0) if len(rows) == 1 else (rows[0] - rows[1]) / 2.0
    return features, share * products


def _polynomial(g: FloatArray, b: FloatArray, k: int, scale: Scale) -> tuple[FloatArray, FloatArray]:
    """Second and third degree of T: numerator (L + Q + C) times 1 - A/2 - B/2 + 3 A^2 / 8, the root of its variance."""
    quadratic = np.zeros_like(b)
    quadratic[k, :] -= g / 4
    quadratic[:, k] -= g / 4
    at_a = np.zeros_like(g)
    at_a[k] = 1.0
    cubic = g[:, None, None] * (0.375 * np.outer(at_a, at_a) - b / 2)
    if scale == "log":
        each = np.arange(k)
        quadratic[each, each] -= g[:k] / 2
        cubic[each, each, each] += g[:k] / 3
        cubic[each, each, k] += g[:k] / 4
    return quadratic, _mean([cubic.transpose(order) for order in permutations(range(3))])


def _mean(parts: Sequence[FloatArray]) -> FloatArray:
    """Of a few small arrays: numpy's own takes longer to stack them than to add them."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    mean: FloatArray = total / len(parts)
    return mean


def _cumulants(features: Sequence[FloatArray], law: _Law, g: FloatArray, a: FloatArray, c: FloatArray) -> Tail:
    """Of g f + a f f + c f f f, where f are sums over units of (weight - 1) * feature."""
    size = len(g)
    second, third_ff, third_f = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size)
    third = fourth = 0.0
    for rows in features:
        line = rows @ g
        square = line * line
        second += law.second * (rows.T @ rows)
        third_ff += law.third * (rows.T @ (rows * line[:, None]))
        third_f += law.third * (square @ rows)
        third += law.third * float(square @ line)
        fourth += law.fourth * float(square @ square) - law.lost * float(square.sum()) ** 2 / len(rows)
    h = second @ g
    ah = a @ h
    return Tail(
        mean=float((a * second).sum()),
        variance_over=float(
            g @ h
            - 1.0
            + 2.0 * (a * third_ff).sum()
            + 2.0 * ((a @ second) * (a @ second).T).sum()
            + 6.0 * np.einsum("ijk,ij,k->", c, second, h)
        ),
        third=float(third + 6.0 * h @ ah),
        fourth=float(
            fourth + 24.0 * ah @ third_f + 48.0 * ah @ second @ ah + 24.0 * np.einsum("ijk,i,j,k->", c, h, h, h)
        ),
    )
