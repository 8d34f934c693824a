"""The home directory of a local stack: where its files lie and what its state file says.

In: MURMUR_HOME. Out: paths, `Stack` read from `stack.json`. Never: starts or stops anything; leaves a secret
readable by other users.

    data/     ClickHouse's tables and, with Apache Kafka, its log      logs/   one file a process
    state/    snapshots of the workers                                 run/    pid, lock and status files
    stack.json   addresses, user and password of the running stack (mode 0600)
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.local.identity import ProcessId, is_alive

PRIVATE_FILE_MODE = 0o600  # the state file holds the ClickHouse password
PRIVATE_DIR_MODE = 0o700
FREE_BYTES_MIN = 256 << 20  # ClickHouse refuses merges and system logs well before a disk is really full


class StackError(Exception):
    """The stack cannot do what was asked; the text is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one home."""

    home: Path

    @property
    def data(self) -> Path:
        """ClickHouse's tables and, with Apache Kafka, its log."""
        return self.home / "data"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Pid, lock and status files."""
        return self.home / "run"

    @property
    def stack_file(self) -> Path:
        """The state file: addresses, user and password."""
        return self.home / "stack.json"

    @property
    def users_file(self) -> Path:
        """The users of the embedded ClickHouse."""
        return self.home / "clickhouse-users.json"

    def log_of(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        """The identity of one process."""
        return self.run / f"{name}.pid.json"

    def worker_status(self, name: str) -> Path:
        """What a worker says of itself (docs/operations.md)."""
        return self.run / f"{name}.status.json"

    def prepare(self) -> None:
        """Creates the directories and proves that they can be written; raises StackError."""
        try:
            for path in (self.home, self.data, self.logs, self.run):
                path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR_MODE)
            with tempfile.NamedTemporaryFile(dir=self.run, prefix=".probe-") as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
            free_bytes = os.statvfs(self.home).f_bavail * os.statvfs(self.home).f_frsize
        except OSError as error:
            raise explain_os_error(error, self.home) from None
        if free_bytes < FREE_BYTES_MIN:
            raise StackError(
                f"only {free_bytes >> 20} MiB free under {self.home}, at least {FREE_BYTES_MIN >> 20} MiB are needed: "
                "free some space or choose another --home"
            )


@dataclass(slots=True)
class ProcessState:
    """One process of the stack as its supervisor sees it."""

    name: str
    pid: int | None = None
    state: str = "starting"  # starting | ready | restarting | failed | stopped
    restarts: int = 0
    detail: str = ""


@dataclass(slots=True)
class Stack:
    """A local stack: addresses, credentials, phase, processes. This is what `stack.json` holds."""

    home: str
    kafka_bootstrap: str
    clickhouse_url: str
    clickhouse_user: str
    clickhouse_password: str = field(repr=False)
    broker: str  # embedded | kafka | external
    clickhouse: str  # embedded | external
    phase: str = "starting"  # starting | ready | degraded | failed | stopping | stopped
    error: str | None = None
    clickhouse_read_user: str = ""
    clickhouse_read_password: str = field(default="", repr=False)
    supervisor: dict[str, Any] | None = None  # ProcessId of the supervisor
    processes: list[ProcessState] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every part has answered; a worker may have stalled since."""
        return self.phase == "ready"


def write_stack(layout: Layout, stack: Stack) -> None:
    """Replaces the state file atomically, readable by its owner alone."""
    write_private(layout.stack_file, json.dumps(asdict(stack), indent=2) + "\n")


def read_stack(layout: Layout) -> Stack | None:
    """The state file as last written, also after a crash; None when there is none."""
    try:
        data = json.loads(layout.stack_file.read_text(encoding="utf-8"))
        processes = [ProcessState(**p) for p in data.pop("processes")]
        return Stack(**data, processes=processes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, layout.stack_file) from None
    except (ValueError, TypeError, KeyError):
        raise StackError(
            f"{layout.stack_file} is not a state file of this version: stop the stack with the version that started "
            "it, or delete the file when nothing runs"
        ) from None


def read_running(layout: Layout) -> Stack | None:
    """The stack whose supervisor is alive; None when nothing runs in this home."""
    stack = read_stack(layout)
    if stack is None or stack.supervisor is None:
        return None
    return stack if is_alive(ProcessId(**stack.supervisor)) else None


def write_private(path: Path, text: str) -> None:
    """tmp -> rename with mode 0600 from the first byte on; raises StackError when the disk refuses."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, PRIVATE_FILE_MODE)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise explain_os_error(error, path) from None


@contextmanager
def locked(path: Path, *, busy: str) -> Iterator[None]:
    """Holds an advisory lock on `path` for the block; raises StackError(busy) when another process has it."""
    descriptor = take_lock(path, busy=busy)
    try:
        yield
    finally:
        os.close(descriptor)


def take_lock(path: Path, *, busy: str) -> int:
    """An exclusively locked descriptor; the kernel frees the lock when its process ends, however it ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    except OSError as error:
        raise explain_os_error(error, path) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StackError(busy) from None
    return descriptor


def explain_os_error(error: OSError, path: Path) -> StackError:
    """What the system refused, where, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StackError(f"no space left for {path}: free some space or choose another --home")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StackError(f"{path} cannot be written ({error.strerror}): choose another directory with --home")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return StackError(f"{path} is not a directory: choose another one with --home")
    return StackError(f"{path} cannot be used ({error.strerror or error}): choose another directory with --home")
