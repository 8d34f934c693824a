"""Draws that many comparisons share: each side is resampled once, however many others it is compared with.

In: cases. Out: each case with its difference in every draw, in any order.
Never: more than COLUMNS_MAX sums of all draws in memory; draws that depend on which cases are asked together.

Paired: one resample of the tasks serves every side, and a pair adds only the product of its two columns. Unpaired: a
side's draws stand in an order of their own, so that any two sides are independent. Labels are shuffled for each
pair of sizes, as a shuffle of 20 among 50 is none of 20 among 40.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from reports.compare.cases import Case
from reports.compare.moments import Difference, Moments, Side, Sums
from reports.compare.resample import (
    EXACT_LABELS_MAX,
    FloatArray,
    Weights,
    bootstrap_block,
    label_chunks,
    labelled_sums,
    order_of_draws,
    swap_block,
    weighted_sums,
)

COLUMNS_MAX: Final = 800  # 64 MB of doubles at 10,000 draws: nine measures of ten swarms are one product

Drawn = Iterator[tuple[Case, Difference]]


def bootstrapped(cases: Sequence[Case], *, draws: int, seed: int) -> Drawn:
    """Units resampled with replacement: pairs together, unpaired sides each on their own."""
    for batch in _batches(cases):
        precision = batch[0].precision
        sides = _sides(batch)
        pairs = [case for case in batch if case.paired]
        designs = [*(side.design for side in sides), *(case.cross() for case in pairs)]
        sums = weighted_sums(bootstrap_block, designs, draws=draws, seed=seed, precision=precision)
        of_side = {id(side): rows for side, rows in zip(sides, sums, strict=False)}
        of_pair = {case.number: rows for case, rows in zip(pairs, sums[len(sides) :], strict=True)}
        known: dict[tuple[object, ...], Moments] = {}

        def moments(
            side: Side,
            case: Case,
            of_side: dict[int, Weights] = of_side,
            known: dict[tuple[object, ...], Moments] = known,
        ) -> Moments:
            key = (id(side), case.signs, case.scale, case.paired)
            if key not in known:
                found = Moments.of(
                    Sums.of(of_side[id(side)], side.columns),
                    offset=side.offset,
                    size=side.size,
                    signs=case.signs,
                    scale=case.scale,
                )
                if not case.paired:
                    found = found.reordered(order_of_draws(side.name, draws=draws, seed=seed))
                known[key] = found
            return known[key]

        for case in batch:
            a, b = moments(case.a, case), moments(case.b, case)
            if case.paired:
                k = len(case.signs)
                rows = of_pair[case.number].astype(np.float64, copy=False)
                cross = {(i, j): rows[i * k + j] for i in range(k) for j in range(k)}
                yield case, Difference.paired(a, b, cross)
            else:
                yield case, Difference.unpaired(a, b)


def permuted(cases: Sequence[Case], *, draws: int, seed: int) -> Drawn:
    """The sides exchanged at random: within each pair, or all labels shuffled."""
    yield from _swapped([case for case in cases if case.paired], draws=draws, seed=seed)
    by_sizes: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        if not case.paired:
            first, second = _in_order(case)
            by_sizes.setdefault((len(first.z), len(second.z)), []).append(case)
    for sizes, group in by_sizes.items():
        yield from _relabelled(group, *sizes, draws=draws, seed=seed)


def _swapped(cases: Sequence[Case], *, draws: int, seed: int) -> Drawn:
    for batch in _batches(cases):
        sides = _sides(batch)
        rates = [case for case in batch if len(case.signs) > 1]
        designs = [*(side.design for side in sides), *(_exchange(case) for case in rates)]
        sums = weighted_sums(swap_block, designs, draws=draws, seed=seed, precision=batch[0].precision)
        of_side = {id(s): Sums.of(rows, s.columns) for s, rows in zip(sides, sums, strict=False)}
        of_rate = {case.number: rows for case, rows in zip(rates, sums[len(sides) :], strict=True)}
        for case in batch:
            offset, size = case.common_scale()
            a, b = (side.total.around(side, offset, size) for side in (case.a, case.b))
            moved = of_side[id(case.b)].around(case.b, offset, size) - of_side[id(case.a)].around(case.a, offset, size)
            moments = [
                Moments.of(
                    Sums(float(len(case.a.z)), side.first, side.second),
                    offset=offset,
                    size=size,
                    signs=case.signs,
                    scale=case.scale,
                )
                for side in (a + moved, b - moved)
            ]
            cross = _swapped_cross(case, offset, size, of_rate.get(case.number))
            yield case, Difference.paired(moments[0], moments[1], cross)


def _swapped_cross(
    case: Case, offset: FloatArray, size: FloatArray, exchanged: Weights | None
) -> dict[tuple[int, int], FloatArray | float]:
    """Products of a column of a and one of b: to swap the sides changes them only where the columns differ."""
    a, b = (_rescaled(side, offset, size) for side in (case.a, case.b))
    whole = a.T @ b
    k = len(case.signs)
    cross: dict[tuple[int, int], FloatArray | float] = {(i, i): float(whole[i, i]) for i in range(k)}
    if exchanged is not None:
        moved = exchanged[0].astype(np.float64)
        cross[0, 1], cross[1, 0] = whole[0, 1] + moved, whole[1, 0] - moved
    return cross


def _exchange(case: Case) -> FloatArray:
    """What a swap of a unit adds to the sum of a's first column times b's second, (units, 1)."""
    a, b = (_rescaled(side, *case.common_scale()) for side in (case.a, case.b))
    return (b[:, 0] * a[:, 1] - a[:, 0] * b[:, 1])[:, None]


def _relabelled(cases: Sequence[Case], n_first: int, n_second: int, *, draws: int, seed: int) -> Drawn:
    """`cases` whose sides have these sizes; the side whose name sorts first comes first."""
    for batch in _batches(cases):
        firsts = _unique(_in_order(case)[0] for case in batch)
        seconds = _unique(_in_order(case)[1] for case in batch)
        design_first = np.hstack([side.design for side in firsts])
        design_second = np.hstack([side.design for side in seconds])
        sums_first, sums_second = [], []
        for labels in label_chunks(n_first, n_second, draws=draws, seed=seed):
            sums_first.append(labelled_sums(design_first, labels[:, :n_first]))
            sums_second.append(labelled_sums(design_second, labels[:, n_first:]))
        called_first = _split(np.concatenate(sums_first, axis=1), firsts)
        called_second = _split(np.concatenate(sums_second, axis=1), seconds)
        for case in batch:
            first, second = _in_order(case)
            offset, size = case.common_scale()
            one = called_first[id(first)].around(first, offset, size) + called_second[id(second)].around(
                second, offset, size
            )
            if n_first + n_second <= EXACT_LABELS_MAX:  # every shuffle calls as many units a as there are
                one = replace(one, count=float(n_first))
            both = first.total.around(first, offset, size) + second.total.around(second, offset, size)
            moments = [
                Moments.of(part, offset=offset, size=size, signs=case.signs, scale=case.scale)
                for part in (one, both - one)
            ]
            yield case, Difference.unpaired(moments[0], moments[1])


def _split(rows: FloatArray, sides: Sequence[Side]) -> dict[int, Sums]:
    found, start = {}, 0
    for side in sides:
        width = side.design.shape[1]
        found[id(side)] = Sums.of(rows[start : start + width], side.columns)
        start += width
    return found


def _rescaled(side: Side, offset: FloatArray, size: FloatArray) -> FloatArray:
    shifted: FloatArray = (side.offset - offset) / size + side.size / size * side.z
    return shifted


def _in_order(case: Case) -> tuple[Side, Side]:
    return (case.a, case.b) if case.a.name <= case.b.name else (case.b, case.a)


def _sides(cases: Iterable[Case]) -> list[Side]:
    return _unique(side for case in cases for side in (case.a, case.b))


def _unique(sides: Iterable[Side]) -> list[Side]:
    return list({id(side): side for side in sides}.values())


def _batches(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Cases of one precision whose columns stay below COLUMNS_MAX; at least one."""
    for precision in (np.float64, np.float32):
        batch: list[Case] = []
        seen: set[int] = set()
        columns = 0
        for case in cases:
            if case.precision is not precision:
                continue
            added = _added(case, seen)
            if batch and columns + added > COLUMNS_MAX:
                yield batch
                batch, seen, columns = [], set(), 0
                added = _added(case, seen)
            batch.append(case)
            seen |= {id(case.a), id(case.b)}
            columns += added
        if batch:
            yield batch


def _added(case: Case, seen: set[int]) -> int:
    k = len(case.signs)
    return k * k + sum(int(side.design.shape[1]) for side in (case.a, case.b) if id(side) not in seen)
