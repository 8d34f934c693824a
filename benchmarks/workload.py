"""The stated workload: 1,000 agents in 50 swarms, 8 metrics, skewed; other numbers of series by argument.

In: a seed, a number of events. Out: Kafka records in one of the three wire forms. Never: uses the product's client.

A batch holds 500 events of one agent's last second, as `murmur.Publisher` sends them. `mixed` is the hard variant: a
gateway's columnar batches, each with events of hundreds of agents. Single events come as from many producers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

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
# Event time: so many events fall into a millisecond of it. Batches are those of a busy swarm (50,000 events/s);
# single events are slower, so that windows close within the fewer events of such a run.
EVENTS_PER_MS = {"columns": 50, "mixed": 50, "array": 50, "single": 10}
T0_MS = 1_767_225_600_000  # 2026-01-01Z
COLUMNS_TYPE = [("content-type", b"application/vnd.murmur.columns+msgpack")]
ARRAY_TYPE = [("content-type", b"application/json")]

BATCH_EVENT_EVERY_MS = 2  # of one agent: its batch of 500 covers a second
FORMS = ("columns", "mixed", "array", "single")
FORMS_OF_MANY_AGENTS = ("mixed", "single")
COLUMNAR_FORMS = ("columns", "mixed")


class Record(NamedTuple):
    """What is handed to a producer. Single events are keyed by their series, so that no peer has to regroup them."""

    partition: int
    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes


@dataclass(frozen=True)
class Workload:
    """Who sends what; the same seed gives the same events in any form."""

    form: str
    partitions: int = 4
    seed: int = 7
    agents: int = AGENTS
    events_per_ms: float = 0.0  # of event time; 0: EVENTS_PER_MS of the form

    @property
    def series(self) -> int:
        """Distinct (swarm, agent, metric)."""
        return self.agents * len(METRICS)

    @property
    def swarms(self) -> int:
        """Never fewer than partitions: a swarm lies in one."""
        return min(SWARMS, self.agents)

    def records(self, events: int, *, first: int = 0) -> Iterator[Record]:
        """Events `first` to `first + events` of the endless run, rounded up to whole batches."""
        random = np.random.default_rng([self.seed, first])
        members = [
            np.flatnonzero(np.arange(self.agents) % self.swarms % self.partitions == p) for p in range(self.partitions)
        ]
        # Zipf-like: a few agents send most of the events.
        weights = 1.0 / np.arange(1, self.agents + 1) ** 0.7
        shares = [weights[mine] / weights[mine].sum() for mine in members]
        for turn in range(first, first + events, EVENTS_PER_BATCH):
            partition = (turn // EVENTS_PER_BATCH) % self.partitions
            senders = EVENTS_PER_BATCH if self.form in FORMS_OF_MANY_AGENTS else 1
            agents = random.choice(members[partition], senders, p=shares[partition])
            agents = np.repeat(agents, EVENTS_PER_BATCH // senders)
            metrics = random.integers(0, len(METRICS), EVENTS_PER_BATCH)
            values = np.round(random.lognormal(3, 1, EVENTS_PER_BATCH), 3)
            at = np.arange(EVENTS_PER_BATCH)
            per_ms = self.events_per_ms or EVENTS_PER_MS[self.form]
            after_ms = at * BATCH_EVENT_EVERY_MS if senders == 1 else (at / per_ms).astype(np.int64)
            times = T0_MS + int(turn / per_ms) + after_ms
            yield from self._wire(partition, agents, metrics, values, times)

    def _wire(
        self, partition: int, agents: np.ndarray, metrics: np.ndarray, values: np.ndarray, times: np.ndarray
    ) -> Iterator[Record]:
        if self.form in COLUMNAR_FORMS:
            yield Record(partition, None, COLUMNS_TYPE, columns(agents, metrics, values, times, self.swarms))
            return
        found = [
            {
                "swarm_id": f"swarm-{agent % self.swarms}",
                "agent_id": f"agent-{agent}",
                "metric": METRICS[metric],
                "value": value,
                "timestamp": time,
            }
            for agent, metric, value, time in zip(
                agents.tolist(), metrics.tolist(), values.tolist(), times.tolist(), strict=True
            )
        ]
        if self.form == "array":
            yield Record(partition, None, ARRAY_TYPE, json.dumps(found).encode())
            return
        for event in found:
            key = f"{event['swarm_id']}|{event['agent_id']}|{event['metric']}".encode()
            yield Record(partition, key, [], json.dumps(event).encode())


def columns(agents: np.ndarray, metrics: np.ndarray, values: np.ndarray, times: np.ndarray, swarms: int) -> bytes:
    """A columnar batch."""
    strings: dict[str, int] = {"": 0, "agent": 1, "medium": 2, "measured": 3}
    codes, place = np.unique(agents * len(METRICS) + metrics, return_inverse=True)
    series = []
    for code in codes.tolist():
        agent, metric = divmod(code, len(METRICS))
        names = (f"swarm-{agent % swarms}", f"agent-{agent}", METRICS[metric])
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
