"""An Apache Kafka that asks who is there: TLS, client certificates, users and passwords, each on a listener of its own.

In: a temporary directory. Out: addresses and PEM files, made by openssl for this one run. Never: listens beyond the
loopback interface.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.local.kafka import java_binary
from tests.support.brokers import free_port
from tests.support.kafka import ApacheKafka, libs_or_skip

USER, PASSWORD = "writer", "canary-Tn4 x=,;"  # signs that a careless configuration file would trip over
LISTENERS = {"TLS": "SSL", "MTLS": "SSL", "USERS": "SASL_PLAINTEXT", "TLSUSERS": "SASL_SSL"}
COMMAND_WITHIN_S = 60


@dataclass(slots=True)
class Certificates:
    """A certificate authority, a broker and a client it signed, and an authority that nobody trusts."""

    folder: Path
    ca: Path = field(init=False)
    stranger: Path = field(init=False)

    def __post_init__(self) -> None:
        self.ca = self._authority("ca")
        self.stranger = self._authority("stranger")
        for name in ("broker", "client"):
            self._signed(name)
        pem = (self.folder / "broker.key").read_text() + (self.folder / "broker.crt").read_text()
        (self.folder / "broker.pem").write_text(pem)

    def of(self, name: str) -> Path:
        return self.folder / name

    def _authority(self, name: str) -> Path:
        key, cert = self.of(f"{name}.key"), self.of(f"{name}.crt")
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", str(key), "-out", str(cert))  # fmt: skip
        return cert

    def _signed(self, name: str) -> None:
        key, request, cert, names = (self.of(f"{name}.{kind}") for kind in ("key", "csr", "crt", "ext"))
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", str(key), "-out", str(request))  # fmt: skip
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.of("ca.key")),
                 "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out", str(cert))  # fmt: skip


@dataclass(slots=True)
class SecureKafka:
    """A running node. `address(listener)`: where each kind of listener of LISTENERS answers."""

    node: ApacheKafka
    ports: dict[str, int]
    certificates: Certificates

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"


@contextmanager
def secure_kafka() -> Iterator[SecureKafka]:
    """Runs for the block; skips the test where Java, the artifacts or openssl are missing."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make certificates with")
    with tempfile.TemporaryDirectory(prefix="murmur-secure-kafka-") as directory:
        libs = libs_or_skip(Path(directory))
        certificates = Certificates(Path(directory))
        ports = {name: free_port() for name in LISTENERS}
        node = ApacheKafka(Path(directory) / "kafka", libs)
        node.properties = _properties(node.port, ports, certificates)
        node.start()
        try:
            _add_scram_user(node, libs)
            yield SecureKafka(node, ports, certificates)
        finally:
            node.stop()


def _properties(port: int, ports: dict[str, int], certificates: Certificates) -> dict[str, str]:
    """What differs from the node of `infra.local.kafka`; its plain listener stays for the controller and the set-up."""
    own = ",".join(f"{name}://127.0.0.1:{number}" for name, number in {"PLAINTEXT": port, **ports}.items())
    kinds = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
    controller = free_port()
    properties = {
        "listeners": f"{own},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "advertised.listeners": own,
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in kinds.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.of("broker.pem")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca),
        "listener.name.mtls.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    }
    module = "org.apache.kafka.common.security"
    for listener in ("users", "tlsusers"):
        prefix = f"listener.name.{listener}"
        properties[f"{prefix}.plain.sasl.jaas.config"] = (
            f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        )
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            properties[f"{prefix}.{mechanism}.sasl.jaas.config"] = f"{module}.scram.ScramLoginModule required;"
    return properties


def _add_scram_user(node: ApacheKafka, libs: Path) -> None:
    for bits in (256, 512):  # the broker refuses both in one request
        command = (
            *(java_binary(), "-cp", f"{libs}/*", "kafka.admin.ConfigCommand", "--bootstrap-server", node.bootstrap),
            *("--alter", "--entity-type", "users", "--entity-name", USER),
            *("--add-config", f"SCRAM-SHA-{bits}=[password={PASSWORD}]"),
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _openssl(*arguments: str) -> None:
    done = subprocess.run(
        ("openssl", *arguments), capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stderr
