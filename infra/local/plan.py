"""What one stack shall consist of: decided by `up`, carried out by its supervisor process.

In: settings and flags. Out: `Plan`, which travels as JSON to the supervisor. Never: holds a secret; those travel in
the environment.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.layout import StackError
from models.settings import Settings

EMBEDDED, KAFKA, EXTERNAL = "embedded", "kafka", "external"
WORKERS_MAX = 64  # more processes than partitions of any laptop's topic only wait
SESSION_TIMEOUT_MS = 6_000  # the embedded broker delays a group's start by it; the shortest the settings allow
ROOT = Path(__file__).resolve().parents[2]  # the application's own tree, first on the module path of each child
MIGRATE_COMMAND = (sys.executable, "-m", "interfaces.cli.main", "migrate")
WORKER_COMMAND = (sys.executable, "-m", "streams.worker")
ALERTER_COMMAND = (sys.executable, "-m", "streams.alert_worker")


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of a stack. A port of None means: the default one, or the next free one."""

    broker: str = EMBEDDED  # embedded | kafka | external
    clickhouse: str = EMBEDDED  # embedded | external
    kafka_port: int | None = None
    clickhouse_port: int | None = None
    workers: int = 1
    migrate_command: tuple[str, ...] = MIGRATE_COMMAND  # () : do not migrate
    worker_command: tuple[str, ...] = WORKER_COMMAND
    alerter: bool = False
    own_credentials: bool = False  # the user chose a ClickHouse user or password: the embedded server takes them
    short_session: bool = False  # nobody chose a session timeout, so the shortest serves a quick start
    die_with_parent: bool = False  # `up --foreground`: the stack ends with the command, however that ends

    def to_json(self) -> str:
        """The plan as it travels to the supervisor's process; it holds no secret."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan `to_json` wrote."""
        data = json.loads(text)
        for name in ("migrate_command", "worker_command"):
            data[name] = tuple(data[name])
        return Plan(**data)


def make_plan(
    settings: Settings,
    *,
    broker: str,
    kafka_port: int | None,
    clickhouse_port: int | None,
    workers: int,
    alerter: bool = False,
    migrate_command: tuple[str, ...] = MIGRATE_COMMAND,
    worker_command: tuple[str, ...] = WORKER_COMMAND,
    die_with_parent: bool = False,
) -> Plan:
    """An address given in the settings means: use that server, start none. Raises StackError on contradictions."""
    external_kafka = "kafka_bootstrap" in settings.model_fields_set
    external_clickhouse = "clickhouse_url" in settings.model_fields_set
    if broker not in (EMBEDDED, KAFKA):
        raise StackError(f"--broker {broker}: choose embedded or kafka")
    if not 0 <= workers <= WORKERS_MAX:
        raise StackError(f"--workers {workers}: a number from 0 to {WORKERS_MAX}")
    if external_kafka and (broker == KAFKA or kafka_port is not None):
        raise StackError(
            f"kafka_bootstrap={settings.kafka_bootstrap} names a broker that is used instead of one of our own: "
            "leave out either it or --broker kafka / --kafka-port"
        )
    if settings.kafka_security_protocol != "PLAINTEXT" and not external_kafka:
        raise StackError(
            f"kafka_security_protocol={settings.kafka_security_protocol} is for brokers of your own, the local one has "
            "no TLS and no users: set kafka_bootstrap as well, or leave it out"
        )
    if external_clickhouse and clickhouse_port is not None:
        raise StackError(
            f"clickhouse_url={settings.clickhouse_url} names a server that is used instead of the embedded one: "
            "leave out either it or --clickhouse-port"
        )
    return Plan(
        broker=EXTERNAL if external_kafka else broker,
        clickhouse=EXTERNAL if external_clickhouse else EMBEDDED,
        kafka_port=kafka_port,
        clickhouse_port=clickhouse_port,
        workers=workers,
        migrate_command=migrate_command,
        worker_command=worker_command,
        alerter=alerter,
        own_credentials=bool({"clickhouse_user", "clickhouse_password"} & settings.model_fields_set),
        short_session="session_timeout_ms" not in settings.model_fields_set and broker == EMBEDDED,
        die_with_parent=die_with_parent,
    )
