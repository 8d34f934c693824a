"""Half-space trees on a swarm's scaled features beside the combination of scores, at equal false alarms.

In: scripted swarms, and a real host of ../shared/data when it is there. Out: a table on the screen. Never: a figure
that is saved: it decides what docs/adr/0019 says and belongs to no release.

    python -m benchmarks.trees [--runs 40] [--data ../shared/data]

All look at the same closed windows. A threshold is taken for each from quiet runs, so that ALARMS_QUIET of their
windows lie above it; then each fault is found or not within WITHIN windows. The third method, the scorer of a series on
the swarm's mean of each metric, tells what is due to the trees and what to the means they are given.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from river import anomaly as river_anomaly
from river import stats

from models.anomaly import WindowPoint, new_scorer
from models.anomaly.combination import joint_rarity, rarity_of

T0: Final = 1_700_000_000_000
AGENTS, METRICS = 8, 3
WINDOWS, FAULT_FROM, JUDGED_FROM, WITHIN = 500, 400, 300, 15
ALARMS_QUIET: Final = 0.002
TREES, HEIGHT, MEMORY = 25, 8, 250  # River's example values; the window is half of what it learns from here
Floats = npt.NDArray[np.float64]  # windows x agents x metrics
Method = Callable[[Floats], list[float]]


def quiet(source: np.random.Generator) -> Floats:
    """Agents with levels of their own, a common load that comes and goes, and noise of each."""
    level = source.lognormal(3.0, 0.4, (1, AGENTS, METRICS))
    load = np.zeros(WINDOWS)
    for i in range(1, WINDOWS):
        load[i] = 0.9 * load[i - 1] + source.normal(0.0, 0.05)
    noise = source.normal(0.0, 0.15, (WINDOWS, AGENTS, METRICS))
    made: Floats = level * np.exp(noise + load[:, None, None])
    return made


def _slow_three(values: Floats, _: np.random.Generator) -> None:
    values[FAULT_FROM:, :3, 0] *= 2.5


def _slow_all_a_little(values: Floats, _: np.random.Generator) -> None:
    values[FAULT_FROM:, :, 0] *= 1.6


def _two_metrics_of_two(values: Floats, _: np.random.Generator) -> None:
    values[FAULT_FROM:, :2, :2] *= 2.0


def _against_each_other(values: Floats, _: np.random.Generator) -> None:
    """Each metric stays within what it was; they no longer rise and fall together."""
    values[FAULT_FROM:, :, 0] *= 1.25
    values[FAULT_FROM:, :, 1] /= 1.25


def _restless(values: Floats, source: np.random.Generator) -> None:
    values[FAULT_FROM:, :, 0] *= np.exp(source.normal(0.0, 0.5, (WINDOWS - FAULT_FROM, AGENTS)))


def _stuck(values: Floats, _: np.random.Generator) -> None:
    values[FAULT_FROM:] = values[FAULT_FROM - 1]


FAULTS: Final[dict[str, Callable[[Floats, np.random.Generator], None]]] = {
    "three agents 2.5 times slower": _slow_three,
    "all agents 1.6 times slower": _slow_all_a_little,
    "two metrics of two agents doubled": _two_metrics_of_two,
    "two metrics of all, 1.25 up and down": _against_each_other,
    "one metric of all restless": _restless,
    "nothing changes any more": _stuck,
}


def combination(values: Floats) -> list[float]:
    """The joint rarity of the strongest agents, each with its strongest series, as the fold computes it."""
    windows, agents, metrics = values.shape
    scorers = [[new_scorer("m", mode="lean") for _ in range(metrics)] for _ in range(agents)]
    found = []
    for i in range(windows):
        own = []
        for agent in range(agents):
            scores = [scorers[agent][m].step(_point(i, values[i, agent, m])).score for m in range(metrics)]
            spoken = [score for score in scores if score is not None]
            if spoken:
                own.append(max(0.0, 1.0 - (1.0 - max(spoken)) * len(spoken)))
        own.sort(reverse=True)
        if len(own) > 1:
            own[0] = own[1]
        found.append(joint_rarity([rarity_of(score) for score in own]) if own else 0.0)
    return found


def means(values: Floats) -> list[float]:
    """The scores of the swarm's mean of each metric, joined."""
    scorers = [new_scorer("m", mode="lean") for _ in range(values.shape[2])]
    found = []
    for i, row in enumerate(np.exp(np.log(values).mean(axis=1)).tolist()):
        scores = [scorer.step(_point(i, mean)).score for scorer, mean in zip(scorers, row, strict=True)]
        found.append(joint_rarity([rarity_of(score) for score in scores if score is not None] or [0.0]))
    return found


