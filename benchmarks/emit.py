"""What publishing costs the agent: emit() latency, and the CPU share of a paced publisher.

    make bench BENCH=emit        python -m benchmarks.emit [--seconds 10] [--wire columns|json-array]

Median, p99 and p99.9 of emit() called back to back and paced, and the CPU share at 1,000 events/s of the whole process
(loop, publisher thread, client library), with the pacing loop's own share measured and subtracted.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from time import perf_counter_ns
from typing import NamedTuple

from benchmarks import machine
from benchmarks.results import Table, publish, spread, verdict
from benchmarks.stack import TOPICS, add_arguments, broker_of, create_topics
from murmur import Publisher
from murmur.options import Wire

CALLS = 200_000
RATE_PER_S = 1_000
MEDIAN_BUDGET_US, P99_BUDGET_US, CPU_BUDGET_PERCENT = 2.0, 20.0, 1.0


class Emit(NamedTuple):
    """One run. Percentiles in microseconds: p50, p99, p99.9, max."""

    back_to_back: list[float]
    paced: list[float]
    cpu_percent: float  # of a core, at RATE_PER_S
    acknowledged: int
    dropped: int


def percentiles(samples_ns: list[int]) -> list[float]:
    """p50, p99, p99.9, max in microseconds."""
    ordered = sorted(samples_ns)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * q))] / 1000 for q in (0.5, 0.99, 0.999, 1.0)]


def back_to_back(publisher: Publisher, calls: int) -> list[int]:
    """Durations of calls without a pause, nanoseconds."""
    samples: list[int] = []
    tags = {"phase": "bench"}
    for i in range(calls):
        started_ns = perf_counter_ns()
        publisher.emit("cpu_usage", i * 0.5, unit="ratio", tags=tags)
        samples.append(perf_counter_ns() - started_ns)
    return samples


def paced(emit: Callable[[int], None], seconds: float) -> tuple[list[int], float]:
    """(call durations, CPU share of this process) at RATE_PER_S, ten calls every 10 ms."""
    samples: list[int] = []
    started_s, cpu_s = time.perf_counter(), time.process_time()
    ticks = int(seconds * RATE_PER_S / 10)
    for tick in range(ticks):
        for i in range(10):
            started_ns = perf_counter_ns()
            emit(tick * 10 + i)
            samples.append(perf_counter_ns() - started_ns)
        time.sleep(max(0.0, started_s + (tick + 1) * 0.01 - time.perf_counter()))
    return samples, (time.process_time() - cpu_s) / (time.perf_counter() - started_s)


def measure(bootstrap: str, *, calls: int, seconds: float, wire: Wire) -> Emit:
    """One run with a publisher of its own."""
    publisher = Publisher(bootstrap, swarm_id="bench", agent_id="a", wire=wire, buffer_events_max=2 * calls)
    publisher.emit("warm_up", 1.0)
    publisher.flush(30)
    gc.collect()
    burst = back_to_back(publisher, calls)
    if not publisher.flush(60):
        raise SystemExit("the broker did not acknowledge in 60 s")
    _, idle = paced(lambda i: None, seconds)
    samples, busy = paced(lambda i: publisher.emit("cpu_usage", float(i), unit="ratio"), seconds)
    publisher.close(30)
    stats = publisher.stats()
    return Emit(percentiles(burst), percentiles(samples), (busy - idle) * 100, stats.acknowledged, stats.dropped)


def table(runs: list[Emit]) -> Table:
    """Calls and CPU."""

    def row(name: str, found: list[list[float]]) -> list[str]:
        each = [[f[i] for f in found] for i in range(4)]
        median, p99 = (
            verdict(statistics.median(values), budget, at_least=False)
            for values, budget in zip(each, (MEDIAN_BUDGET_US, P99_BUDGET_US), strict=False)
        )
        return [name, *(spread(values, ".2f") for values in each), f"median {median}; p99 {p99}"]

    cpu = [r.cpu_percent for r in runs]
    budget = verdict(statistics.median(cpu), CPU_BUDGET_PERCENT, at_least=False)
    return Table(
        "emit(), microseconds",
        ["", "median", "p99", "p99.9", "max", "budget"],
        [
            row("back to back", [r.back_to_back for r in runs]),
            row(f"paced, {RATE_PER_S:,} events/s", [r.paced for r in runs]),
            [f"CPU at {RATE_PER_S:,} events/s, % of a core", spread(cpu, ".2f"), "", "", "", budget],
        ],
        f"Acknowledged {spread(r.acknowledged for r in runs)}, dropped {spread(r.dropped for r in runs)} events.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--wire", choices=("columns", "json-array"), default="columns")
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    facts = machine.facts()
    with broker_of(arguments.broker) as broker:
        create_topics(broker.bootstrap, TOPICS, partitions=4)
        runs = [
            measure(broker.bootstrap, calls=arguments.calls, seconds=arguments.seconds, wire=arguments.wire)
            for _ in range(arguments.runs)
        ]
    publish(
        f"emit-{arguments.broker}",
        machine=facts,
        stated={"broker": arguments.broker, "runs": arguments.runs, "wire": arguments.wire, "calls": arguments.calls},
        runs=runs,
        tables=[table(runs)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
