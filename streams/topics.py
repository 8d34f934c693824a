"""Every topic in one table, and the code that creates them.

In: settings. Out: topics on the broker, each log's identity. Never: deletes or alters a topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError
from aiokafka.protocol.metadata import MetadataRequest

from models.settings import Settings
from sinks.kafka.security import client_options, refusal
from sinks.kafka.starting import ask_broker, start_whole
from streams.log_identity import read_topic_ids

METRICS: Final = "swarm.metrics"
ACTIVITIES: Final = "swarm.activities"
WINDOWS: Final = "swarm.windows"
ANOMALIES: Final = "swarm.anomalies"
ALERTS: Final = "swarm.alerts"
ALERT_COMMANDS: Final = "swarm.alert-commands"
CONTROL: Final = "swarm.control"
DEAD_LETTERS: Final = "swarm.dead-letters"
STATE: Final = "<app_id>-state"  # full_name puts the group's name in its place

_DAY_MS: Final = 86_400_000
# Twice what the decoder accepts: an oversized record shall become a dead letter that says so, not a send that fails
# in the producer with nothing to look at afterwards.
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
# How long a broker may hold back its answer to whoever follows topics as they grow. The embedded one takes all of it
# while any partition of the fetch is silent, though others have records; Apache Kafka answers with the first record.
FETCH_WAIT_MS: Final = 100
# A node answers for a topic some time after the controller has created it: milliseconds, seconds on a busy machine.
SPREAD_S: Final = 10.0
SPREAD_LOOK_S: Final = 0.1
CREATE_TIMEOUT_MS: Final = 30_000  # a KRaft node that has just started answers within a few seconds


# A snapshot replaces another every few seconds. Without these the broker would keep a gigabyte or a week of replaced
# ones a partition, and a resuming worker would read them.
_STATE_CONFIG: Final = {
    "segment.bytes": str(64 * 1024 * 1024),
    "segment.ms": str(3_600_000),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": str(3_600_000),
    "message.timestamp.type": "CreateTime",
}


class TopicError(Exception):
    """The broker refuses a topic or us, or a topic is not what the table says; one line, with what to do."""


class BrokerAwayError(TopicError):
    """No broker answers; it may come back."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table. `source`: folded by the workers. `state`: made only where snapshots go to Kafka."""

    name: str
    key: str
    value: str
    retention_ms: int
    source: bool = False
    compacted: bool = False
    state: bool = False
    written_by: str = "workers"

    def config(self) -> dict[str, str]:
        """The broker-side configuration of this topic."""
        if self.state:
            return {"cleanup.policy": "compact", "max.message.bytes": str(MESSAGE_BYTES_MAX), **_STATE_CONFIG}
        return {
            "cleanup.policy": "compact,delete" if self.compacted else "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            # Sources carry the broker's own stamp, so that a producer's wrong clock cannot move a watermark.
            # The embedded broker ignores this and keeps the producer's stamp: see docs/guarantees.md.
            "message.timestamp.type": "LogAppendTime" if self.source else "CreateTime",
        }


TOPICS: Final[tuple[Topic, ...]] = (
    Topic(
        METRICS,
        "swarm_id or swarm_id/agent_id",
        "MetricEvent: one, array, NDJSON or columnar batch",
        7 * _DAY_MS,
        source=True,
    ),
    Topic(ACTIVITIES, "swarm_id", "ActivityEvent: one, array or NDJSON", 30 * _DAY_MS, source=True),
    Topic(WINDOWS, "row identity", "window row, absolute values, ver", 7 * _DAY_MS, compacted=True),
    Topic(ANOMALIES, "anomaly id", "anomaly with evidence", 30 * _DAY_MS),
    Topic(CONTROL, "advisory id", "verdict on a finding: action proposed, evidence, expiry", 30 * _DAY_MS),
    Topic(ALERTS, "alert id, number", "one transition of an alert", 30 * _DAY_MS, written_by="alerter"),
    Topic(ALERT_COMMANDS, "none", "acknowledge, resolve, silence", 30 * _DAY_MS, written_by="`murmur alerts`"),
    Topic(DEAD_LETTERS, "source coordinates", "original bytes, reason in headers", 30 * _DAY_MS),
    Topic(STATE, "place, next offset, chunk", "a chunk of a snapshot, or its head", 7 * _DAY_MS, state=True),
)
SOURCE_TOPICS: Final = tuple(t.name for t in TOPICS if t.source)


