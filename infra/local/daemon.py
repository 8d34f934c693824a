"""The supervisor process of one stack: starts its parts in order, restarts what dies, stops all at the end.

In: a `Plan` (argument), settings (MURMUR_* environment). Out: `stack.json`, logs, pid files.
Never: runs twice in one home; leaves a child behind; restarts something that cannot work for ever.

Run by `infra.local.supervisor.up` as `python -m infra.local.daemon --plan JSON`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from types import FrameType

from infra.local import broker, clickhouse, kafka, ports
from infra.local.identity import ProcessId
from infra.local.layout import Layout, ProcessState, Stack, StackError, take_lock, write_stack
from infra.local.plan import ALERTER_COMMAND, EMBEDDED, EXTERNAL, KAFKA, ROOT, SESSION_TIMEOUT_MS, Plan
from infra.local.probes import clickhouse_accepts, clickhouse_answers, kafka_answers, worker_is_ready
from infra.local.process import Child, Command, end_with_parent, last_line, spawn
from infra.local.worker_reports import ALERTER
from models.settings import Settings, environment_of, inherited_environment, load
from models.tls import kafka_tls

TICK_S = 0.1
LOG_TRIM_EVERY_TICKS = 100  # 10 s
SERVERS_START_WITHIN_S = 60.0  # Apache Kafka's first start on a busy machine takes 10 s; chDB's first open 2 s
MIGRATE_WITHIN_S = 120.0
EXTERNAL_WITHIN_S = 5.0  # a server that is there answers at once; a person waits for this
PORT_TAKEN = ("in use", "is taken")  # as the system and our own ClickHouse endpoint say it
PORT_ATTEMPTS_MAX = 3  # two stacks started in the same moment may choose the same free port
WORKER_STOP_WITHIN_S = 10.0  # the worker's own promise


class StopAskedError(Exception):
    """A signal asked for the end."""


class Supervisor:
    """The life of one stack. `run` returns the exit code."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan = plan
        self._settings = settings
        self._layout = Layout(settings.home)
        self._servers: list[Child] = []
        self._workers: list[Child] = []  # and the alerter: whoever needs both servers
        self._stop_asked = False
        self._stack = Stack(
            home=str(settings.home),
            kafka_bootstrap=settings.kafka_bootstrap,
            clickhouse_url=settings.clickhouse_url,
            clickhouse_user=settings.clickhouse_user,
            clickhouse_password=settings.clickhouse_password.get_secret_value(),
            broker=plan.broker,
            clickhouse=plan.clickhouse,
            supervisor=asdict(ProcessId.of(os.getpid()) or ProcessId(os.getpid(), "")),
        )

    def run(self) -> int:
        """Holds the home's lock for as long as anything of ours runs."""
        self._layout.prepare()
        lock = take_lock(
            self._layout.run / "supervisor.lock",
            busy=f"another stack already runs in {self._layout.home}: see `murmur status`",
        )
        signal.signal(signal.SIGTERM, self._ask_stop)
        signal.signal(signal.SIGINT, self._ask_stop)
        error: str | None = None
        try:
            self._start()
            self._watch()
        except StopAskedError:
            pass
        except StackError as failure:
            error = str(failure)
        finally:
            self._stop(error)
            os.close(lock)
        if error is not None:
            say(error)
        return 0 if error is None else 1

    def _ask_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_asked = True

    def _start(self) -> None:
        self._publish("starting")
        self._prepare_addresses()
        self._start_servers()
        self._migrate()
        for number in range(1, self._plan.workers + 1):
            self._workers.append(Child(self._fold_command(f"worker-{number}"), self._layout))
        if self._plan.alerter:
            self._workers.append(Child(self._reporting(ALERTER, ALERTER_COMMAND), self._layout))
        for child in self._workers:
            child.start()
        self._publish("starting")
        # No deadline of its own: `up` waits as long as it was told to, and a crash ends the wait at once.
        self._await_ready(self._workers, within_s=None)
        self._publish("ready")
        self._detach_from_starter()

    def _prepare_addresses(self) -> None:
        if self._plan.broker == EXTERNAL:
            tls = kafka_tls(self._settings)
            _retry(lambda: kafka_answers(self._stack.kafka_bootstrap, tls=tls))
        if self._plan.clickhouse == EXTERNAL:
            stack = self._stack
            _retry(lambda: clickhouse_answers(stack.clickhouse_url))
            clickhouse_accepts(stack.clickhouse_url, stack.clickhouse_user, stack.clickhouse_password)
            return
        own = self._plan.own_credentials
        user = self._stack.clickhouse_user if own else clickhouse.WRITE_USER
        password = self._stack.clickhouse_password if own else ""
        write_password, read_password = clickhouse.write_users(self._layout, user=user, password=password)
        self._stack.clickhouse_user, self._stack.clickhouse_password = user, write_password
        self._stack.clickhouse_read_user = clickhouse.READ_USER
        self._stack.clickhouse_read_password = read_password

    def _start_servers(self) -> None:
        for attempt in range(1, PORT_ATTEMPTS_MAX + 1):
            chosen = self._choose_servers()
            self._servers = [Child(command, self._layout) for command, _, _ in chosen]
            self._publish("starting")
            try:
                for child in self._servers:
                    child.start()
                self._publish("starting")
                self._await_ready(self._servers, within_s=SERVERS_START_WITHIN_S)
                return
            except StackError as error:
                for child in self._servers:
                    child.stop()
                # Somebody took a port between our look and the server's; only then another one may help. By now that
                # somebody may be gone again, so the server's own words count as well.
                stolen = any(word in str(error) for word in PORT_TAKEN) or any(
                    wanted is None and not ports.is_free(port) for _, port, wanted in chosen
                )
                if not stolen or attempt == PORT_ATTEMPTS_MAX:
                    raise

    def _choose_servers(self) -> list[tuple[Command, int, int | None]]:
        chosen: list[tuple[Command, int, int | None]] = []
        environment = self._environment()
        if self._plan.broker != EXTERNAL:
            port = ports.choose(broker.DEFAULT_PORT, self._plan.kafka_port, flag="--kafka-port")
            self._stack.kafka_bootstrap = f"{ports.LOOPBACK}:{port}"
            make = kafka.command if self._plan.broker == KAFKA else broker.command
            chosen.append((make(self._layout, port, environment), port, self._plan.kafka_port))
        if self._plan.clickhouse != EXTERNAL:
            port = ports.choose(clickhouse.DEFAULT_PORT, self._plan.clickhouse_port, flag="--clickhouse-port")
            self._stack.clickhouse_url = f"http://{ports.LOOPBACK}:{port}"
            chosen.append((clickhouse.command(self._layout, port, environment), port, self._plan.clickhouse_port))
        return chosen

    def _await_ready(self, children: list[Child], *, within_s: float | None) -> None:
        deadline = None if within_s is None else time.monotonic() + within_s
        while not all(child.state.state == "ready" for child in children):
            self._check_stop()
            for child in self._servers + self._workers:
                if child.tick(restart=False):
                    raise StackError(self._died_text(child))
            if deadline is not None and time.monotonic() > deadline:
                late = ", ".join(c.command.name for c in children if c.state.state != "ready")
                raise StackError(f"{late} not ready within {within_s:g} s: see the logs in {self._layout.logs}")
            time.sleep(TICK_S)

    def _migrate(self) -> None:
        if not self._plan.migrate_command:
            return
        self._check_stop()
        log = self._layout.log_of("migrate")
        process = spawn(self._plan.migrate_command, self._environment(), self._layout, "migrate")
        deadline = time.monotonic() + MIGRATE_WITHIN_S
        try:
            while (code := process.poll()) is None:
                self._check_stop()
                if time.monotonic() > deadline:
                    raise StackError(f"migrations not done within {MIGRATE_WITHIN_S:g} s: see {log}")
                time.sleep(TICK_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            raise StackError(f"migrations failed (exit {code}): {last_line(log)}; see {log}")

    def _watch(self) -> None:
        ticks = 0
        while True:
            self._check_stop()
            ticks += 1
            before = [asdict(child.state) for child in self._servers + self._workers]
            for child in self._servers + self._workers:
                if child.tick(restart=True) and child in self._servers:
                    if child.given_up:
                        raise StackError(f"gave up after repeated failures: {self._died_text(child)}")
                    self._after_server_died(child)
            if ticks % LOG_TRIM_EVERY_TICKS == 0:
                for child in self._servers + self._workers:
                    child.trim_log()
            if before != [asdict(child.state) for child in self._servers + self._workers]:
                self._publish_running()
            time.sleep(TICK_S)

    def _after_server_died(self, child: Child) -> None:
        # The embedded broker forgets its topics when it ends; a worker creates them when it starts.
        if self._plan.broker == EMBEDDED and child.command.name == broker.NAME:
            for worker in self._workers:
                worker.restart()

    def _publish_running(self) -> None:
        failed = [child for child in self._workers if child.given_up]
        self._stack.error = "; ".join(self._died_text(child) for child in failed) or None
        ready = all(child.state.state == "ready" for child in self._servers + self._workers)
        try:
            self._publish("ready" if ready else "degraded")
        except StackError as error:  # a full disk is a reason to say so, not to stop what still works
            say(error)

    def _publish(self, phase: str) -> None:
        self._stack.phase = phase
        own = ProcessState("supervisor", os.getpid(), "ready" if phase != "stopped" else "stopped")
        self._stack.processes = [own, *(child.state for child in self._servers + self._workers)]
        write_stack(self._layout, self._stack)

    def _stop(self, error: str | None) -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_IGN)  # the end is already under way and bounded
        with contextlib.suppress(StackError):  # a full disk must not keep processes alive
            self._publish("stopping")
        for group in (
            self._workers,
            self._servers[::-1],
        ):  # workers flush while broker and ClickHouse still run
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.stop()
        self._stack.error = error
        self._stack.supervisor = None
        try:
            self._publish("failed" if error else "stopped")
        except StackError as failure:
            say(failure)

    def _check_stop(self) -> None:
        if self._stop_asked:
            raise StopAskedError

    def _fold_command(self, name: str) -> Command:
        return self._reporting(name, (*self._plan.worker_command, "--name", name))

    def _reporting(self, name: str, argv: tuple[str, ...]) -> Command:
        """A process that says in its status file that it is ready: a worker, or the alerter."""
        status_file = self._layout.worker_status(name)
        status_file.unlink(missing_ok=True)
        return Command(
            name,
            argv,
            self._environment(),
            lambda process: worker_is_ready(status_file, process),
            WORKER_STOP_WITHIN_S,
        )

    def _environment(self) -> dict[str, str]:
        """Settings with the addresses of this stack, for every child."""
        changes: dict[str, object] = {
            "kafka_bootstrap": self._stack.kafka_bootstrap,
            "clickhouse_url": self._stack.clickhouse_url,
            "clickhouse_user": self._stack.clickhouse_user,
        }
        if self._plan.short_session:
            changes["session_timeout_ms"] = SESSION_TIMEOUT_MS
        ours = environment_of(self._settings.model_copy(update=changes))
        ours["MURMUR_CLICKHOUSE_PASSWORD"] = self._stack.clickhouse_password
        ours["PYTHONPATH"] = str(ROOT)
        ours["PYTHONUNBUFFERED"] = "1"  # a crash must leave its last words in the log
        return inherited_environment(ours, without=("MURMUR_CONFIG",))

    def _died_text(self, child: Child) -> str:
        name = child.command.name
        return f"{name} ended ({child.state.detail}); see {self._layout.log_of(name)}"

    def _detach_from_starter(self) -> None:
        # Until here stderr was a pipe to `up`, which now returns; from here on it is our log.
        log = os.open(self._layout.log_of("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        os.close(log)


def say(what: object) -> None:
    """One line to `up`, or to our log; a full disk under it must not end us."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{what}\n")


def _retry(question: object) -> None:
    """Asks an external server for up to EXTERNAL_WITHIN_S; the last answer counts."""
    assert callable(question)
    deadline = time.monotonic() + EXTERNAL_WITHIN_S
    while True:
        try:
            question()
            return
        except StackError:
            if time.monotonic() > deadline:
                raise
        time.sleep(TICK_S)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the supervisor process."""
    parser = argparse.ArgumentParser(prog="infra.local.daemon")
    parser.add_argument("--plan", required=True)
    plan = Plan.from_json(parser.parse_args(argv).plan)
    if plan.die_with_parent and sys.platform == "linux":
        end_with_parent()
    try:
        return Supervisor(plan, load()).run()
    except (StackError, ValueError, subprocess.SubprocessError) as error:
        say(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
