"""Three nodes of Apache Kafka, each broker and controller: what one of them leads moves when it is killed.

In: nothing. Out: their addresses; which node leads what. Never: shared between tests; more than one node away.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.local import kafka
from models.settings import inherited_environment
from tests.support.brokers import free_port
from tests.support.kafka import ApacheKafka, libs_or_skip
from tests.support.waiting import eventually

NODES: Final = (1, 2, 3)
REPLICAS: Final = len(NODES)
REPLICAS_MIN: Final = 2  # a write is acknowledged by so many: one node may always be away
# Three JVMs on a small machine: a small heap, and less work on starting than on speed.
JVM: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
CLEANER_BYTES: Final = 16 << 20  # of its 128 MiB a heap this small may have no room left
QUORUM_STATE: Final = Path("log/__cluster_metadata-0/quorum-state")


class KafkaCluster:
    """`nodes` by their id. The questions are answered by the nodes that are up."""

    def __init__(self, directory: Path, libs: Path) -> None:
        self.nodes = {n: ApacheKafka(directory / f"kafka-{n}", libs) for n in NODES}
        voters = {n: f"127.0.0.1:{free_port()}" for n in NODES}
        for n, node in self.nodes.items():
            node.properties = _properties(n, node.port, voters)
            node.jvm_options = JVM
        self._libs = libs

    @property
    def bootstrap(self) -> str:
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> KafkaCluster:
        self._format()
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.await_answer()
        return self

    def pause(self) -> None:
        for node in self.nodes.values():
            node.pause()

    def resume(self) -> None:
        for node in self.nodes.values():
            node.resume()

    def kill(self) -> None:
        for node in self.nodes.values():
            node.kill()

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()

    def leaders(self, topic: str) -> list[int]:
        """The nodes that lead partitions of the topic, each once; -1 where a partition has none."""
        return sorted({int(p["leader"]) for p in self._partitions(topic)})

    def coordinator(self, group: str) -> int:
        """The node that coordinates a consumer group."""

        async def ask(admin: AIOKafkaAdminClient) -> int:
            return int(await admin.find_coordinator(group))

        return int(self._ask(ask))

    def controller(self) -> int:
        """The node that leads the quorum of controllers, by what the nodes have written down of its newest epoch."""
        told = [json.loads((node.data / QUORUM_STATE).read_bytes()) for node in self.nodes.values()]
        return int(max(told, key=lambda state: state["leaderEpoch"])["leaderId"])

    def await_in_sync(self) -> None:
        """Returns when each partition of each topic has all its replicas in step: the next node may be killed."""
        eventually(lambda: all(len(p["isr"]) == REPLICAS for p in self._partitions()), "all replicas are in step")

    def _partitions(self, topic: str | None = None) -> list[dict[str, Any]]:
        async def ask(admin: AIOKafkaAdminClient) -> list[dict[str, Any]]:
            return list(await admin.describe_topics())

        return [p for t in self._ask(ask) if topic in (None, t["topic"]) for p in t["partitions"]]

    def _ask(self, question: Any) -> Any:
        async def asked() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            try:
                await admin.start()
                return await question(admin)
            finally:
                await admin.close()

        def answer() -> tuple[Any] | None:
            try:
                return (asyncio.run(asked()),)
            except KafkaError:  # it asked the node that is away
                return None

        return eventually(answer, "a node answers")[0]  # type: ignore[index]  # a true answer is a tuple

    def _format(self) -> None:
        """One node is formatted; the others get its copy, as all must carry the same id of the cluster."""
        first, *others = self.nodes.items()
        kafka.node(first[1].data, first[1].port, inherited_environment(), libs=self._libs)
        for n, node in others:
            shutil.copytree(first[1].data / "log", node.data / "log")
            meta = node.data / "log" / "meta.properties"
            own = {"node.id": str(n), "directory.id": kafka.cluster_id(uuid.uuid4())}
            read = dict(line.split("=", 1) for line in meta.read_text().splitlines() if not line.startswith("#"))
            meta.write_text("".join(f"{name}={value}\n" for name, value in (read | own).items()))


def _properties(n: int, port: int, voters: dict[int, str]) -> dict[str, str]:
    """What differs from the single node of `infra.local.kafka`."""
    replicas, fewest = str(REPLICAS), str(REPLICAS_MIN)
    return {
        "node.id": str(n),
        "controller.quorum.voters": ",".join(f"{voter}@{address}" for voter, address in voters.items()),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://{voters[n]}",
        "log.cleaner.dedupe.buffer.size": str(CLEANER_BYTES),
        "min.insync.replicas": fewest,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": fewest,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": fewest,
    }


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """A running cluster for the block; skips the test where it cannot run."""
    with tempfile.TemporaryDirectory(prefix="murmur-kafka-cluster-") as directory, ExitStack() as stack:
        cluster = KafkaCluster(Path(directory), libs_or_skip(Path(directory)))
        stack.callback(cluster.kill)
        yield cluster.start()
