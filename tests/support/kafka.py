"""Apache Kafka as a test tool: a real single node, formatted into a temporary directory.

In: nothing. Out: a bootstrap address; the test is skipped with the reason where Java or the artifacts are missing.
Never: shared between tests that kill or freeze it.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from infra.local import kafka
from infra.local.broker import answers
from infra.local.layout import Layout, StackError
from infra.local.process import last_line, wait_until
from models.settings import inherited_environment
from tests.support.brokers import free_port

READY_WITHIN_S = 60.0  # 4 s on an idle machine
STOP_WITHIN_S = 20.0
START_ATTEMPTS = 3


class ApacheKafka:
    """One KRaft node. Its log outlives `kill` and `stop`; `start` brings it back on the same port."""

    def __init__(self, data: Path, libs: Path) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.properties: dict[str, str] = {}  # of server.properties, over those of `infra.local.kafka`
        self.jvm_options: tuple[str, ...] = ()  # after those of `infra.local.kafka`: the last one counts
        self.data = data
        self._libs = libs

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> ApacheKafka:
        self.launch()
        self.await_answer()
        return self

    def launch(self) -> None:
        """Starts the process and does not wait: a node of a cluster answers only beside others."""
        command = kafka.node(self.data, self.port, inherited_environment(), libs=self._libs)
        with (self.data / "server.properties").open("a", encoding="ascii") as file:
            file.writelines(f"{name}={value}\n" for name, value in self.properties.items())  # the last one counts
        at = command.argv.index("-cp")
        argv = (*command.argv[:at], *self.jvm_options, *command.argv[at:])
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)

    def await_answer(self) -> None:
        """Returns when the launched process answers."""
        process = self.process
        assert process is not None
        if (
            not wait_until(lambda: process.poll() is not None or answers(self.port), within_s=READY_WITHIN_S)
            or process.poll() is not None
        ):
            self.kill()
            raise RuntimeError(f"Apache Kafka did not start: {last_line(self._log)}")

    def pause(self) -> None:
        """Freezes the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once; what it acknowledged is still in its log."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it in order; harmless when it has ended."""
        if self.process is not None and self.process.poll() is None:
            self._signal(signal.SIGCONT)
        self._end(signal.SIGTERM)

    @property
    def _log(self) -> Path:
        return self.data / "kafka.log"

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self._signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_WITHIN_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None


@contextmanager
def apache_kafka(properties: Mapping[str, str] | None = None) -> Iterator[ApacheKafka]:
    """A running node for the block, with these in its server.properties; skips the test where it cannot run."""
    with tempfile.TemporaryDirectory(prefix="murmur-kafka-") as directory:
        libs = libs_or_skip(Path(directory))
        node = _started(Path(directory), libs, properties or {})
        try:
            yield node
        finally:
            node.stop()


def _started(directory: Path, libs: Path, properties: Mapping[str, str]) -> ApacheKafka:
    """A node on a port nobody else took between looking for it and listening on it."""
    for attempt in range(START_ATTEMPTS):
        node = ApacheKafka(directory / f"kafka-{attempt}", libs)
        node.properties.update(properties)
        try:
            return node.start()
        except RuntimeError as error:
            if "Address already in use" not in str(error) or attempt == START_ATTEMPTS - 1:
                raise
    raise AssertionError("not reached")


def libs_or_skip(home: Path) -> Path:
    """The folder of Kafka's artifacts, fetched at first use; skips the test with the reason."""
    libs = kafka.libs_of(Layout(home))
    try:
        kafka.java_binary()
        kafka.fetch(libs)
    except StackError as error:
        pytest.skip(f"no Apache Kafka here: {error}")
    return libs
