"""Start, look at and stop the local stack: broker, ClickHouse, workers, alerter. What `murmur up | status | down` call.

In: settings and flags. Out: `Stack` (addresses, credentials, processes). Never: stops a process of somebody else;
leaves one of ours behind when a start fails or is interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import kafka
from infra.local.identity import ProcessId, is_alive
from infra.local.layout import (
    Layout,
    ProcessState,
    Stack,
    StackError,
    locked,
    read_running,
    read_stack,
)
from infra.local.plan import (
    EMBEDDED,
    EXTERNAL,
    KAFKA,
    MIGRATE_COMMAND,
    ROOT,
    WORKER_COMMAND,
    Plan,
    make_plan,
)
from infra.local.process import end_process, stop_left_over
from infra.local.worker_reports import READY, STALLED, WorkerReport, worker_reports
from models.settings import Settings, environment_of, inherited_environment

START_WITHIN_S = 90.0  # Apache Kafka, first migrations and the group's start on a busy 2-core machine: 25 s
STOP_WITHIN_S = 40.0  # worker 10 s, ClickHouse 8 s, Kafka 15 s, one after the other
LEFT_OVER_WITHIN_S = 5.0
_POLL_S = 0.05
_MESSAGE_BYTES_MAX = 65_536

Progress = Callable[[Stack], None]


@dataclass(slots=True)
class StackStatus:
    """What `murmur status` shows. Addresses are None when no stack runs; workers may run without one."""

    home: str
    ready: bool  # everything runs and no worker is stalled
    phase: str  # of the stack: stopped | starting | ready | stalled | degraded | failed | stopping
    error: str | None = None
    kafka_bootstrap: str | None = None
    clickhouse_url: str | None = None
    clickhouse_user: str | None = None
    clickhouse_password: str | None = field(default=None, repr=False)
    clickhouse_read_user: str | None = None
    clickhouse_read_password: str | None = field(default=None, repr=False)
    broker: str | None = None
    clickhouse: str | None = None
    processes: list[ProcessState] = field(default_factory=list)
    reports: list[WorkerReport] = field(default_factory=list)  # of the workers among the processes


def up(
    settings: Settings,
    *,
    kafka_port: int | None = None,
    clickhouse_port: int | None = None,
    broker: str = EMBEDDED,
    workers: int = 1,
    alerter: bool = False,
    extra_env: Mapping[str, str] | None = None,
    wait_s: float = START_WITHIN_S,
    on_progress: Progress | None = None,
    die_with_parent: bool = False,
    migrate_command: Sequence[str] = MIGRATE_COMMAND,
    worker_command: Sequence[str] = WORKER_COMMAND,
) -> Stack:
    """Starts the stack of this home and returns when everything is ready; a running one is returned as it is.

    Raises StackError with one line when that is not possible; then nothing of ours is left running.
    """
    plan = make_plan(
        settings,
        broker=broker,
        kafka_port=kafka_port,
        clickhouse_port=clickhouse_port,
        workers=workers,
        alerter=alerter,
        migrate_command=tuple(migrate_command),
        worker_command=tuple(worker_command),
        die_with_parent=die_with_parent,
    )
    layout = Layout(settings.home)
    layout.prepare()
    deadline = time.monotonic() + wait_s
    with _only_one_up(layout, deadline):
        running = read_running(layout)
        if running is not None:
            _refuse_other_plan(running, plan)
            return _await_running(layout, deadline, on_progress)
        stop_left_over(layout, within_s=LEFT_OVER_WITHIN_S)
        if plan.broker == KAFKA:
            kafka.java_binary()
            kafka.fetch(kafka.libs_of(layout))
        return _start(settings, plan, layout, dict(extra_env or {}), deadline, on_progress)


def status(settings: Settings) -> StackStatus:
    """The stack of this home as it is now."""
    layout = Layout(settings.home)
    stack = read_stack(layout)
    reports = worker_reports(layout)
    if stack is None or stack.supervisor is None or not is_alive(ProcessId(**stack.supervisor)):
        died = stack is not None and stack.phase not in ("stopped", "failed")
        error = "the supervisor ended unexpectedly: run `murmur up` again" if died else None
        if stack is not None and not died:
            error = stack.error
        return StackStatus(
            home=str(layout.home),
            ready=not error and bool(reports) and all(r.state == READY for r in reports),
            phase="failed" if error else "stopped",
            error=error,
            processes=_with_reports([], reports),
            reports=reports,
        )
    stalled = [r for r in reports if r.state == STALLED]
    return StackStatus(
        home=stack.home,
        ready=stack.ready and not stalled,
        phase="stalled" if stack.ready and stalled else stack.phase,
        error=stack.error or "; ".join(f"{r.name}: {r.detail}" for r in stalled) or None,
        kafka_bootstrap=stack.kafka_bootstrap,
        clickhouse_url=stack.clickhouse_url,
        clickhouse_user=stack.clickhouse_user,
        clickhouse_password=stack.clickhouse_password,
        clickhouse_read_user=stack.clickhouse_read_user or None,
        clickhouse_read_password=stack.clickhouse_read_password or None,
        broker=stack.broker,
        clickhouse=stack.clickhouse,
        processes=_with_reports(stack.processes, reports),
        reports=reports,
    )


def _with_reports(processes: list[ProcessState], reports: list[WorkerReport]) -> list[ProcessState]:
    """The supervisor's list, corrected by what the workers say of themselves, and workers started by hand."""
    said = {report.pid: report for report in reports}
    shown = []
    for process in processes:
        report = said.pop(process.pid or 0, None)
        if report is not None and report.state == STALLED:
            process = dataclasses.replace(process, state=STALLED, detail=report.detail)
        shown.append(process)
    by_hand = [
        ProcessState(r.name, r.pid, r.state, detail=r.detail or "started by `murmur worker`") for r in said.values()
    ]
    return shown + by_hand


