"""Kafka with TLS, client certificates, users and passwords: what is right works everywhere, what is wrong says so."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings, SettingsError, load
from models.tls import kafka_tls
from murmur import Publisher, Security
from sinks.clickhouse.client import connect
from tests.support.secure_kafka import PASSWORD, USER, SecureKafka, secure_kafka
from tests.support.stacks import murmur
from tests.support.waiting import eventually
from tests.support.workers import worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

ROWS_WITHIN_S = 60.0
WRONG = "canary-wrong-5512"  # must never be printed
WAYS = ("tls", "certificate", "plain", "scram-256", "scram-512")


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecureKafka]:
    with secure_kafka() as node:
        yield node


def access(kafka: SecureKafka, way: str) -> dict[str, Any]:
    """The settings of each way in."""
    tls = {"kafka_ssl_ca_file": kafka.certificates.ca}
    user = {"kafka_sasl_username": USER, "kafka_sasl_password": PASSWORD}
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "tls": ("TLS", tls | {"kafka_security_protocol": "SSL"}),
        "certificate": (
            "MTLS",
            tls
            | {
                "kafka_security_protocol": "SSL",
                "kafka_ssl_cert_file": kafka.certificates.of("client.crt"),
                "kafka_ssl_key_file": kafka.certificates.of("client.key"),
            },
        ),
        "plain": (
            "USERS",
            user | {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN"},
        ),
        "scram-256": (
            "TLSUSERS",
            tls | user | {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-256"},
        ),
        # Snapshots on the secured broker as well: its producers and readers are clients of ours too.
        "scram-512": ("TLSUSERS", tls | user | {"kafka_security_protocol": "SASL_SSL", "snapshot_store": "kafka"}),
    }
    listener, settings = ways[way]
    return settings | {"kafka_bootstrap": kafka.address(listener)}


def security_of(settings: Settings) -> Security:
    """The same for the client that agents embed."""
    return Security(
        protocol=settings.kafka_security_protocol,  # type: ignore[arg-type]  # never PLAINTEXT here
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password.get_secret_value(),
        mechanism=settings.kafka_sasl_mechanism,
        ca_file=settings.kafka_ssl_ca_file,
        cert_file=settings.kafka_ssl_cert_file,
        key_file=settings.kafka_ssl_key_file,
    )


@pytest.mark.parametrize("way", WAYS)
async def test_events_pass_from_the_publisher_to_the_rows(
    kafka: SecureKafka, clickhouse: Settings, tmp_path: Path, way: str
) -> None:
    changes = access(kafka, way) | {"home": tmp_path, "topic_prefix": f"{way}.", "app_id": way, "partitions": 1}
    given = clickhouse.model_dump(exclude_unset=True) | changes
    settings = load(**given)
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        with Publisher(
            settings.kafka_bootstrap, swarm_id=way, topic_prefix=f"{way}.", security=security_of(settings)
        ) as publisher:
            publisher.emit("cost_usd", 1)
            assert publisher.flush(timeout_s=ROWS_WITHIN_S), publisher.stats()
        line = json.dumps({"swarm_id": way, "metric": "cost_usd", "value": 2}).encode()
        published = await asyncio.to_thread(_murmur, settings, changes, "publish", "--stamp", stdin=line)
        assert published.returncode == 0, published.stderr
        await asyncio.to_thread(eventually, lambda: _values(settings, way) == [1.0, 2.0], within_s=ROWS_WITHIN_S)
        doctor = await asyncio.to_thread(_murmur, settings, changes, "doctor", "--format", "json")
        found = {f["check"]: f["state"] for f in json.loads(doctor.stdout)}
        assert (found["broker"], found["topics"], found["worker-1"]) == ("ok", "ok", "ok")
        assert await asyncio.to_thread(process.terminate) == 0
        written = process.output() + json.dumps(process.status()) + published.stdout + doctor.stdout
        assert PASSWORD not in written


def _wrong_ways(kafka: SecureKafka) -> dict[str, tuple[dict[str, Any], str]]:
    """Settings that cannot work, and what has to be checked."""
    return {
        "password": (access(kafka, "scram-512") | {"kafka_sasl_password": WRONG}, "MURMUR_KAFKA_SASL_PASSWORD"),
        "plain password": (access(kafka, "plain") | {"kafka_sasl_password": WRONG}, "MURMUR_KAFKA_SASL_PASSWORD"),
        "user": (access(kafka, "scram-256") | {"kafka_sasl_username": "nobody"}, "MURMUR_KAFKA_SASL_USERNAME"),
        "authority": (
            access(kafka, "tls") | {"kafka_ssl_ca_file": kafka.certificates.stranger},
            "MURMUR_KAFKA_SSL_CA_FILE",
        ),
        "a password to a listener without users": (
            access(kafka, "scram-512") | {"kafka_bootstrap": kafka.address("TLS")},
            "MURMUR_KAFKA_SECURITY_PROTOCOL",
        ),
    }


@pytest.mark.parametrize(
    "case", ["password", "plain password", "user", "authority", "a password to a listener without users"]
)
def test_what_the_broker_refuses_is_one_line_that_says_what_to_check(
    kafka: SecureKafka, clickhouse: Settings, tmp_path: Path, case: str
) -> None:
    changes, named = _wrong_ways(kafka)[case]
    changes |= {"home": tmp_path / "home"}
    settings = load(**(clickhouse.model_dump(exclude_unset=True) | changes))
    with worker(settings) as process:
        assert process.wait(60) == 1
    last = process.output().strip().splitlines()[-1]
    assert last.startswith("murmur worker: Kafka at 127.0.0.1:")
    assert named in last
    line = b'{"swarm_id":"s","metric":"m","value":1}'
    done = _murmur(settings, changes, "publish", "--stamp", stdin=line)
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    doctor = _murmur(settings, changes, "doctor", "--format", "json")
    (broker,) = [f for f in json.loads(doctor.stdout) if f["check"] == "broker"]
    assert (doctor.returncode, broker["state"]) == (1, "fail")
    for text in (process.output(), done.stdout, done.stderr, doctor.stdout, doctor.stderr):
        assert WRONG not in text
        assert PASSWORD not in text


@pytest.mark.parametrize("listener", ["MTLS", "USERS"])
def test_a_listener_that_hangs_up_without_a_reason_is_one_line_with_the_settings_to_check(
    kafka: SecureKafka, tmp_path: Path, listener: str
) -> None:
    """Without the certificate it asks for, or with TLS where it speaks none, a broker only closes the connection."""
    changes = access(kafka, "tls") | {"kafka_bootstrap": kafka.address(listener), "home": tmp_path / "home"}
    done = _murmur(load(**changes), changes, "publish", "--stamp", stdin=b'{"swarm_id":"s","metric":"m","value":1}')
    assert done.returncode == 1
    assert "Kafka at 127.0.0.1:" in done.stderr
    assert "MURMUR_KAFKA_SECURITY_PROTOCOL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_publisher_that_is_refused_goes_on_and_shows_no_password(
    kafka: SecureKafka, caplog: pytest.LogCaptureFixture
) -> None:
    security = Security(username=USER, password=WRONG, ca_file=kafka.certificates.ca)
    with Publisher(kafka.address("TLSUSERS"), swarm_id="s", security=security) as publisher:
        publisher.emit("m", 1)
        eventually(lambda: "refuses this user, password or certificate" in caplog.text, within_s=30)
        assert publisher.stats().acknowledged == 0
        publisher.close(timeout_s=0.1)
    assert WRONG not in caplog.text + repr(security) + repr(publisher.__dict__)


def test_a_file_that_is_no_certificate_is_named_with_its_setting(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing of that kind")
    for path in (wrong, tmp_path / "missing.pem"):
        settings = load(kafka_security_protocol="SSL", kafka_ssl_ca_file=path)
        with pytest.raises(SettingsError, match=r"MURMUR_KAFKA_SSL_CA_FILE: .*pem: not usable"):
            kafka_tls(settings)


def _murmur(
    settings: Settings, changes: dict[str, Any], *args: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    said = {name: str(value) for name, value in changes.items() if name != "home"}
    said |= {"clickhouse_url": settings.clickhouse_url, "clickhouse_user": settings.clickhouse_user}
    said |= {"clickhouse_password": settings.clickhouse_password.get_secret_value()}
    said |= {"clickhouse_database": settings.clickhouse_database}
    return murmur(*args, home=settings.home, stdin=stdin, settings=said)


def _values(settings: Settings, swarm: str) -> list[float]:
    client = connect(settings)
    try:
        sql = "SELECT value FROM v_metrics WHERE swarm_id = {swarm:String} ORDER BY value"
        return [row[0] for row in client.query(sql, parameters={"swarm": swarm}).result_rows]
    finally:
        client.close()
