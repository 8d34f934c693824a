"""Alarms on generated series that nothing was tuned on, by fault and by kind, beside River's detectors.

    make bench BENCH=unseen        python -m benchmarks.unseen [--split a|b|both] [--seed N] [--kinds]

In: two disjoint sets of kinds (unseen_quiet.py: A, looked at while the scorer was changed; unseen_reserved.py: B, not),
one set of faults. Out: tables. Never: a threshold of ours chosen here; for River's detectors it is, in their favour.

Ours are the alarms of `murmur backtest csv`. A peer gets the threshold with which it raises as many false alarms.
"""

from __future__ import annotations

import argparse
import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks import machine, nab, unseen_quiet, unseen_reserved
from benchmarks.anomaly import Judge, absolute_deviation, gaussian, half_space_trees, holt_winters
from benchmarks.results import Table, publish
from benchmarks.unseen_corpus import Case, corpus
from benchmarks.unseen_faults import FAULTS
from interfaces.backtest.scoring import score

KINDS: Final = {"a": unseen_quiet.KINDS, "b": unseen_reserved.KINDS}
SEEDS: Final = {"a": 1, "b": 2}
REARM_ROWS: Final = 10  # quiet rows that end an event of a peer: one event is one alarm for everybody
THRESHOLDS: Final = 200  # tried a peer
PEERS: Final[dict[str, Callable[[], Judge]]] = {
    "River HalfSpaceTrees": half_space_trees,
    "River GaussianScorer, guarded": gaussian,
    "River StandardAbsoluteDeviation": absolute_deviation,
    "River HoltWinters error, unclipped": holt_winters,
}
OURS: Final = "default"


class Run(NamedTuple):
    """A detector over the corpus: each file's scores and rows with an alarm."""

    scores: list[list[float]]
    alarms: list[list[int]]
    value_us: float  # CPU time a value


class Outcome(NamedTuple):
    """What alarms are worth."""

    delays: dict[str, list[int | None]]  # fault -> rows until the first alarm in it; None: missed
    false_alarms: list[int]  # of each file

    def found(self) -> tuple[int, int]:
        """Faults found, faults."""
        each = [delay for delays in self.delays.values() for delay in delays]
        return sum(delay is not None for delay in each), len(each)


def judged_by_us(cases: list[Case]) -> Run:
    """Each file as `murmur backtest csv` scores it."""
    began = time.process_time()
    results = [score(case.table) for case in cases]
    spent = time.process_time() - began
    scores = [[found.score or 0.0 for found in file] for file in results]
    alarms = [[row for row, found in enumerate(file) if found.alarm] for file in results]
    return Run(scores, alarms, spent / _values(cases) * 1e6)


def judged_by(make: Callable[[], Judge], cases: list[Case], false_alarms_max: int) -> Run:
    """A peer on each metric, the highest score a row; the lowest threshold with at most so many false alarms."""
    began = time.process_time()
    scores = [_highest(make, case) for case in cases]
    spent = time.process_time() - began
    held = sorted(each for file in scores for each in file)
    best: list[list[int]] = [[] for _ in cases]
    for step in range(1, THRESHOLDS):
        threshold = held[-1 - int(len(held) * 0.1 * (step / THRESHOLDS) ** 3)]
        alarms = [_events(file, threshold) for file in scores]
        if sum(outcome(cases, alarms).false_alarms) > false_alarms_max:
            break
        best = alarms
    return Run(scores, best, spent / _values(cases) * 1e6)


def _highest(make: Callable[[], Judge], case: Case) -> list[float]:
    judges = [make() for _ in case.table.metrics]
    return [
        max(
            (judge(at_ms, value)[0] for judge, value in zip(judges, row, strict=True) if value is not None), default=0.0
        )
        for at_ms, row in zip(case.table.at_ms, case.table.rows, strict=True)
    ]


def _events(scores: list[float], threshold: float) -> list[int]:
    """First rows of events: at the threshold, after REARM_ROWS below it."""
    found, last = [], -REARM_ROWS - 1
    for row, each in enumerate(scores):
        if each >= threshold > 0.0:
            if row - last > REARM_ROWS:
                found.append(row)
            last = row
    return found


def _values(cases: list[Case]) -> int:
    return sum(len(case.table.metrics) * len(case.table.rows) for case in cases)


def outcome(cases: Sequence[Case], alarms: Sequence[list[int]]) -> Outcome:
    """Delays and false alarms. Rows that the Numenta benchmark would not score (`nab.probation`) count for nobody."""
    delays: dict[str, list[int | None]] = {name: [] for name in FAULTS}
    wrong = []
    for case, rows in zip(cases, alarms, strict=True):
        told = [row for row in rows if row >= nab.probation(len(case.table.rows))]
        inside = 0
        for fault in case.faults:
            at, end = bisect_left(told, fault.first), bisect_left(told, fault.last + 1)
            delays[fault.name].append(told[at] - fault.first if end > at else None)
            inside += end - at
        wrong.append(len(told) - inside)
    return Outcome(delays, wrong)


