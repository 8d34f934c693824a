"""The real ClickHouse engine for tests: the product's own embedded server, or any ClickHouse by its URL.

In: nothing, or MURMUR_TEST_CLICKHOUSE_URL (with credentials in the URL). Out: settings of a migrated, empty database.
Never: touches a database it did not create; leaves a process behind.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import SecretStr

from models.settings import Settings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.brokers import free_port

URL_VARIABLE = "MURMUR_TEST_CLICKHOUSE_URL"
READY_TIMEOUT_S = 60.0  # the engine itself opens in about a second; a busy machine takes longer
STOP_TIMEOUT_S = 10.0
RESTART_AFTER_S = 0.5
ROOT = Path(__file__).parents[2]


class EmbeddedClickHouse:
    """One server process on a data directory that outlives it."""

    def __init__(self, data: Path, port: int | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        return Settings(clickhouse_url=f"http://127.0.0.1:{self.port}")

    def start(self, *extra: str) -> EmbeddedClickHouse:
        self.data.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "infra.local.clickhouse_http", "--port", str(self.port)]
        with (self.data.parent / "clickhouse.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), *extra], cwd=ROOT, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                text = (self.data.parent / "clickhouse.log").read_text()[-2000:]
                raise RuntimeError(f"the server ended with exit code {self.process.returncode}: {text}")
            if self._answers():
                return self
            time.sleep(0.05)
        raise TimeoutError(f"no ClickHouse on port {self.port} after {READY_TIMEOUT_S} s")

    @contextmanager
    def supervised(self) -> Iterator[list[int]]:
        """Starts it again whenever it has ended, as `murmur up` does; gives the exit codes it ended with."""
        codes: list[int] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(RESTART_AFTER_S):
                if self.process is None or self.process.poll() is None:
                    continue
                codes.append(self.process.returncode)
                with suppress(RuntimeError):  # no room yet: the next look starts it again
                    self.start()

        watcher = threading.Thread(target=watch, name="clickhouse-supervisor")
        watcher.start()
        try:
            yield codes
        finally:
            over.set()
            watcher.join()

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
            self.process = None

    def stop(self) -> None:
        """Ends it; harmless when it has ended."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=1) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


_shared: EmbeddedClickHouse | None = None


def server_settings() -> Settings:
    """Settings of the one server of this test process, which is started on first use."""
    global _shared
    url = os.environ.get(URL_VARIABLE)
    if url:
        parts = urlsplit(url)
        return Settings(
            clickhouse_url=f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}",
            clickhouse_user=unquote(parts.username or "default"),
            clickhouse_password=SecretStr(unquote(parts.password or "")),
        )
    if _shared is None:
        require_engine()
        home = Path(tempfile.mkdtemp(prefix="murmur-test-clickhouse-"))
        server = EmbeddedClickHouse(home / "data")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        atexit.register(server.stop)
        _shared = server.start()
    return _shared.settings


def require_engine() -> None:
    """Skips the test where the embedded engine is not installed."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip(f"chdb is not installed (extra `embedded`) and {URL_VARIABLE} is not set")


@contextmanager
def empty_database() -> Iterator[Settings]:
    """A database of its own without any table; dropped afterwards."""
    server = server_settings()
    settings = server.model_copy(update={"clickhouse_database": f"t_{uuid.uuid4().hex[:12]}"})
    migrate.ensure_database(settings).close()  # type: ignore[union-attr]  # None only in a dry run
    try:
        yield settings
    finally:
        client = connect(server)
        client.command(f"DROP DATABASE IF EXISTS `{settings.clickhouse_database}` SYNC")
        client.close()


@contextmanager
def migrated_database() -> Iterator[Settings]:
    """A database of its own with the whole schema; dropped afterwards."""
    with empty_database() as settings:
        migrate.migrate(settings)
        yield settings
