"""Apache Kafka 4 on this machine, from ordinary Maven artifacts: a single KRaft node whose log survives a stop.

In: a port, a data directory. Out: the command that runs it. Never: listens beyond the loopback interface;
downloads anything but the artifacts `infra/kafka/pom.xml` names.

Needs Java 17 or newer, and Maven for the first start.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from infra.local import ports
from infra.local.broker import NAME, answers
from infra.local.layout import Layout, StackError, explain_os_error
from infra.local.process import Command

JAVA_VERSION_MIN = 17  # Kafka 4's own floor
FETCH_WITHIN_S = 600.0  # 43 MB; 22 s on a usual line
FORMAT_WITHIN_S = 60.0  # one JVM start; 2 s on an idle machine
STOP_WITHIN_S = 15.0  # a controlled stop closes its log files; after it the next start needs no recovery
CONTROLLER_PORT = 19_093  # KRaft's own listener: this one or the next free
_FOLDER = Path(__file__).resolve().parents[1] / "kafka"
_CLASS_PATH_JAR = "kafka_2.13-*.jar"
_HEAP = ("-Xms128m", "-Xmx512m")  # a laptop's worth; measured resident set after start 330 MB


def command(layout: Layout, port: int, environment: dict[str, str]) -> Command:
    """Runs one broker and controller over `data/kafka` of this home; formats it at the first start."""
    return node(layout.data / "kafka", port, environment, libs=libs_of(layout))


def node(data: Path, port: int, environment: dict[str, str], *, libs: Path) -> Command:
    """The command of a single node over `data`."""
    java = java_binary()
    properties = _write_properties(data, port)
    jvm = (
        java,
        *_HEAP,
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile={_FOLDER / 'log4j2.properties'}",
        "-cp",
        f"{libs}{os.sep}*",
    )
    if not (data / "log" / "meta.properties").exists():
        _format(jvm, properties, environment)
    argv = (*jvm, "kafka.Kafka", str(properties))
    return Command(
        NAME, argv, environment, lambda process: ports.listens(process, port) and answers(port), STOP_WITHIN_S
    )


def java_binary() -> str:
    """The `java` on PATH, new enough; raises StackError."""
    java = shutil.which("java")
    if java is None:
        raise StackError(f"Apache Kafka needs Java {JAVA_VERSION_MIN} or newer: install it, or use the embedded broker")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    if match is None or int(match[1]) < JAVA_VERSION_MIN:
        raise StackError(
            f"{java} is {said.splitlines()[0] if said else 'of unknown version'}: Apache Kafka needs Java "
            f"{JAVA_VERSION_MIN} or newer"
        )
    return java


def libs_of(layout: Layout) -> Path:
    """Where the artifacts lie: beside the pom when that folder can be written, else in the home."""
    shared = _FOLDER / "libs"
    return shared if is_complete(shared) or os.access(_FOLDER, os.W_OK) else layout.home / "kafka-libs"


def is_complete(libs: Path) -> bool:
    """The folder appears only whole, so one jar stands for all."""
    return any(libs.glob(_CLASS_PATH_JAR))


def fetch(libs: Path) -> None:
    """Has Maven copy the broker and its dependencies to `libs`; does nothing when they are there."""
    if is_complete(libs):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Apache Kafka is not here yet and Maven (mvn) is missing to fetch it: install Maven")
    try:
        partial = Path(tempfile.mkdtemp(dir=libs.parent, prefix=".kafka-libs-"))
    except OSError as error:
        raise explain_os_error(error, libs.parent) from None
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}")
    try:
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(_FOLDER / "pom.xml"), *goal],
            capture_output=True,
            text=True,
            timeout=FETCH_WITHIN_S,
            check=False,
        )
        if done.returncode != 0 or not is_complete(partial):
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise StackError(f"Maven could not fetch Apache Kafka: {lines[0] if lines else f'exit {done.returncode}'}")
        partial.chmod(0o755)
        if not is_complete(libs):  # another process may have been faster
            partial.rename(libs)
    except subprocess.TimeoutExpired:
        raise StackError(
            f"Maven did not fetch Apache Kafka within {FETCH_WITHIN_S:g} s: is the network slow?"
        ) from None
    except OSError as error:
        raise explain_os_error(error, libs) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_properties(data: Path, port: int) -> Path:
    controller_port = ports.choose(CONTROLLER_PORT, None, flag="--kafka-port", used=frozenset({port}))
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{ports.LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{ports.LOOPBACK}:{port},CONTROLLER://{ports.LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{ports.LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data / "log"),
        "auto.create.topics.enable": "false",  # topics have settings; the worker creates them with these
        "group.initial.rebalance.delay.ms": "0",  # no other member is coming to a laptop
        "offsets.topic.num.partitions": "4",
        # One node can hold one replica of Kafka's own topics.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    path = data / "server.properties"
    try:
        data.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{k}={_escaped(v)}\n" for k, v in settings.items()), encoding="ascii")
    except OSError as error:
        raise explain_os_error(error, data) from None
    return path


def _escaped(value: str) -> str:
    """A value of a Java properties file: backslashes doubled, everything beyond ASCII as \\uXXXX."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def cluster_id(drawn: uuid.UUID) -> str:
    """Kafka's text form of an id: 22 characters of URL-safe base64, the first not a dash.

    One id in 64 would begin with a dash, and `StorageTool` would read it as another option; the first byte's
    top bit, cleared, keeps the first character among the letters.
    """
    raw = bytes([drawn.bytes[0] & 0x7F]) + drawn.bytes[1:]
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _format(jvm: tuple[str, ...], properties: Path, environment: dict[str, str]) -> None:
    argv = (*jvm, "kafka.tools.StorageTool", "format", "-t", cluster_id(uuid.uuid4()), "-c", str(properties))
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=FORMAT_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"formatting {properties.parent} took longer than {FORMAT_WITHIN_S:g} s") from None
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise StackError(f"Apache Kafka cannot use {properties.parent}: {said[-1] if said else 'no output'}")
