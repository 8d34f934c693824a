"""How long from an event to its queryable row, and to an anomaly record on swarm.anomalies, at a paced rate.

    make bench BENCH=freshness        python -m benchmarks.freshness [--rate 50000] [--seconds 60]

Measured from outside: a process publishes through the product's client and stamps each event when emit() is called;
ClickHouse is asked again and again how many rows it holds, which dates the visibility of every single row; a consumer
reads swarm.anomalies. All share one clock. The client's batch age is in the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.group import members_when_stable
from benchmarks.observers import ANOMALIES_TOPIC, POLL_EVERY_S, AnomalyReader, RowPoller
from benchmarks.results import Table, publish, spread, verdict
from benchmarks.stack import TOPICS, Questions, Stack, add_arguments, of_system, running, until
from benchmarks.usage import Watch
from models.anomaly.change_tuning import CHANGE_SEVERITY
from tests.support.workers import worker

ROOT = Path(__file__).parents[1]
RATE_PER_S = 50_000
SECONDS = 60.0
PARTITIONS = 4
ROW_BUDGET_MS, ANOMALY_BUDGET_MS = 2_000, 1_000
RATE_SHARE_MIN = 0.95  # of the asked rate; below it the load was another one
LATE_ANOMALIES_S = 20.0  # a window, its lateness and a flush after the last event


class Fresh(NamedTuple):
    """One run; milliseconds."""

    sent: int
    per_s: float
    dropped: int
    rows: list[float]  # p50, p99, max from event to queryable row
    poll_ms: float  # median time of a poll: rows are dated by its answer
    anomalies: dict[str, list[float]]  # detector -> from a probe's first wrong event to its first anomaly record
    reported: list[float]  # from the append of the record that decided to the anomaly record
    probes: int
    cpu_s: dict[str, float]


def measure(stack: Stack, rate: int, seconds: float) -> Fresh:
    """One paced run."""
    stack.create_topics([*TOPICS, ANOMALIES_TOPIC], partitions=PARTITIONS)
    settings = stack.fresh(partitions=PARTITIONS)
    with Questions(settings) as ask, Questions(settings) as asked_later, worker(settings) as process:
        members_when_stable(settings, process)
        poller, reader = RowPoller(ask), AnomalyReader(stack.bootstrap)
        for thread in (poller, reader):
            thread.start()
        reader.ready.wait(30)
        command = [sys.executable, "-m", "benchmarks.paced", "--bootstrap", stack.bootstrap]
        command += ["--rate", str(rate), "--seconds", str(seconds)]
        publisher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert publisher.stdout is not None
            live_from_ms = json.loads(publisher.stdout.readline())["live_from_ms"]
            with Watch({"worker": of_system(process), **stack.processes()}) as watch:
                said = json.loads(publisher.stdout.readline())
                live = f"SELECT count() FROM metrics WHERE timestamp >= fromUnixTimestamp64Milli({live_from_ms})"
                arriving = said["sent"] - said["dropped"]
                until(lambda: asked_later.number(live) >= arriving, "every event is a row", process, every_s=0.2)
            _until_reported(reader, said["faults"])
        finally:
            publisher.kill()
            publisher.wait()
            for thread in (poller, reader):
                thread.over.set()
            poller.join()
            reader.join()
        anomalies, reported = _delays(reader.found, said["faults"])
        return Fresh(
            sent=said["sent"],
            per_s=said["per_s"],
            dropped=said["dropped"],
            rows=_summary(_row_delays(asked_later, poller, live_from_ms)),
            poll_ms=statistics.median(poller.took_ms),
            anomalies=anomalies,
            reported=reported,
            probes=len(said["faults"]),
            cpu_s={"publisher": said["cpu_s"], **{name: used.cpu_s for name, used in watch.usage().items()}},
        )


def _until_reported(reader: AnomalyReader, faults: dict[str, int]) -> None:
    """Waits until every fault has its anomaly, or the time for it is over: what is missing is counted as missing."""
    deadline_s = time.monotonic() + LATE_ANOMALIES_S
    while time.monotonic() < deadline_s and len(_first_records(reader.found, faults)) < len(faults):
        time.sleep(POLL_EVERY_S)


def _first_records(
    found: Sequence[tuple[float, dict[str, Any]]], faults: dict[str, int]
) -> dict[str, tuple[float, dict[str, Any]]]:
    """Probe -> its first anomaly record that holds the fault: its window ends after the fault began."""
    first: dict[str, tuple[float, dict[str, Any]]] = {}
    for at_ms, row in list(found):
        began_ms = faults.get(row["agent_id"])
        if row["severity"] == CHANGE_SEVERITY:  # a change of level says no more than that there is a new one
            continue
        if began_ms is not None and row["window_start"] + row["window_ms"] > began_ms:
            first.setdefault(row["agent_id"], (at_ms, row))
    return first


def _delays(
    found: Sequence[tuple[float, dict[str, Any]]], faults: dict[str, int]
) -> tuple[dict[str, list[float]], list[float]]:
    """By detector and window, each fault's delay; and for all of them the part after the deciding record's append."""
    by_detector: dict[str, list[float]] = {}
    reported = []
    for probe, (at_ms, row) in _first_records(found, faults).items():
        name = f"{row['detector']}, window {row['window_ms'] / 1000:g} s"
        by_detector.setdefault(name, []).append(at_ms - faults[probe])
        reported.append(at_ms - row["detected_at"])
    return {name: [len(delays), *_summary(np.array(delays))] for name, delays in by_detector.items()}, (
        _summary(np.array(reported)) if reported else []
    )


def _row_delays(ask: Questions, poller: RowPoller, live_from_ms: int) -> np.ndarray:
    """Of every live event."""
    each = []
    for partition in range(PARTITIONS):
        stamps = ask.column(
            f"SELECT toUnixTimestamp64Milli(timestamp) FROM metrics WHERE partition = {partition} ORDER BY offset, idx"
        )
        if len(stamps):
            delays = poller.delays_ms(partition, stamps)
            each.append(delays[stamps >= live_from_ms])
    return np.concatenate(each)


def _summary(values: np.ndarray) -> list[float]:
    """p50, p99, max."""
    return [round(float(v), 1) for v in (*np.percentile(values, [50, 99]), values.max())]


def tables(runs: list[Fresh], rate: int) -> list[Table]:
    """Rows and anomalies."""
    judge = _judge(runs, rate)
    rows = [
        [
            "event to queryable row",
            *(spread(r.rows[i] for r in runs) for i in range(3)),
            judge([r.rows[1] for r in runs], ROW_BUDGET_MS),
        ]
    ]
    for name in sorted({n for r in runs for n in r.anomalies}):
        found = [r.anomalies[name] for r in runs if name in r.anomalies]
        budget = judge([f[2] for f in found], ANOMALY_BUDGET_MS)
        event_level = name.endswith("window 0 s")
        rows.append(
            [
                f"first wrong event to anomaly record ({name}; {spread(f[0] for f in found)} of {runs[0].probes})",
                *(spread(f[i] for f in found) for i in (1, 2, 3)),
                budget if event_level else "none: a window must end first",
            ]
        )
    reported = [r.reported for r in runs if r.reported]
    if reported:
        rows.append(
            ["append of the deciding record to anomaly record", *(spread(r[i] for r in reported) for i in range(3)), ""]
        )
    seconds = [r.sent / r.per_s for r in runs]
    load = [
        ["published events/s", spread(r.per_s for r in runs)],
        ["dropped by the client", spread(r.dropped for r in runs)],
        ["one poll of ClickHouse, ms", spread((r.poll_ms for r in runs), ".1f")],
        *(
            [f"{name}: cores", spread((r.cpu_s[name] / s for r, s in zip(runs, seconds, strict=True)), ".2f")]
            for name in runs[0].cpu_s
        ),
    ]
    return [
        Table("Freshness, ms", ["from, to", "p50", "p99", "max", "budget (p99, ms)"], rows),
        Table("Load while it was measured", ["", "measured"], load),
    ]


def _judge(runs: list[Fresh], rate: int) -> Callable[[list[float], float], str]:
    """The verdict on p99s; none when the machine could not even publish at the rate the budget is for."""
    reached = min(r.per_s for r in runs)
    if reached < rate * RATE_SHARE_MIN:
        return lambda p99s, budget: (
            f"<= {budget:,g}: not judged, only {reached:,.0f} of {rate:,} events/s were published"
        )
    return lambda p99s, budget: verdict(statistics.median(p99s), budget, at_least=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="events per second")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    facts = machine.facts()
    runs = []
    for _ in range(arguments.runs):
        with running(arguments.broker) as stack:
            runs.append(measure(stack, arguments.rate, arguments.seconds))
        print(runs[-1], flush=True)
    publish(
        f"freshness-{arguments.broker}",
        machine=facts,
        stated={
            "broker": arguments.broker,
            "runs": arguments.runs,
            "rate": f"{arguments.rate:,} events/s for {arguments.seconds:g} s",
            "windows": "10s,60s, allowed lateness 5 s, flush interval 1 s",
        },
        runs=runs,
        tables=tables(runs, arguments.rate),
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