def full_name(settings: Settings, name: str) -> str:
    """The name on the broker: the prefix, then the name of the table."""
    return settings.topic_prefix + name.replace("<app_id>", settings.app_id)


def topics_of(settings: Settings) -> list[Topic]:
    """The topics this installation uses."""
    return [t for t in TOPICS if not t.state or settings.snapshot_store == "kafka"]


async def ensure_topics(settings: Settings) -> None:
    """Creates what is missing; existing topics are left as they are.

    Raises BrokerAwayError when no broker answers, TopicError when it refuses.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap, client_id="murmur-topics", **client_options(settings)
    )
    try:
        await start_whole(admin.start())
        existing = set(await admin.list_topics())
        missing = [t for t in topics_of(settings) if full_name(settings, t.name) not in existing]
        if missing:
            await _create(admin, settings, missing)
    except (KafkaError, OSError) as error:
        raise await broker_error(settings, error) from error
    finally:
        await admin.close()


async def broker_error(settings: Settings, error: BaseException) -> TopicError:
    """What a failed call means: TopicError where the broker refuses us for good, BrokerAwayError where it is away."""
    refused = await refusal(settings)
    if refused is not None:
        return TopicError(refused)
    # aiokafka's own text for this is a list of socket families.
    reason = "no broker answers" if isinstance(error, KafkaConnectionError) else str(error)
    return BrokerAwayError(
        f"Kafka at {settings.kafka_bootstrap}: not reachable: {reason}. Check MURMUR_KAFKA_BOOTSTRAP, that the broker "
        f"runs, and MURMUR_KAFKA_SECURITY_PROTOCOL ({settings.kafka_security_protocol})."
    )


async def _create(admin: AIOKafkaAdminClient, settings: Settings, missing: list[Topic]) -> None:
    new = [
        NewTopic(
            full_name(settings, t.name),
            num_partitions=settings.partitions,
            replication_factor=settings.replication_factor,
            topic_configs=t.config(),
        )
        for t in missing
    ]
    try:
        response = await admin.create_topics(new, timeout_ms=CREATE_TIMEOUT_MS)
    except TopicAlreadyExistsError:
        return  # another worker was faster
    for name, code, *rest in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicError(f"topic {name} was refused with Kafka error {code}: {rest[0] if rest else ''}")


async def partitions_of(settings: Settings, names: Sequence[str]) -> dict[str, list[int]]:
    """Full topic name -> its partitions, for those the broker knows (yet). Creates none, unlike aiokafka's admin.

    Raises KafkaError when no broker answers.
    """
    request = MetadataRequest(list(names), allow_auto_topic_creation=False)
    found = (await ask_broker(settings, request)).to_object()["topics"]
    return {t["topic"]: sorted(p["partition"] for p in t["partitions"]) for t in found if not t["error_code"]}


async def partition_count(settings: Settings, name: str) -> int:
    """How many partitions a topic of the table has on the broker. Raises BrokerAwayError, TopicError."""
    topic = full_name(settings, name)
    deadline = asyncio.get_running_loop().time() + SPREAD_S
    while True:
        try:
            found = await partitions_of(settings, [topic])
        except (KafkaError, OSError) as error:
            raise await broker_error(settings, error) from error
        if found.get(topic):
            return len(found[topic])
        if asyncio.get_running_loop().time() >= deadline:
            raise TopicError(
                f"topic {topic} does not exist on {settings.kafka_bootstrap}: a worker makes it when it starts"
            )
        await asyncio.sleep(SPREAD_LOOK_S)


async def log_ids(settings: Settings, *, timeout_s: float = 30.0) -> dict[str, str]:
    """Full topic name -> id of its log (the topic's UUID), for the source topics.

    A recreated topic has a new id, so offsets that start again at 0 never meet the results of the old log.
    Raises BrokerAwayError when the broker does not tell them within `timeout_s`.
    """
    names = [full_name(settings, name) for name in SOURCE_TOPICS]
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            found = await read_topic_ids(settings, names)
            if len(found) == len(names):
                return found
            gone = " and ".join(sorted(set(names) - set(found)))
            problem = f"no topic {gone}: it was deleted, or never made. A worker that starts makes it"
        except KafkaConnectionError:
            problem = "no topic ids: no broker answers"
        except (KafkaError, OSError) as error:
            problem = f"no topic ids: {error!r}"
        if asyncio.get_running_loop().time() >= deadline:
            raise BrokerAwayError(f"Kafka at {settings.kafka_bootstrap}: {problem}")
        await asyncio.sleep(0.2)
