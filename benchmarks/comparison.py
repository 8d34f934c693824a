"""Does a comparison keep its promises, and what does it cost: false findings, coverage, seconds.

    make bench BENCH=comparison        python -m benchmarks.comparison [--simulations N] [--write]

Simulated sides with nothing between them, of the shapes that agent data have: a test may find a difference in at most
5 % of them, and a 95 % interval should hold the true ratio of 1 in 93 to 97 %. Where fewer than 98 % of the draws had
a mean above zero no interval is given; those are counted beside and are no coverage. Before that, the time of one
comparison, of all pairs of 10 sides in 8 measures, and of all pairs of 43 sides from rows to verdicts.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.results import Table, publish, spread, verdict
from reports.compare.engine import ComparisonInput, compare_swarms
from reports.compare.ratio import Sides, compare_means, estimate_all
from reports.compare.resample import DRAWS, FloatArray
from reports.queries.port import TaskRow

SEED = 7
SIMULATIONS = 1_000  # a share of 5 % then has a standard error of 0.7 percentage points
SIMULATED_DRAWS = 999  # of each: its own noise is small beside that of 1,000 simulations
SIZES = (10, 20, 50, 200)
FALSE_MAX = 0.05
COVERED = (0.93, 0.97)
COMPARED, MEASURES, TASKS = 10, 8, 1_000
SECONDS_MAX = 1.0
CONFIGURATIONS, CONFIGURATION_TASKS = 43, 500  # 903 pairs
ENGINE_SECONDS_MAX = 10.0
REPEATS = 5  # of what is timed

SHAPES: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "lognormal, sigma 1": lambda rng, n: rng.lognormal(0, 1.0, n),
    "lognormal, sigma 1.5": lambda rng, n: rng.lognormal(0, 1.5, n),
    "40 % zeros": lambda rng, n: rng.lognormal(0, 1.0, n) * (rng.random(n) < 0.6),
    "Pareto, alpha 2.5": lambda rng, n: rng.pareto(2.5, n) + 1,
    "normal": lambda rng, n: rng.normal(10, 2, n),
}


class Simulated(NamedTuple):
    """Shares of all simulations; `covered` of the intervals that were given."""

    shape: str
    units: int
    paired: bool
    false: float
    covered: float
    without_interval: float


class Timed(NamedTuple):
    """Wall and CPU seconds of the same call, several times."""

    what: str
    wall_s: list[float]
    cpu_s: list[float]
    budget_s: float


def simulate(shape: str, units: int, simulations: int, *, paired: bool) -> Simulated:
    """Sides that do not differ; paired ones share tasks of varying difficulty."""
    rng = np.random.default_rng((SEED, units, paired))
    false = covered = given = 0
    for _ in range(simulations):
        task = rng.lognormal(0, 0.7, units) if paired else np.ones(units)
        a, b = (task * SHAPES[shape](rng, units) for _ in range(2))
        estimate = compare_means(Sides(a[:, None], b[:, None], paired), scale="log", draws=SIMULATED_DRAWS)
        false += estimate.p_value is not None and estimate.p_value <= FALSE_MAX
        if estimate.low is not None and estimate.high is not None:
            given += 1
            covered += estimate.low <= 1 <= estimate.high
    return Simulated(
        shape, units, paired, false / simulations, covered / max(given, 1), (simulations - given) / simulations
    )


def timings() -> list[Timed]:
    """The two sizes that the budgets are about, after a first call that loads everything."""
    rng = np.random.default_rng(SEED)
    tasks = rng.lognormal(size=(10_000, 2))
    one = Sides(tasks[:, :1], tasks[:, 1:], True)
    problems = []
    for measure in range(MEASURES):
        rate = measure == MEASURES - 1
        sides = [rng.lognormal(size=(TASKS, 2 if rate else 1)) for _ in range(COMPARED)]
        problems += [
            (Sides(sides[a], sides[b], True, (1, -1) if rate else (1,), (str(a), str(b))), "log")
            for a, b in combinations(range(COMPARED), 2)
        ]
    names, rows = _configurations(rng)
    compare_means(one, scale="log", draws=10)
    return [
        _timed("one comparison of 10,000 tasks", lambda: compare_means(one, scale="log")),
        _timed(f"{len(problems)} comparisons of {TASKS:,} tasks", lambda: estimate_all(problems)),  # type: ignore[arg-type]
        _timed(
            f"rows to verdicts, {math.comb(len(names), 2)} pairs of {CONFIGURATION_TASKS} tasks, 3 measures",
            lambda: compare_swarms(names, rows),
            budget_s=ENGINE_SECONDS_MAX,
        ),
    ]


def _configurations(rng: np.random.Generator) -> tuple[list[str], ComparisonInput]:
    """Success and cost of many configurations on the same tasks of varying difficulty."""
    names = [f"configuration {number}" for number in range(CONFIGURATIONS)]
    difficulty = rng.lognormal(0, 0.7, CONFIGURATION_TASKS)
    tasks = [
        TaskRow(
            *(name, f"task {i}", True, 1, 1, int(rng.random() < 0.7), 1, None),
            *(float(hard * rng.lognormal(0, 0.5) * (1 + number / 40)), None, None, None, None),
            *(("measured",), ("estimated",)),
        )
        for number, name in enumerate(names)
        for i, hard in enumerate(difficulty)
    ]
    return names, ComparisonInput(tasks, (), (), {})


def _timed(what: str, work: Callable[[], object], *, budget_s: float = SECONDS_MAX) -> Timed:
    timed = Timed(what, [], [], budget_s)
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        timed.wall_s.append(time.perf_counter() - wall)
        timed.cpu_s.append(time.process_time() - cpu)
    return timed


def _calibration(found: list[Simulated]) -> Table:
    rows = [
        [
            one.shape,
            "paired" if one.paired else "unpaired",
            f"{one.units}",
            f"{100 * one.false:.1f}",
            f"{100 * one.covered:.1f}",
            f"{100 * one.without_interval:.1f}",
        ]
        for one in found
    ]
    false = [one.false for one in found]
    covered = [one.covered for one in found]
    inside = sum(COVERED[0] <= share <= COVERED[1] for share in covered)
    note = (
        f"False findings {100 * min(false):.1f} to {100 * max(false):.1f} %, {100 * np.mean(false):.1f} % over all; "
        f"coverage {100 * min(covered):.1f} to {100 * max(covered):.1f} %, between 93 and 97 % in {inside} of "
        f"{len(covered)} rows."
    )
    head = ["data, both sides alike", "", "units", "false findings, %", "coverage of 95 %, %", "no interval, %"]
    return Table("Error rates of a comparison", head, rows, note)


def _costs(found: list[Timed]) -> Table:
    rows = [
        [
            one.what,
            spread(one.wall_s, ".2f"),
            spread(one.cpu_s, ".2f"),
            verdict(statistics.median(one.wall_s), one.budget_s, at_least=False),
        ]
        for one in found
    ]
    title = f"Interval and test, {DRAWS:,} draws each where the sample needs draws"
    return Table(title, ["", "s", "CPU s", "budget"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="of each row; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")
    arguments = parser.parse_args()
    facts = machine.facts()
    costs = timings()
    found = [
        simulate(shape, units, arguments.simulations, paired=paired)
        for shape in SHAPES
        for units in SIZES
        for paired in (True, False)
    ]
    publish(
        "comparison",
        machine=facts,
        stated={"seed": SEED, "simulations": arguments.simulations, "draws of a simulation": SIMULATED_DRAWS},
        runs=[*costs, *found],
        tables=[_costs(costs), _calibration(found)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
