"""A child process of the stack: started with its own log and session, watched, restarted with back-off, stopped.

In: a name, a command, an environment. Out: state for the state file. Never: outlives the supervisor (on Linux the
kernel ends it); signals a process it did not start.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.local.identity import ProcessId, is_alive, send_signal
from infra.local.layout import Layout, ProcessState, StackError, explain_os_error, write_private

RESTART_DELAY_FIRST_S = 0.5  # doubled a failure; long enough for a port to be released
RESTART_DELAY_MAX_S = 10.0
QUICK_FAILURE_S = 10.0  # a process that dies sooner than this after its start has not worked at all
QUICK_FAILURES_MAX = 5  # in a row; then a restart changes nothing and a person must look
# A full or failing disk: the process is not at fault, and what others hold (the embedded broker its whole log) would
# be lost with the stack. Such a process is started again for ever, RESTART_DELAY_MAX_S apart.
MAY_PASS_CODES = frozenset({os.EX_IOERR, os.EX_TEMPFAIL})
LOG_BYTES_MAX = 64 << 20  # a log; one older generation is kept, so a process uses at most twice this
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FRAME = re.compile(r"\s+(at \S+\(|\.\.\. \d+ more)|note: |stack backtrace:")  # of Java and of Rust
_TAIL_BYTES = 16_384  # enough for the last lines of a Java stack trace


@dataclass(frozen=True, slots=True)
class Command:
    """What to run as one process of the stack, and how to see that it is ready."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)  # complete; may hold secrets
    is_ready: Callable[[ProcessId], bool]
    stop_within_s: float  # after SIGTERM; then SIGKILL
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """One process kept running. The supervisor calls `tick` several times a second."""

    def __init__(self, command: Command, layout: Layout) -> None:
        self.command = command
        self.state = ProcessState(command.name)
        self.given_up = False
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None
        self._id: ProcessId | None = None
        self._started_at_s = 0.0
        self._restart_at_s: float | None = None
        self._quick_failures = 0
        self._kill_at_s: float | None = None
        self._asked = False  # a second SIGTERM would mean "at once" to some servers

    def start(self) -> None:
        """Starts the process; raises StackError when the system cannot run the command at all."""
        self._process = spawn(self.command.argv, self.command.environment, self._layout, self.command.name)
        self._id = ProcessId.of(self._process.pid)
        self._started_at_s = time.monotonic()
        self._asked = False
        self._kill_at_s = None
        self._restart_at_s = None
        self.state.pid = self._process.pid
        self.state.state = "starting"
        if self._id is not None:
            write_private(self._layout.pid_file(self.command.name), json.dumps(asdict(self._id)))

    def tick(self, *, restart: bool) -> bool:
        """Looks once. Returns True when the process died since the last look."""
        if self._process is None:
            if restart and self._restart_at_s is not None and time.monotonic() >= self._restart_at_s:
                self.state.restarts += 1
                self._start_again()
            return False
        code = self._process.poll()
        if code is not None:
            self._died(code)
            return True
        if self._kill_at_s is not None and time.monotonic() >= self._kill_at_s:
            self._process.kill()
        if self.state.state != "ready" and self._id is not None and self.command.is_ready(self._id):
            self.state.state = "ready"
            self.state.detail = ""
        return False

    def ask_to_stop(self) -> None:
        """Sends the stop signal and returns, so that several processes end at the same time."""
        if self._process is not None and self._process.poll() is None and not self._asked:
            self._asked = True
            self._process.send_signal(self.command.stop_signal)

    def restart(self) -> None:
        """Has the process end and start again, without waiting here; `tick` sees to both."""
        self.ask_to_stop()
        self._kill_at_s = time.monotonic() + self.command.stop_within_s

    def stop(self) -> None:
        """Asks, waits, then kills. Returns when the process is gone."""
        if self._process is not None:
            if self._process.poll() is None:
                self.ask_to_stop()
                try:
                    self._process.wait(self.command.stop_within_s)
                except subprocess.TimeoutExpired:
                    self.state.detail = f"killed: did not stop within {self.command.stop_within_s:g} s"
                    self._process.kill()
                    self._process.wait()
            self._process = None
        self._restart_at_s = None
        self.state.pid = None
        if not self.given_up:
            self.state.state = "stopped"
        self._layout.pid_file(self.command.name).unlink(missing_ok=True)

    def trim_log(self) -> None:
        """Keeps the log bounded while the process holds it open (it appends, so truncating is safe)."""
        log = self._layout.log_of(self.command.name)
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            with contextlib.suppress(OSError):  # no room for the copy: the bound counts more than old lines
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)

    def _start_again(self) -> None:
        try:
            self.start()
        except StackError as error:  # a full disk, say: it may pass
            self.state.detail = str(error)
            self._restart_at_s = time.monotonic() + RESTART_DELAY_MAX_S

    def _died(self, code: int) -> None:
        quick = time.monotonic() - self._started_at_s < QUICK_FAILURE_S
        self._quick_failures = self._quick_failures + 1 if quick else 1
        self._process = None
        self.state.pid = None
        # A signal comes from outside, so the log does not tell why; an exit code is explained by its last words.
        words = "" if code < 0 else f": {last_line(self._layout.log_of(self.command.name))}"
        self.state.detail = (f"signal {-code}" if code < 0 else f"exit {code}") + words
        self._layout.pid_file(self.command.name).unlink(missing_ok=True)
        if quick and self._quick_failures >= QUICK_FAILURES_MAX and code not in MAY_PASS_CODES:
            self.given_up = True
            self.state.state = "failed"
            return
        doublings = min(self._quick_failures - 1, QUICK_FAILURES_MAX)  # bounded: 2**1024 is no float
        delay_s = min(RESTART_DELAY_FIRST_S * 2**doublings, RESTART_DELAY_MAX_S)
        self._restart_at_s = time.monotonic() + delay_s
        self.state.state = "restarting"


