"""A whole installation for fault tests: broker, ClickHouse, several worker processes, and questions to all of them.

In: a broker, settings. Out: workers that are killed, frozen, stopped and started again; what must hold meanwhile.
Never: leaves a process behind; asks the engine what the log or the store can say themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.brokers import DEFAULT_TOPICS, create_topics
from tests.support.oracle import Recount
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

EVIDENCE_CHARS = 3_000  # the last lines tell what a worker waits for; CI shows only a part of a long report
STOP_WITHIN_S = 10.0  # what docs/guarantees.md promises of SIGTERM


class Broker(Protocol):
    """A broker that a test may pause or kill."""

    @property
    def bootstrap(self) -> str: ...
    def start(self) -> Any: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def kill(self) -> None: ...


class Installation:
    """`workers` by name; every fault is counted in `faults`."""

    def __init__(
        self, broker: Broker, settings: Settings, clickhouse_url: str | None, bootstraps: Mapping[str, str]
    ) -> None:
        self.broker = broker
        self.settings = settings
        self._of_workers = settings.model_copy(update={"clickhouse_url": clickhouse_url or settings.clickhouse_url})
        self._bootstraps = bootstraps
        self.workers: dict[str, WorkerProcess] = {}
        self.faults: dict[str, int] = {}
        self._folded = 0
        self._committed: list[tuple[dict[int, int], dict[int, int]]] = []  # (offsets, events stored below them)

    def start(self, name: str) -> WorkerProcess:
        """Starts a worker, or starts it again."""
        bootstrap = self._bootstraps.get(name, self.settings.kafka_bootstrap)
        settings = self._of_workers.model_copy(update={"kafka_bootstrap": bootstrap})
        process = self.workers.setdefault(name, WorkerProcess(settings, name))
        return process.start()

    def kill(self, name: str) -> None:
        """kill -9 and a new process at once."""
        self.workers[name].kill()
        self.count("kills")
        self.start(name)

    def stop(self, name: str) -> None:
        """SIGTERM: it must end with 0, in time; then it is started again."""
        started_s = time.monotonic()
        code = self.workers[name].terminate()
        took_s = time.monotonic() - started_s
        assert code == 0, self.workers[name].output()[-2_000:]
        assert took_s < STOP_WITHIN_S, f"{name} took {took_s:.1f} s to stop"
        self.count("stops")
        self.start(name)

    def count(self, what: str) -> None:
        self.faults[what] = self.faults.get(what, 0) + 1

    def await_ready(self) -> None:
        """Returns when every partition has its worker."""
        eventually(self.all_owned, "every partition is owned")

    def all_owned(self, without: str = "") -> bool:
        """Whether the workers, `without` this one, say that they own every partition."""
        owned = {place for name, places in self.assigned().items() if name != without for place in places}
        return owned == self._places()

    def shared_out(self) -> bool:
        """Whether every worker says that it is ready and owns something, and every partition has one owner."""
        owned = self.assigned()
        said = sorted(place for places in owned.values() for place in places)
        ready = all(process.status().get("ready") for process in self.workers.values())
        return ready and all(owned.values()) and said == sorted(self._places())

    def assigned(self) -> dict[str, list[str]]:
        """The partitions that each worker says it owns."""
        owned = {}
        for name, process in self.workers.items():
            status = process.status()
            # A status file outlives its process: only what the running one says counts.
            running = process.process is not None and status.get("pid") == process.process.pid
            owned[name] = list(status.get("assigned") or []) if running else []
        return owned

    def _places(self) -> set[str]:
        return {f"{t}[{n}]" for t in topics_of(self.settings) for n in range(self.settings.partitions)}

    def folds_on(self) -> bool:
        """Whether the workers have folded records since the last call that said so."""
        folded = sum(int(w.status().get("records_total") or 0) for w in self.workers.values())
        on = folded > self._folded
        self._folded = folded
        return on

    def check_alive(self) -> None:
        """Fails when a worker has ended by itself."""
        for name, process in self.workers.items():
            assert process.process is not None
            assert process.process.poll() is None, f"{name} ended: {process.output()[-2_000:]}"

    def evidence(self) -> str:
        """What each worker says of itself and the end of what it printed: the note of a failure."""
        lines = [f"faults: {self.faults}"]
        for name, process in self.workers.items():
            code = process.process.poll() if process.process is not None else "never started"
            lines += [f"{name}: exit code {code}, status {process.status()}", process.output()[-EVIDENCE_CHARS:]]
        return "\n".join(lines)

    def rss_bytes(self) -> dict[str, int]:
        """Resident memory of each worker."""
        return {
            name: psutil.Process(process.process.pid).memory_info().rss
            for name, process in self.workers.items()
            if process.process is not None and process.process.poll() is None
        }

    def committed(self) -> dict[int, int]:
        """What the group has committed of the metrics topic: partition -> next offset."""
        return asyncio.run(self._offsets())

    def sample_commits(self) -> None:
        """Notes what the group has committed, then what the store holds below it: for `check_commits`."""
        committed = self.committed()
        places = " OR ".join(f"(partition = {p} AND offset < {at})" for p, at in committed.items()) or "0"
        client = connect(self.settings)
        try:
            rows = client.query(
                f"SELECT partition, count() FROM v_metrics WHERE {places} GROUP BY partition"
            ).result_rows
        finally:
            client.close()
        self._committed.append((committed, dict(rows)))

    def check_commits(self, expected: Recount, rejected: frozenset[Any] = frozenset()) -> int:
        """At each sample all events below the committed offsets were stored, each once; returns the samples."""
        for committed, stored in self._committed:
            for partition, at in committed.items():
                due = sum(1 for p, offset, _ in expected.events - rejected if p == partition and offset < at)
                assert stored.get(partition, 0) == due, (partition, at, stored.get(partition, 0), due)
        return len(self._committed)

    async def _offsets(self) -> dict[int, int]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap, group_id=self.settings.app_id, enable_auto_commit=False
        )
        await consumer.start()
        try:
            topic = topics_of(self.settings)[0]
            places = [TopicPartition(topic, n) for n in range(self.settings.partitions)]
            consumer.assign(places)
            found = {place.partition: await consumer.committed(place) for place in places}
            return {partition: at for partition, at in found.items() if at}
        finally:
            await consumer.stop()

    def close(self) -> None:
        for process in self.workers.values():
            process.close()


def topics_of(settings: Settings) -> list[str]:
    """The source topics, metrics first."""
    return [f"{settings.topic_prefix}{name}" for name in DEFAULT_TOPICS]


@contextmanager
def installation(
    broker: Broker,
    settings: Settings,
    *,
    workers: int,
    clickhouse_url: str | None = None,
    bootstraps: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """An installation with this many workers started and ready; all of them gone afterwards.

    `clickhouse_url`: the workers' way to ClickHouse (a proxy), when it is not the one of the settings.
    `bootstraps`: the same for the broker, by the name of the worker.
    """
    create_topics(
        settings.kafka_bootstrap,
        topics_of(settings),
        partitions=settings.partitions,
        replicas=settings.replication_factor,
    )
    one = Installation(broker, settings, clickhouse_url, bootstraps or {})
    try:
        for n in range(workers):
            one.start(f"worker-{n + 1}")
        one.await_ready()
        yield one
    except BaseException as error:
        error.add_note(one.evidence())
        raise
    finally:
        one.close()
