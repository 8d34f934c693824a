"""What publishing costs the agent: emit() latency, and the CPU share of a paced publisher.

Run: .venv/bin/python -m benchmarks.emit [--seconds 10] [--wire columns|json-array]
Prints the median, p99 and p99.9 of emit() called back to back and paced, and the CPU share at 1,000 events/s of the
whole process (loop, publisher thread, client library), with the pacing loop's own share measured and subtracted.
"""

from __future__ import annotations

import argparse
import gc
import platform
import time
from collections.abc import Callable
from time import perf_counter_ns

from murmur import Publisher
from tests.support.brokers import embedded_broker

CALLS = 200_000
RATE_PER_S = 1_000
MEDIAN_BUDGET_US, P99_BUDGET_US, CPU_BUDGET_RATIO = 2.0, 20.0, 0.01


def percentiles(samples_ns: list[int]) -> str:
    ordered = sorted(samples_ns)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * q))] / 1000 for q in (0.5, 0.99, 0.999)]
    return f"median {at[0]:6.2f} us   p99 {at[1]:7.2f} us   p99.9 {at[2]:8.2f} us   max {ordered[-1] / 1000:9.1f} us"


def back_to_back(publisher: Publisher) -> list[int]:
    samples: list[int] = []
    tags = {"phase": "bench"}
    for i in range(CALLS):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--wire", choices=("columns", "json-array"), default="columns")
    arguments = parser.parse_args()
    print(f"python {platform.python_version()} on {platform.machine()}, wire {arguments.wire}")
    with embedded_broker() as bootstrap:
        publisher = Publisher(
            bootstrap, swarm_id="bench", agent_id="a", wire=arguments.wire, buffer_events_max=2 * CALLS
        )
        publisher.emit("warm_up", 1.0)
        publisher.flush(30)
        gc.collect()
        print(f"emit() back to back, {CALLS:,} calls:  {percentiles(back_to_back(publisher))}")
        if not publisher.flush(60):
            raise SystemExit("the broker did not acknowledge in 60 s")
        _, idle = paced(lambda i: None, arguments.seconds)
        samples, busy = paced(lambda i: publisher.emit("cpu_usage", float(i), unit="ratio"), arguments.seconds)
        print(f"emit() at {RATE_PER_S:,} events/s:          {percentiles(samples)}")
        print(f"CPU share at {RATE_PER_S:,} events/s: {(busy - idle):.2%} of a core (budget {CPU_BUDGET_RATIO:.0%})")
        publisher.close(30)
        stats = publisher.stats()
        print(f"emitted {stats.emitted:,}  acknowledged {stats.acknowledged:,}  dropped {stats.dropped:,}")


if __name__ == "__main__":
    main()