def down(settings: Settings, *, within_s: float = STOP_WITHIN_S) -> list[str]:
    """Stops the stack of this home in order and returns the names of what was stopped; the data stays."""
    layout = Layout(settings.home)
    if not layout.run.is_dir():
        return []
    running = read_running(layout)
    stopped: list[str] = []
    if running is not None and running.supervisor is not None:
        stopped = [process.name for process in running.processes if process.pid is not None]
        end_process(ProcessId(**running.supervisor), within_s=within_s)
    return stopped + stop_left_over(layout, within_s=LEFT_OVER_WITHIN_S)


def _start(
    settings: Settings,
    plan: Plan,
    layout: Layout,
    extra_env: dict[str, str],
    deadline: float,
    on_progress: Progress | None,
) -> Stack:
    environment = {**environment_of(settings), "PYTHONPATH": str(ROOT), **extra_env}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.daemon", "--plan", plan.to_json()],
        env=inherited_environment(environment, without=("MURMUR_CONFIG",)),
        cwd=layout.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    started = False
    try:
        stack = _await_started(process, layout, deadline, on_progress)
        started = True
        return stack
    finally:
        # Also after Ctrl-C: the supervisor gets its signal and stops what it has started so far.
        if not started:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            stop_left_over(layout, within_s=LEFT_OVER_WITHIN_S)
        if process.stderr is not None:
            process.stderr.close()


def _await_started(
    process: subprocess.Popen[bytes], layout: Layout, deadline: float, on_progress: Progress | None
) -> Stack:
    while process.poll() is None:
        stack = read_stack(layout)
        if stack is not None and stack.supervisor is not None and stack.supervisor["pid"] == process.pid:
            if on_progress is not None:
                on_progress(stack)
            if stack.ready:
                process.returncode = 0  # it runs on by itself: no ResourceWarning when the handle goes
                return stack
        if time.monotonic() > deadline:
            waiting = ", ".join(_not_ready(stack)) if stack is not None else "the supervisor"
            raise StackError(f"not ready in time, still waiting for {waiting}: see the logs in {layout.logs}")
        time.sleep(_POLL_S)
    raise StackError(_last_words(process, layout))


def _await_running(layout: Layout, deadline: float, on_progress: Progress | None) -> Stack:
    while (stack := read_running(layout)) is not None:
        if on_progress is not None:
            on_progress(stack)
        if stack.ready:
            _refuse_stalled(layout)
            return stack
        if stack.phase == "degraded" and stack.error:
            raise StackError(f"the stack runs, but {stack.error}")
        if time.monotonic() > deadline:
            raise StackError(f"the stack is {stack.phase}, still waiting for {', '.join(_not_ready(stack))}")
        time.sleep(_POLL_S)
    raise StackError(f"the stack ended while starting: see the logs in {layout.logs}")


def _refuse_stalled(layout: Layout) -> None:
    for report in worker_reports(layout):
        if report.state == STALLED:
            raise StackError(f"the stack runs, but {report.name} is stalled: {report.detail}")


def _not_ready(stack: Stack) -> list[str]:
    reasons = {r.pid: f" ({r.detail})" for r in worker_reports(Layout(Path(stack.home))) if r.detail}
    late = [p.name + reasons.get(p.pid or 0, "") for p in stack.processes if p.state != "ready"]
    return late or ["the supervisor"]


def _last_words(process: subprocess.Popen[bytes], layout: Layout) -> str:
    """What the supervisor wrote before it ended; one line."""
    said = b""
    if process.stderr is not None:
        os.set_blocking(process.stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            said = os.read(process.stderr.fileno(), _MESSAGE_BYTES_MAX)
    lines = [line for line in said.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"the supervisor ended (exit {process.returncode}): see the logs in {layout.logs}"


def _refuse_other_plan(running: Stack, plan: Plan) -> None:
    """`up` twice is fine; `up` with other wishes than what runs is a question to the user."""
    wishes: list[str] = []
    if plan.kafka_port is not None and not running.kafka_bootstrap.endswith(f":{plan.kafka_port}"):
        wishes.append(f"broker on port {plan.kafka_port} (runs: {running.kafka_bootstrap})")
    if plan.clickhouse_port is not None and not running.clickhouse_url.endswith(f":{plan.clickhouse_port}"):
        wishes.append(f"ClickHouse on port {plan.clickhouse_port} (runs: {running.clickhouse_url})")
    if plan.broker == KAFKA and running.broker != KAFKA:
        wishes.append(f"Apache Kafka (runs: {running.broker})")
    for name in ("broker", "clickhouse"):
        if (getattr(plan, name) == EXTERNAL) != (getattr(running, name) == EXTERNAL):
            wishes.append(f"{getattr(plan, name)} {name} (runs: {getattr(running, name)})")
    if wishes:
        raise StackError(
            f"a stack already runs in {running.home} and differs: wanted {'; '.join(dict.fromkeys(wishes))}. Run "
            "`murmur down` first, or use another --home"
        )


@contextlib.contextmanager
def _only_one_up(layout: Layout, deadline: float) -> Iterator[None]:
    """Two `murmur up` at once: the second waits and then finds the stack of the first."""
    while True:
        try:
            lock = locked(layout.run / "up.lock", busy="another `murmur up` is still starting this stack")
            lock.__enter__()
            break
        except StackError as error:
            if time.monotonic() > deadline or "still starting" not in str(error):
                raise
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
