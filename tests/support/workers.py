"""Real worker processes for tests: started, killed, frozen and stopped by their own pid.

In: settings. Out: processes and their status files. Never: leaves a process behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.settings import Settings, environment_of
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 15.0
QUICK = {
    "flush_interval_ms": 100,
    "snapshot_interval_ms": 200,
    "session_timeout_ms": 6_000,  # the shortest a broker allows
}


def quick_settings(clickhouse: Settings, bootstrap: str, home: Path, **changes: Any) -> Settings:
    """Settings of a group of its own whose workers flush and save many times a second."""
    own = {"kafka_bootstrap": bootstrap, "home": home, "app_id": f"murmur-{os.urandom(3).hex()}"}
    return clickhouse.model_copy(update=own | QUICK | changes)


class WorkerProcess:
    """One `python -m streams.worker`."""

    def __init__(self, settings: Settings, name: str = "worker-1") -> None:
        self.settings = settings
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.log = settings.home / f"{name}.log"

    def start(self) -> WorkerProcess:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.worker", "--name", self.name],
                cwd=ROOT,
                env=os.environ | environment_of(self.settings),
                stdout=log,
                stderr=log,
            )
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def terminate(self) -> int:
        """Asks it to stop; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def wait(self, timeout_s: float) -> int:
        """Waits for it to end by itself; returns its exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """Makes sure that it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()

    def await_ready(self) -> None:
        """Returns when it says that it is ready; fails with its own words when it ended instead."""
        assert self.process is not None
        ended = self.process.poll
        eventually(lambda: self.status().get("ready") or ended() is not None, f"{self.name} is ready")
        assert ended() is None, f"{self.name} ended with {ended()}: {self.output()[-2_000:]}"

    def status(self) -> dict[str, Any]:
        path = self.settings.home / "run" / f"{self.name}.status.json"
        try:
            return dict(json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError):
            return {}

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def worker(settings: Settings, name: str = "worker-1") -> Iterator[WorkerProcess]:
    """A started worker; gone afterwards."""
    process = WorkerProcess(settings, name).start()
    try:
        yield process
    finally:
        process.close()