def trees(values: Floats) -> list[float]:
    """River's half-space trees on the mean and the spread of each metric over the agents, in running deviations."""
    model = river_anomaly.HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=MEMORY, seed=1)
    scales = [stats.Var() for _ in range(2 * values.shape[2])]
    found = []
    for row in np.log(values):
        features = [*row.mean(axis=0).tolist(), *(row.std(axis=0) if len(row) > 1 else row[0]).tolist()]
        x = {i: _place(scale, feature) for i, (scale, feature) in enumerate(zip(scales, features, strict=True))}
        found.append(model.score_one(x))  # type: ignore[no-untyped-call]  # River types its trees only in part
        model.learn_one(x)  # type: ignore[no-untyped-call]
    return found


def _place(scale: stats.Var, value: float) -> float:
    """Where a value lies in 0..1: the normal law's share below it, learned before it."""
    spread = math.sqrt(scale.get()) if scale.n > 1 else 0.0
    away = (value - scale.mean.get()) / spread if spread else 0.0
    scale.update(value)
    return 0.5 * math.erfc(-away / math.sqrt(2.0))


def _point(number: int, mean: float) -> WindowPoint:
    return WindowPoint(T0 + number * 10_000, 10_000, 10, 10.0, mean, mean, mean, 0.0, mean)


METHODS: Final[dict[str, Method]] = {"combination": combination, "half-space trees": trees, "means": means}


def scripted(runs: int) -> Iterator[str]:
    """One line a fault: the share of runs in which each method, and either, finds it."""
    calm = [quiet(np.random.default_rng(1_000 + seed)) for seed in range(runs)]
    bars = {}
    for name, method in METHODS.items():
        began_s = time.process_time()
        scores = [score for values in calm for score in method(values)[JUDGED_FROM:]]
        bars[name] = float(np.quantile(scores, 1.0 - ALARMS_QUIET))
        cost_us = (time.process_time() - began_s) / runs / WINDOWS * 1e6
        yield f"{name}: bar {bars[name]:.4f}, {cost_us:.0f} us a swarm's window of {AGENTS * METRICS} series"
    for fault, do in FAULTS.items():
        hits: list[list[bool]] = []
        for seed in range(runs):
            source = np.random.default_rng(seed)
            values = quiet(source)
            do(values, source)
            hits.append([max(m(values)[FAULT_FROM : FAULT_FROM + WITHIN]) > bars[n] for n, m in METHODS.items()])
        shares = np.mean(hits, axis=0)
        trees_alone = np.mean([tree and not either for joined, tree, mean in hits for either in [joined or mean]])
        told = ", ".join(f"{name} {share:.0%}" for name, share in zip(METHODS, shares, strict=True))
        yield f"{fault}: {told}; by the trees alone {trees_alone:.0%}"


def real_host(data: Path) -> Iterator[str]:
    """Where in 13 hours of a real host each method has its highest scores; the incident is 10:14 to 10:27 UTC."""
    file = data / "claude_flow" / "system-metrics.canopy-compiler.json"
    if not file.exists():
        yield f"{file} is not there: no real host"
        return
    samples = json.loads(file.read_text())
    values = np.array([[[s["memoryUsagePercent"], max(s["cpuLoad"], 1e-3)]] for s in samples])
    minutes = [s["timestamp"] / 60_000 % 1_440 for s in samples]
    # One agent is no swarm: its metrics are given as agents of one, so that the combination joins them.
    for name, scores in (
        ("combination", combination(values.transpose(0, 2, 1))),
        ("half-space trees", trees(values)),
        ("means", means(values)),
    ):
        order = np.argsort(scores)[::-1]
        inside = [614 <= minutes[i] < 627 for i in order]
        yield f"real host, {name}: best place of a window of the incident {inside.index(True) + 1} of {len(scores)}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.trees")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args(arguments)
    for line in (*scripted(given.runs), *real_host(given.data)):
        print(line)


if __name__ == "__main__":
    main()