def nab_scores(cases: list[Case], run: Run, *, own: bool) -> str:
    """Standard / low FP / low FN: of the own alarms, or of the scores at the best threshold for this corpus."""
    found: list[nab.Detection] = []
    windows = 0
    for case, scores, alarms in zip(cases, run.scores, run.alarms, strict=True):
        rows = scores
        if own:
            rows = [0.0] * len(scores)
            for row in alarms:
                rows[row] = 1.0
        found += nab.detections(rows, case.spans, window_from=windows)
        windows += len(case.faults)
    points = [
        nab.at_threshold(found, windows, profile, 0.5) if own else nab.best(found, windows, profile)[1]
        for profile in nab.PROFILES.values()
    ]
    return " / ".join(f"{each:.1f}" for each in points)


def detector_table(split: str, cases: list[Case], runs: dict[str, Run]) -> Table:
    """One line a detector."""
    rows = []
    for name, run in runs.items():
        result = outcome(cases, run.alarms)
        found, faults = result.found()
        false = 1_000 * sum(result.false_alarms) / sum(len(case.table.rows) for case in cases)
        quiet = [wrong for case, wrong in zip(cases, result.false_alarms, strict=True) if not case.faults]
        points = nab_scores(cases, run, own=name == OURS)
        counted = f"{found} of {faults}", f"{false:.2f}", f"{statistics.fmean(quiet):.2f}"
        rows.append([name, *counted, points, f"{run.value_us:.1f}"])
    head = ["detector", "faults found", "false alarms per 1,000 rows", "per quiet file", "NAB", "us a value"]
    note = (
        "NAB: standard / low FP / low FN; ours by its own alarms, peers by their best threshold on these files. Faults "
        "and false alarms of a peer: at the threshold with which it raises no more false alarms than ours."
    )
    return Table(f"Split {split.upper()}: detectors", head, rows, note)


def fault_table(split: str, cases: list[Case], runs: dict[str, Run]) -> Table:
    """One line a fault: share found, and how late."""
    results = {name: outcome(cases, run.alarms).delays for name, run in runs.items()}
    rows = []
    for fault in FAULTS:
        delays = results[OURS][fault]
        late = [delay for delay in delays if delay is not None]
        rows.append(
            [fault, str(len(delays)), f"{statistics.median(late):.0f}" if late else "-"]
            + [str(sum(each is not None for each in found[fault])) for found in results.values()]
        )
    return Table(f"Split {split.upper()}: faults found", ["fault", "in all", "rows late (ours)", *results], rows)


def kind_table(split: str, cases: list[Case], run: Run) -> Table:
    """One line a kind: what of its faults is found, what is missed, what pages without a reason."""
    rows = []
    for kind in KINDS[split]:
        chosen = [at for at, case in enumerate(cases) if case.kind == kind]
        result = outcome([cases[at] for at in chosen], [run.alarms[at] for at in chosen])
        found, faults = result.found()
        missed = [name for name, delays in result.delays.items() if None in delays]
        wrong = [(cases[at], each) for at, each in zip(chosen, result.false_alarms, strict=True)]
        quiet = [each for case, each in wrong if not case.faults]
        other = sum(each for case, each in wrong if case.faults)
        rows.append([kind, f"{found} of {faults}", " ".join(map(str, quiet)), str(other), ", ".join(missed)])
    head = ["kind", "faults found", "alarms of each quiet file", "false alarms of the others", "missed"]
    return Table(f"Split {split.upper()}: kinds (ours)", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=["a", "b", "both"], default="both", help="a: while changing; b: at the end")
    parser.add_argument("--seed", type=int, default=0, help="added to the seed of each split")
    parser.add_argument("--ours", action="store_true", help="leave River's detectors out")
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")
    arguments = parser.parse_args()
    facts = machine.facts()
    tables, runs_of, stated = [], [], {}
    for split in ("a", "b") if arguments.split == "both" else (arguments.split,):
        seed = SEEDS[split] + arguments.seed
        cases = corpus(KINDS[split], seed)
        runs = {OURS: judged_by_us(cases)}
        allowed = sum(outcome(cases, runs[OURS].alarms).false_alarms)
        if not arguments.ours:
            runs |= {name: judged_by(make, cases, allowed) for name, make in PEERS.items()}
        tables += [
            detector_table(split, cases, runs),
            fault_table(split, cases, runs),
            kind_table(split, cases, runs[OURS]),
        ]
        runs_of.append({name: run.value_us for name, run in runs.items()})
        stated |= {f"files_{split}": len(cases), f"values_{split}": _values(cases), f"seed_{split}": seed}
    publish("unseen", machine=facts, stated=stated, runs=runs_of, tables=tables, write=arguments.write)


if __name__ == "__main__":
    main()
