"""Does the closed form of a large sample say what draws say: both on the same samples, where it stands for them.

    make bench BENCH=closed        python -m benchmarks.closed [--simulations N] [--draws N] [--units N ...] [--write]

Simulated sides of one true mean. Each sample is compared as the product does (in closed form where the sample allows)
and with draws in any case: false findings, coverage, and of the samples in closed form how far the two half-widths and
p-values are apart. Draws have noise of their own: it is in the note, and no closed form can come nearer than that.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.comparison import FALSE_MAX, SHAPES
from benchmarks.results import Table, publish
from reports.compare.ratio import Estimate, Sides, compare_means
from reports.compare.resample import FloatArray
from reports.compare.success import Z_95

SEED = 7
SIMULATIONS = 600
DRAWS = 2_000
UNITS = (600, 2_000)
MEANS = {"lognormal, sigma 1.5": math.exp(1.125), "normal": 10.0}
PAIRS = (*((shape, shape) for shape in SHAPES), ("lognormal, sigma 1.5", "normal"))


class Held(NamedTuple):
    """Shares of all simulations; the last three of those in closed form, of which there may be none."""

    a: str
    b: str
    units: int
    paired: bool
    closed: float
    false_drawn: float
    false_now: float
    covered_drawn: float
    covered_now: float
    disagreed: float  # p on the other side of 0.05
    width_ratio: float | None  # closed / drawn, mean
    width_spread: float | None  # standard deviation of it
    p_apart: float | None  # mean of |difference of the p-values|


def simulate(a: str, b: str, units: int, simulations: int, draws: int, *, paired: bool) -> Held:
    """Sides of one true mean; paired ones share tasks of varying difficulty."""
    rng = np.random.default_rng((SEED, units, paired))
    pairs = []
    for number in range(simulations):
        task = rng.lognormal(0, 0.7, units) if paired else np.ones(units)
        sides = Sides(*(_column(task, shape, rng, units, of_one=a == b) for shape in (a, b)), paired)
        drawn = compare_means(sides, scale="log", draws=draws, seed=number, always_draw=True)
        pairs.append((drawn, compare_means(sides, scale="log", draws=draws, seed=number)))
    closed = [(drawn, now) for drawn, now in pairs if not now.drawn]
    widths = [_width(now) / _width(drawn) for drawn, now in closed]
    apart = [abs((now.p_value or 0.0) - (drawn.p_value or 0.0)) for drawn, now in closed]
    return Held(
        *(a, b, units, paired, len(closed) / simulations),
        *(float(np.mean([_false(pair[way]) for pair in pairs])) for way in (0, 1)),
        *(float(np.mean([_covers(pair[way]) for pair in pairs])) for way in (0, 1)),
        float(np.mean([_false(drawn) != _false(now) for drawn, now in pairs])),
        float(np.mean(widths)) if widths else None,
        float(np.std(widths)) if widths else None,
        float(np.mean(apart)) if apart else None,
    )


def _column(task: FloatArray, shape: str, rng: np.random.Generator, units: int, *, of_one: bool) -> FloatArray:
    values = task * SHAPES[shape](rng, units) / (1.0 if of_one else MEANS[shape])
    return values[:, None]


def _false(estimate: Estimate) -> bool:
    return estimate.p_value is not None and estimate.p_value <= FALSE_MAX


def _covers(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= 1 <= estimate.high


def _width(estimate: Estimate) -> float:
    return math.log((estimate.high or math.nan) / (estimate.low or math.nan))


def width_noise(draws: int) -> float:
    """Standard error of a half-width from so many draws, relative: of the 95 % quantile of |a normal number|."""
    density = 2 * math.exp(-Z_95 * Z_95 / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(0.05 * 0.95 / draws) / density / Z_95


def table(found: list[Held], draws: int) -> Table:
    """A line for each pair of shapes, size and design."""
    rows = [
        [
            one.a if one.a == one.b else f"{one.a} against {one.b}",
            "paired" if one.paired else "unpaired",
            f"{one.units:,}",
            f"{100 * one.closed:.0f}",
            f"{100 * one.false_drawn:.1f}, {100 * one.false_now:.1f}",
            f"{100 * one.covered_drawn:.1f}, {100 * one.covered_now:.1f}",
            f"{100 * one.disagreed:.1f}",
            "" if one.width_ratio is None else f"{one.width_ratio:.3f} ({one.width_spread:.3f})",
            "" if one.p_apart is None else f"{one.p_apart:.4f}",
        ]
        for one in found
    ]
    whole = [float(np.mean([one[place] for one in found])) for place in range(5, 9)]
    note = (
        f"Over all: false findings {100 * whole[0]:.2f} % with draws, {100 * whole[1]:.2f} % now; coverage "
        f"{100 * whole[2]:.2f} % with draws, {100 * whole[3]:.2f} % now. A half-width of {draws:,} draws has a "
        f"standard error of {100 * width_noise(draws):.1f} %."
    )
    head = ["data", "", "units", "closed, %", "false findings, %: drawn, now", "coverage, %: drawn, now"]
    return Table(
        "Large samples: always drawn, and in closed form where the sample allows it",
        [*head, "p across 0.05, %", "half-width, closed / drawn", "p apart"],
        rows,
        note,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="of each row; default: %(default)s")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of each simulation; default: %(default)s")
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, help="a side; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")
    arguments = parser.parse_args()
    facts = machine.facts()
    found = [
        simulate(a, b, units, arguments.simulations, arguments.draws, paired=paired)
        for units in arguments.units
        for a, b in PAIRS
        for paired in (True, False)
    ]
    publish(
        "closed",
        machine=facts,
        stated={"seed": SEED, "simulations": arguments.simulations, "draws of a simulation": arguments.draws},
        runs=found,
        tables=[table(found, arguments.draws)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
