"""The stated workload of the ingest benchmark: 1,000 agents in 50 swarms, 8 metrics, skewed.

In: a seed, a number of events. Out: Kafka records in one of the three wire forms. Never: uses the product's client.

A batch holds 500 events of one agent's last second, as `murmur.Publisher` sends them. `mixed` is the hard variant: a
gateway's columnar batches, each with events of hundreds of agents. Single events come as from many producers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import numpy as np

AGENTS = 1_000
SWARMS = 50
METRICS = (
    "task_duration",
    "memory_usage",
    "cpu_usage",
    "network_latency",
    "model_call_duration",
    "queue_depth",
    "cost_usd",
    "agent_heartbeat",
)
EVENTS_PER_BATCH = 500
EVENTS_PER_MS = 50  # event time: 50,000 events a second, so that windows open and close as in a busy swarm
T0_MS = 1_767_225_600_000  # 2026-01-01Z

BATCH_EVENT_EVERY_MS = 2  # of one agent: its batch of 500 covers a second
FORMS = ("columns", "mixed", "array", "single")
FORMS_OF_MANY_AGENTS = ("mixed", "single")
Record = tuple[int, list[tuple[str, bytes]], bytes]  # partition, headers, value


def records(form: str, events: int, *, partitions: int, seed: int) -> Iterator[Record]:
    """The same events in any form; a swarm's events lie in one partition, as a key by swarm would do."""
    random = np.random.default_rng(seed)
    # Zipf-like: a few agents send most of the events.
    share = 1.0 / np.arange(1, AGENTS + 1) ** 0.7
    share /= share.sum()
    turn = 0
    while turn < events:
        partition = (turn // EVENTS_PER_BATCH) % partitions
        mine = np.arange(AGENTS) % SWARMS % partitions == partition
        weights = share[mine] / share[mine].sum()
        if form in FORMS_OF_MANY_AGENTS:
            agents = random.choice(np.flatnonzero(mine), EVENTS_PER_BATCH, p=weights)
            after_ms = np.arange(EVENTS_PER_BATCH) // EVENTS_PER_MS
        else:
            agents = np.repeat(random.choice(np.flatnonzero(mine), 1, p=weights), EVENTS_PER_BATCH)
            after_ms = np.arange(EVENTS_PER_BATCH) * BATCH_EVENT_EVERY_MS
        metrics = random.integers(0, len(METRICS), EVENTS_PER_BATCH)
        values = np.round(random.lognormal(3, 1, EVENTS_PER_BATCH), 3)
        times = T0_MS + turn // EVENTS_PER_MS + after_ms
        turn += EVENTS_PER_BATCH
        if form in {"columns", "mixed"}:
            yield (
                partition,
                [("content-type", b"application/vnd.murmur.columns+msgpack")],
                _columns(agents, metrics, values, times),
            )
            continue
        found = [
            {
                "swarm_id": f"swarm-{agent % SWARMS}",
                "agent_id": f"agent-{agent}",
                "metric": METRICS[metric],
                "value": value,
                "timestamp": time,
            }
            for agent, metric, value, time in zip(
                agents.tolist(), metrics.tolist(), values.tolist(), times.tolist(), strict=True
            )
        ]
        if form == "array":
            yield partition, [("content-type", b"application/json")], json.dumps(found).encode()
        else:
            for event in found:
                yield partition, [], json.dumps(event).encode()


def _columns(agents: np.ndarray, metrics: np.ndarray, values: np.ndarray, times: np.ndarray) -> bytes:
    strings: dict[str, int] = {"": 0, "agent": 1, "medium": 2, "measured": 3}
    codes, place = np.unique(agents * len(METRICS) + metrics, return_inverse=True)
    series = []
    for code in codes.tolist():
        agent, metric = divmod(code, len(METRICS))
        names = (f"swarm-{agent % SWARMS}", f"agent-{agent}", METRICS[metric])
        series.append([strings.setdefault(name, len(strings)) for name in names])
    return msgspec.msgpack.encode(
        {
            "v": 1,
            "n": len(values),
            "strings": list(strings),
            "series": series,
            "labels": [[0, 0, 1, 2, 0, 3, []]],
            "series_idx": place.astype("<u4").tobytes(),
            "label_idx": np.zeros(len(values), "<u4").tobytes(),
            "t0": int(times[0]),
            "dt": (times - times[0]).astype("<i4").tobytes(),
            "value": values.astype("<f8").tobytes(),
        }
    )
