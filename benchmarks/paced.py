"""A swarm that publishes at a steady rate through the product's client, and whose probes go wrong at known times.

    python -m benchmarks.paced --bootstrap ... --rate 50000 --seconds 60

In: rate, seconds. Out: one line of JSON when the live part begins, one with what was sent and when each probe's fault
began. Never: stamps an event with anything but the clock of the moment it is emitted, but for the probes' history.

The probes first publish PAST_WINDOWS windows of history, so that their scorers know them when the live part begins.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.workload import METRICS
from murmur import Publisher

SWARMS = 8  # a publisher each; keys spread them over the partitions
AGENTS = 100  # of each swarm
PROBES = 100
PROBE_METRIC = "queue_depth"
PROBE_EVERY_S = 0.1
QUIET, FAULTY = 100.0, 1_000.0  # mean of a probe's values
NOISE = 5.0
TICK_S = 0.01
WINDOW_MS = 10_000
PAST_WINDOWS = 60  # five times the scorers' warm-up
PAST_EVENTS = 5  # a window and probe
FAULT_FROM, FAULT_UNTIL = 0.2, 0.6  # share of the live part within which the faults begin, one probe after another


def history(publishers: list[Publisher], random: np.random.Generator) -> None:
    """The probes' past, oldest first, up to the present window."""
    now_ms = time.time_ns() // 1_000_000
    first_ms = (now_ms // WINDOW_MS - PAST_WINDOWS) * WINDOW_MS
    for at_ms in range(first_ms, now_ms, WINDOW_MS // PAST_EVENTS):
        for probe in range(PROBES):
            value = float(random.normal(QUIET, NOISE))
            publisher = publishers[probe % SWARMS]
            publisher.emit(PROBE_METRIC, value, agent_id=f"probe-{probe}", timestamp_ms=at_ms)
        _flush(publishers)


def live(publishers: list[Publisher], random: np.random.Generator, rate: int, seconds: float) -> dict[str, object]:
    """Paced events and probes; returns what was sent and when each fault began."""
    values = random.lognormal(3, 1, 10_000).tolist()
    agents = [f"agent-{n}" for n in range(AGENTS)]
    faults: dict[str, int] = {}
    starts = np.linspace(seconds * FAULT_FROM, seconds * FAULT_UNTIL, PROBES)
    begun_s = time.perf_counter()
    paced, probed, probe_due_s = 0, 0, 0.0
    while (now_s := time.perf_counter() - begun_s) < seconds:
        for n in range(paced, int(now_s * rate)):
            publishers[n % SWARMS].emit(METRICS[n % 7], values[n % 9_973], agent_id=agents[n // SWARMS % AGENTS])
            paced = n + 1
        if now_s >= probe_due_s:
            probe_due_s += PROBE_EVERY_S
            probed += PROBES  # on top of the rate
            for probe in range(PROBES):
                wrong = now_s >= starts[probe]
                at_ms = time.time_ns() // 1_000_000
                value = float(random.normal(FAULTY if wrong else QUIET, NOISE))
                publishers[probe % SWARMS].emit(PROBE_METRIC, value, agent_id=f"probe-{probe}", timestamp_ms=at_ms)
                if wrong:
                    faults.setdefault(f"probe-{probe}", at_ms)
        time.sleep(TICK_S)
    elapsed_s = time.perf_counter() - begun_s
    _flush(publishers)
    dropped = sum(p.stats().dropped for p in publishers)
    sent = paced + probed
    return {"sent": sent, "per_s": sent / elapsed_s, "dropped": dropped, "faults": faults, "cpu_s": time.process_time()}


def _flush(publishers: list[Publisher]) -> None:
    if not all(p.flush(60) for p in publishers):
        raise SystemExit("the broker did not acknowledge in 60 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    publishers = [Publisher(arguments.bootstrap, swarm_id=f"swarm-{n}") for n in range(SWARMS)]
    history(publishers, random)
    print(json.dumps({"live_from_ms": time.time_ns() // 1_000_000}), flush=True)
    print(json.dumps(live(publishers, random, arguments.rate, arguments.seconds)), flush=True)
    for publisher in publishers:
        publisher.close()


if __name__ == "__main__":
    main()
