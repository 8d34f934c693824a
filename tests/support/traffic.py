"""Seeded telemetry with everything that goes wrong in it: all wire forms, poison, late and repeated records.

In: a seed. Out: Kafka records (partition, headers, value) whose values are integers, so that sums are exact.
Never: uses the product's client or codecs.
"""

from __future__ import annotations

import json
import random
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

POISON = (b"{poison", b"", b"\xff\xfe", b"[1, 2]", b'{"swarm_id": "s"}', b"null", b'"text"', b"[" * 3_000)


@dataclass
class Traffic:
    """Makes records; `now_ms` moves on by the caller's hand."""

    seed: int
    partitions: int = 4
    poison_ratio: float = 0.01
    late_ratio: float = 0.03

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.producer = uuid.UUID(int=self.random.getrandbits(128)).hex
        self.sequence = [0] * self.partitions

    def records(self, now_ms: int, count: int) -> Iterator[tuple[int, list[tuple[str, bytes]], bytes]]:
        """`count` records of random kinds with event times around `now_ms`."""
        for _ in range(count):
            partition = self.random.randrange(self.partitions)
            if self.random.random() < self.poison_ratio:
                yield partition, [], self.random.choice(POISON)
                continue
            events = [self._event(partition, now_ms) for _ in range(self.random.choice([1, 1, 1, 20, 50]))]
            kind = self.random.randrange(4)
            headers: list[tuple[str, bytes]] = []
            if kind == 0:
                value = json.dumps(events[0]).encode()
            elif kind == 3:
                value, headers = self._columns(events), [("content-type", b"application/vnd.murmur.columns+msgpack")]
            else:
                if self.random.random() < 0.1:  # a half-bad batch
                    events.insert(self.random.randrange(len(events) + 1), {"swarm_id": "s", "metric": 5})
                value = json.dumps(events).encode()
            if self.random.random() < 0.5:
                stamp = f"{self.producer}:0:{self.sequence[partition]}".encode()
                self.sequence[partition] += 1
                headers = [*headers, ("murmur-producer", stamp)]
                if self.random.random() < 0.05:  # a retry that was stored twice
                    yield partition, headers, value
            yield partition, headers, value

    def _event(self, partition: int, now_ms: int) -> dict[str, object]:
        late = self.random.random() < self.late_ratio
        delay = self.random.randrange(30_000) if late else int(self.random.expovariate(1 / 300))
        agent = self.random.choice(["", "a1", "a2", "a3"])
        return {
            "swarm_id": f"s{partition}",
            "agent_id": agent,
            "metric": self.random.choice(["TASK_DURATION", "cost_usd", "queue.depth"]),
            "value": self.random.randrange(-50, 1_000),
            "timestamp": now_ms - delay,
        }

    def _columns(self, events: list[dict[str, object]]) -> bytes:
        strings: dict[str, int] = {"": 0, "agent": 1, "medium": 2, "measured": 3}
        series: dict[tuple[int, ...], int] = {}
        index = []
        for event in events:
            names = (event["swarm_id"], event["agent_id"], str(event["metric"]).lower())
            key = tuple(strings.setdefault(str(n), len(strings)) for n in names)
            index.append(series.setdefault(key, len(series)))
        t0 = min(int(str(e["timestamp"])) for e in events)
        n = len(events)
        return msgspec.msgpack.encode(
            {
                "v": 1,
                "n": n,
                "strings": list(strings),
                "series": [list(k) for k in series],
                "labels": [[0, 0, 1, 2, 0, 3, []]],
                "series_idx": struct.pack(f"<{n}I", *index),
                "label_idx": struct.pack(f"<{n}I", *[0] * n),
                "t0": t0,
                "dt": struct.pack(f"<{n}i", *(int(str(e["timestamp"])) - t0 for e in events)),
                "value": struct.pack(f"<{n}d", *(float(str(e["value"])) for e in events)),
            }
        )
