"""Load on the log while faults happen: a producer in a thread of its own.

In: a bootstrap address, a source of records. Out: records in the log; how many were sent and how many sends failed.
Never: decides what the log holds: a failed send may have been stored, so judges read the log itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaProducer

Sent = tuple[int, Sequence[tuple[str, bytes]], bytes]  # partition, headers, value
Source = Callable[[int, int], Iterable[Sent]]  # (now_ms, how many) -> records
TICK_S = 0.1
REQUEST_TIMEOUT_MS = 60_000  # a send outlives the longest outage of a scenario
STOP_WITHIN_S = 90.0


class Load(AbstractContextManager["Load"]):
    """Sends `records_per_s` until `stop` or the end of the block; then everything is flushed."""

    def __init__(self, bootstrap: str, source: Source, *, records_per_s: int, topic: str = "swarm.metrics") -> None:
        self.sent = 0
        self.acknowledged = 0
        self.failed = 0
        self._bootstrap = bootstrap
        self._source = source
        self._per_tick = max(1, int(records_per_s * TICK_S))
        self._topic = topic
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._stop.set()

    def stop(self) -> None:
        """Ends the load and waits until the log has it all."""
        self._stop.set()
        self._thread.join(STOP_WITHIN_S)
        assert not self._thread.is_alive(), f"records still wait after {STOP_WITHIN_S} s"
        self._check()

    def keep_on(self, seconds: float) -> None:
        """Lets the load go on for a while; fails at once when it has failed."""
        self._ended.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise AssertionError("the producer of the test failed") from self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._produce())
        except BaseException as error:  # told to the test's own thread
            self._error = error
        finally:
            self._ended.set()

    async def _produce(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, linger_ms=5, acks="all", request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        await producer.start()
        try:
            next_s = time.monotonic()
            while not self._stop.is_set():
                for partition, headers, value in self._source(int(time.time() * 1000), self._per_tick):
                    sent = await producer.send(self._topic, value, partition=partition, headers=list(headers))
                    sent.add_done_callback(self._settled)
                    self.sent += 1
                next_s = max(next_s + TICK_S, time.monotonic())  # after an outage nothing is made up for
                await asyncio.sleep(next_s - time.monotonic())
            await producer.flush()
        finally:
            await producer.stop()

    def _settled(self, sent: asyncio.Future[Any]) -> None:
        if sent.cancelled() or sent.exception() is not None:
            self.failed += 1
        else:
            self.acknowledged += 1


def fill(bootstrap: str, records: Iterable[Sent], *, topic: str = "swarm.metrics") -> int:
    """Puts these records into the log as fast as it takes them; returns how many."""

    async def send_all() -> int:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 19, acks="all", max_request_size=12 << 20
        )
        await producer.start()
        count = 0
        try:
            for partition, headers, value in records:
                await producer.send(topic, value, partition=partition, headers=list(headers))
                count += 1
            await producer.flush()
        finally:
            await producer.stop()
        return count

    return asyncio.run(send_all())
