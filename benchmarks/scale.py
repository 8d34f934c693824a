"""What an event costs as events and series grow, and what an active series costs in memory and on disk.

    make bench BENCH=scale        python -m benchmarks.scale [--events 1e5,1e6,1e7] [--series 100,...] [--most]

Cost: CPU seconds of the worker and of ClickHouse a million events; CPU time depends less on what else the machine does
than the clock. Along the curve of series the events of a series in a window stay the same, so that every point closes
as many windows. Memory of a series: what the worker's resident set grew between having its partitions and its peak,
over the series; buffers of the pipeline are in it, so it is an upper bound. It is measured twice: catching up with a
log that lies there, and at a live rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import NamedTuple

from benchmarks import machine
from benchmarks.ours import OurRun, measure
from benchmarks.results import MIB, Table, publish, spread, verdict
from benchmarks.stack import TOPICS, Stack, add_arguments, running
from benchmarks.workload import METRICS, Workload

EVENTS = (100_000, 1_000_000, 10_000_000)
EVENTS_MOST = 100_000_000
SERIES = (100, 1_000, 10_000, 100_000)
SERIES_EVENTS = 2_000_000  # for every number of series
SERIES_BYTES_BUDGET = 1_200
RSS_BUDGET_MIB = 400
RSS_BUDGET_SERIES = 100_000
SERIES_WINDOW_EVENTS = 5  # of a series in 10 s of event time
WINDOW_MS = 10_000
LIVE_RATE = 20_000  # events a second of wall time
LIVE_S = 60


class Step(NamedTuple):
    """One point of a curve."""

    curve: str  # events | series | live
    events: int
    agents: int  # each with every metric: len(METRICS) series
    run: OurRun


def step(kind: str, curve: str, events: int, agents: int) -> Step:
    """One run on servers of its own: what an earlier point left in memory must not count."""
    load = Workload("columns", agents=agents)
    if curve != "events":
        per_ms = agents * len(METRICS) * SERIES_WINDOW_EVENTS / WINDOW_MS
        load = Workload("mixed", agents=agents, events_per_ms=LIVE_RATE / 1000 if curve == "live" else per_ms)
    with running(kind) as stack:
        stack.create_topics(TOPICS, partitions=load.partitions)
        if curve == "live":
            done = measure(stack, stack.fresh(partitions=load.partitions), events, publish=lambda: _pace(stack, load))
        else:
            stack.fill(load.records(events))
            done = measure(stack, stack.fresh(partitions=load.partitions), events)
    print(f"{curve}: {events:,} events, {done.series:,} scored series: {done.cpu_per_million():.2f} CPU s a million")
    return Step(curve, events, agents, done)


def _pace(stack: Stack, load: Workload) -> None:
    """A second's events every second."""
    began_s = time.monotonic()
    for second in range(LIVE_S):
        stack.fill(load.records(LIVE_RATE, first=second * LIVE_RATE))
        time.sleep(max(0.0, began_s + second + 1 - time.monotonic()))


def cost_table(steps: list[Step]) -> Table:
    """CPU an event along both curves."""
    rows = []
    for curve, events, agents in sorted({(s.curve, s.events, s.agents) for s in steps if s.curve != "live"}):
        runs = [s.run for s in steps if (s.curve, s.events, s.agents) == (curve, events, agents)]
        rows.append(
            [
                curve,
                f"{events:,}",
                f"{agents * len(METRICS):,}",
                spread((r.worker_cpu_s * 1e6 / r.events for r in runs), ".2f"),
                spread((r.clickhouse_cpu_s * 1e6 / r.events for r in runs), ".2f"),
                spread(r.per_s for r in runs),
                spread((r.worker_peak_rss_bytes / MIB for r in runs), ".0f"),
                spread((r.clickhouse_peak_rss_bytes / MIB for r in runs), ".0f"),
                f"{runs[0].window_rows:,}",
            ]
        )
    head = ["curve", "events", "series", "worker CPU s a million", "ClickHouse CPU s a million", "events/s"]
    return Table("Cost of an event", [*head, "worker peak RSS MiB", "ClickHouse peak RSS MiB", "window rows"], rows)


def memory_table(steps: list[Step], curve: str, title: str) -> Table:
    """Memory and snapshot bytes a series, at the largest number of series."""
    most = max(s.agents for s in steps if s.curve == curve)
    runs = [s.run for s in steps if s.agents == most and s.curve == curve]
    series = most * len(METRICS)
    grown = [(r.worker_peak_rss_bytes - r.worker_ready_rss_bytes) / series for r in runs]
    peak = [r.worker_peak_rss_bytes / MIB for r in runs]
    of_rss = verdict(statistics.median(peak), RSS_BUDGET_MIB, at_least=False) if series >= RSS_BUDGET_SERIES else ""
    rows = [
        ["series", f"{series:,} sent, {runs[0].series:,} with a scorer, {runs[0].open_windows:,} open windows", ""],
        [
            "worker RSS grown, bytes a series",
            spread(grown),
            verdict(statistics.median(grown), SERIES_BYTES_BUDGET, at_least=False),
        ],
        ["worker peak RSS MiB", spread(peak), of_rss],
        ["snapshot bytes a series (zlib)", spread(r.snapshot_bytes / series for r in runs), ""],
    ]
    return Table(title, ["", "measured", "budget"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", default=",".join(map(str, EVENTS)), help="points of the first curve")
    parser.add_argument("--series", default=",".join(map(str, SERIES)), help="points of the second curve")
    parser.add_argument("--series-events", type=int, default=SERIES_EVENTS, help="events at each of its points")
    parser.add_argument("--most", action="store_true", help=f"also {EVENTS_MOST:,} events (needs 4 GiB for the log)")
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    facts = machine.facts()
    events = [int(float(n)) for n in arguments.events.split(",")] + [EVENTS_MOST] * arguments.most
    agents = [-(-int(float(n)) // len(METRICS)) for n in arguments.series.split(",")]
    steps = []
    for _ in range(arguments.runs):
        steps += [step(arguments.broker, "events", n, Workload("columns").agents) for n in events]
        steps += [step(arguments.broker, "series", arguments.series_events, n) for n in agents]
        steps.append(step(arguments.broker, "live", LIVE_RATE * LIVE_S, max(agents)))
    publish(
        f"scale-{arguments.broker}",
        machine=facts,
        stated={
            "broker": arguments.broker,
            "runs": arguments.runs,
            "events curve": "columns",
            "others": "mixed",
            "seed": Workload("").seed,
        },
        runs=steps,
        tables=[
            cost_table(steps),
            memory_table(steps, "series", "Cost of a series, catching up as fast as it can"),
            memory_table(steps, "live", f"Cost of a series, live at {LIVE_RATE:,} events/s for {LIVE_S} s"),
        ],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