def spawn(argv: Sequence[str], environment: dict[str, str], layout: Layout, name: str) -> subprocess.Popen[bytes]:
    """Starts a process that ends with this one; stdout and stderr go to its log."""
    try:
        with layout.log_of(name).open("ab") as log:
            return subprocess.Popen(
                argv,
                env=environment,
                cwd=layout.home,  # never the user's directory: a `models` package there must not shadow ours
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches the command, not the servers
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
    except FileNotFoundError:
        raise StackError(f"{name}: the program {argv[0]} is not there") from None
    except OSError as error:
        raise explain_os_error(error, layout.log_of(name)) from None


def end_with_parent() -> None:
    """Has the kernel send SIGTERM to this process when its parent ends, however that ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_left_over(layout: Layout, *, within_s: float) -> list[str]:
    """Stops processes whose supervisor is gone, by their pid files; returns their names."""
    found: list[tuple[str, ProcessId]] = []
    for path in sorted(layout.run.glob("*.pid.json")):
        try:
            process = ProcessId(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if is_alive(process):
            found.append((path.name.removesuffix(".pid.json"), process))
        path.unlink(missing_ok=True)
    for _, process in found:
        end_process(process, within_s=within_s)
    return [name for name, _ in found]


def end_process(process: ProcessId, *, within_s: float) -> bool:
    """SIGTERM, then SIGKILL after `within_s`. Returns True when it went by itself."""
    if not send_signal(process, signal.SIGTERM):
        return True
    if wait_until(lambda: not is_alive(process), within_s=within_s):
        return True
    send_signal(process, signal.SIGKILL)
    wait_until(lambda: not is_alive(process), within_s=within_s)
    return False


def wait_until(condition: Callable[[], bool], *, within_s: float, every_s: float = 0.05) -> bool:
    """Polls until the condition holds; False when the time is over."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def last_line(log: Path) -> str:
    """The last line of a log that says something: the message of a traceback, not its frames."""
    text = ""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _FRAME.match(line)]
    return lines[-1] if lines else "no output"
