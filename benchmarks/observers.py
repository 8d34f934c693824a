"""Who looks from outside: one asks ClickHouse how many rows there are, one reads anomaly records from Kafka.

In: a connection, a broker's address. Out: when each row and each anomaly record could be seen first.
Never: asks the worker.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer

from benchmarks.stack import Questions
from streams.topics import FETCH_WAIT_MS

POLL_EVERY_S = 0.05  # a fortieth of the budget: the pause between two answers is part of every row's age
ANOMALIES_TOPIC = "swarm.anomalies"


class RowPoller(threading.Thread):
    """Asks how many rows each partition has, and notes when the answer came."""

    def __init__(self, ask: Questions) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.over = threading.Event()
        self.at_ms: list[float] = []
        self.took_ms: list[float] = []
        self.counts: list[dict[int, int]] = []

    def run(self) -> None:
        last, rows = False, -1
        while not last:
            last = self.over.wait(POLL_EVERY_S)  # asks once more when it is over, so that every row is dated
            # Counting by partition reads every row, and would cost as much as the inserts: only where there are more.
            known, rows = rows, self._ask.number("SELECT count() FROM metrics")
            if rows == known and not last:
                continue
            asked_ms = time.time_ns() / 1e6
            found = self._ask.rows("SELECT partition, count() FROM metrics GROUP BY partition")
            self.at_ms.append(time.time_ns() / 1e6)
            self.took_ms.append(self.at_ms[-1] - asked_ms)
            self.counts.append({int(p): int(n) for p, n in found})

    def delays_ms(self, partition: int, stamps_ms: np.ndarray) -> np.ndarray:
        """From stamp to the first answer that counted the row, for the partition's events in log order."""
        seen = np.array([c.get(partition, 0) for c in self.counts])
        first = np.searchsorted(seen, np.arange(len(stamps_ms)), side="right")
        return np.asarray(np.array(self.at_ms)[first] - stamps_ms)


class AnomalyReader(threading.Thread):
    """Reads swarm.anomalies and notes when each record came."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        self._address = bootstrap
        self.over = threading.Event()
        self.ready = threading.Event()
        self.found: list[tuple[float, dict[str, Any]]] = []

    def run(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            ANOMALIES_TOPIC,
            bootstrap_servers=self._address,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,  # as `murmur monitor` and the alerter
        )
        await consumer.start()
        self.ready.set()
        try:
            while not self.over.is_set():
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    self.found += [(time.time_ns() / 1e6, json.loads(r.value)) for r in batch]
        finally:
            await consumer.stop()
