"""Real alerter processes for tests, and window rows on the topic as the workers write them.

In: settings. Out: processes started, killed and stopped by their own pid; records. Never: leaves a process behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaProducer

from models.settings import Settings, environment_of
from sinks.clickhouse.client import connect
from streams.topics import WINDOWS, ensure_topics
from tests.support.alerting import rule
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 20.0


class AlerterProcess:
    """One `python -m streams.alert_worker`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.home / "alerter.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> AlerterProcess:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        (self.settings.home / "run" / "alerter.status.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.alert_worker"],
                cwd=ROOT,
                env=os.environ | environment_of(self.settings),
                stdout=log,
                stderr=log,
            )
        return self

    def await_ready(self) -> AlerterProcess:
        """Returns when it has read everything there is."""
        assert self.process is not None
        ended = self.process.poll
        eventually(lambda: self.status().get("caught_up") or ended() is not None, "the alerter has caught up")
        assert ended() is None, f"it ended with {ended()}: {self.output()[-2_000:]}"
        return self

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)

    def terminate(self) -> int:
        """Asks it to stop; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def status(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.settings.home / "run" / "alerter.status.json").read_bytes()))
        except (FileNotFoundError, ValueError):
            return {}

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def alerter(settings: Settings) -> Iterator[AlerterProcess]:
    """A started alerter that has caught up; gone afterwards."""
    process = AlerterProcess(settings).start()
    try:
        yield process.await_ready()
    finally:
        process.kill()


def rules_file(home: Path, *given: Mapping[str, Any]) -> Path:
    """A rule file of partly given rules."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [rule(**fields) for fields in given]}, sort_keys=False))
    return path


def window_value(
    end_ms: int, mean: float, *, swarm: str = "s1", partition: int = 0, ver: int = 1, **changes: Any
) -> bytes:
    """A swarm's closed 10 s window of error_rate, as JSON."""
    row = {
        "swarm_id": swarm,
        "metric": "error_rate",
        "window_ms": 10_000,
        "window_start": end_ms - 10_000,
        "log_id": "l",
        "topic": "swarm.metrics",
        "partition": partition,
        "fold_version": 1,
        "unit": "",
        "events": 10,
        "weight_sum": 10.0,
        "sum": mean * 10,
        "min": mean,
        "max": mean,
        "mean": mean,
        "m2": 0.0,
        "last": mean,
        "last_at": end_ms - 1,
        "p50": mean,
        "p90": mean,
        "p95": mean,
        "p99": mean,
        "closed": 1,
        "ver": ver,
        "agents": 1,
        **changes,
    }
    return json.dumps(row).encode()


async def publish_windows(settings: Settings, *rows: tuple[int, float], swarm: str = "s1") -> None:
    """Writes (end, mean) windows to the topic, spread over its partitions, stamped a few seconds after their end."""
    await ensure_topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", enable_idempotence=False)
    await producer.start()
    try:
        for end_ms, mean in rows:
            key = f"{swarm}|error_rate|10000|{end_ms - 10_000}".encode()
            place = (end_ms // 10_000) % settings.partitions
            await producer.send_and_wait(
                settings.topic_prefix + WINDOWS,
                window_value(end_ms, mean, swarm=swarm),
                key,
                partition=place,
                timestamp_ms=end_ms + 6_000,
            )
    finally:
        await producer.stop()


def alerts_in(settings: Settings, sql: str = "SELECT * FROM v_alert_history ORDER BY at, seq") -> list[dict[str, Any]]:
    """Rows of a view, as dictionaries."""
    client = connect(settings)
    try:
        result = client.query(sql)
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
    finally:
        client.close()
