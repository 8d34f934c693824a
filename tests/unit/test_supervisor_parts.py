"""The parts of the local stack, each with real processes, sockets and files."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from infra.local import clickhouse, daemon, ports, process
from infra.local.identity import ProcessId, is_alive, send_signal
from infra.local.kafka import _escaped, cluster_id
from infra.local.layout import Layout, StackError, explain_os_error, locked, read_stack
from infra.local.plan import Plan, make_plan
from infra.local.probes import clickhouse_accepts, kafka_answers
from infra.local.process import Child, Command, last_line, stop_left_over, wait_until
from models.settings import inherited_environment, load

WITHIN_S = 20.0


@contextlib.contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def layout_in(path: Path) -> Layout:
    layout = Layout(path / "home")
    layout.prepare()
    return layout


@contextlib.contextmanager
def child_of(layout: Layout, code: str, *, stop_within_s: float = 5.0) -> Iterator[Child]:
    """A started child whose readiness is a file it writes into its home; stopped afterwards."""
    ready = layout.home / "ready"
    argv = (sys.executable, "-c", code)
    child = Child(Command("part", argv, inherited_environment(), lambda _: ready.exists(), stop_within_s), layout)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def tick_until(child: Child, state: str) -> None:
    """Looks after the child, as the supervisor does, until it is in this state."""
    deadline_s = time.monotonic() + WITHIN_S
    while child.state.state != state:
        assert time.monotonic() < deadline_s, child.state
        child.tick(restart=True)


# --- identity -----------------------------------------------------------------------------------------------------


def test_a_recycled_pid_is_never_signalled() -> None:
    with running("import time; time.sleep(60)") as stranger:
        remembered = ProcessId(stranger.pid, "another boot:12345")
        assert not is_alive(remembered)
        assert not send_signal(remembered, signal.SIGKILL)
        assert stranger.poll() is None


def test_a_zombie_does_not_count_as_alive() -> None:
    with running("pass") as child:
        known = ProcessId.of(child.pid)
        assert wait_until(lambda: ProcessId.of(child.pid) is None, within_s=WITHIN_S)
        assert known is None or not is_alive(known)


# --- plan ---------------------------------------------------------------------------------------------------------


def plan_of(tmp_path: Path, *, given: dict[str, str] | None = None, **wishes: object) -> Plan:
    wanted = {"broker": "embedded", "kafka_port": None, "clickhouse_port": None, "workers": 1, **wishes}
    return make_plan(load(home=str(tmp_path), **(given or {})), **wanted)  # type: ignore[arg-type]


def test_an_address_that_is_given_means_that_part_is_not_started(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, given={"kafka_bootstrap": "k:9092"})
    assert (plan.broker, plan.clickhouse) == ("external", "embedded")
    plan = plan_of(tmp_path, given={"clickhouse_url": "http://c:8123"})
    assert (plan.broker, plan.clickhouse) == ("embedded", "external")


@pytest.mark.parametrize(
    ("given", "wishes", "said"),
    [
        ({"kafka_bootstrap": "k:1"}, {"kafka_port": 9}, "--kafka-port"),
        ({"kafka_bootstrap": "k:1"}, {"broker": "kafka"}, "--broker kafka"),
        ({"clickhouse_url": "http://c:1"}, {"clickhouse_port": 9}, "--clickhouse-port"),
        ({}, {"broker": "rabbit"}, "choose embedded or kafka"),
        ({}, {"workers": -1}, "--workers -1"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(
    tmp_path: Path, given: dict[str, str], wishes: dict[str, object], said: str
) -> None:
    with pytest.raises(StackError, match=said):
        plan_of(tmp_path, given=given, **wishes)


def test_a_plan_survives_its_way_to_the_supervisor_and_holds_no_secret(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, given={"clickhouse_password": "hush"}, kafka_port=1234, workers=3)
    assert Plan.from_json(plan.to_json()) == plan
    assert "hush" not in plan.to_json()


# --- ports --------------------------------------------------------------------------------------------------------


def test_the_next_free_port_is_taken_unless_one_was_asked_for() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert ports.choose(taken, None, flag="--kafka-port") > taken
        with pytest.raises(StackError, match=f"port {taken} on 127.0.0.1 is taken by another process"):
            ports.choose(9092, taken, flag="--kafka-port")
    with pytest.raises(StackError, match="from 1 to 65535"):
        ports.choose(9092, 70_000, flag="--kafka-port")


def test_a_port_another_stack_has_chosen_is_not_chosen_though_nobody_listens_on_it_yet() -> None:
    with socket.socket() as holder:  # a port of the kernel's choice, which nobody else is given meanwhile
        holder.bind(("127.0.0.1", 0))
        free = holder.getsockname()[1]
    choose = f"from infra.local import ports; print(ports.choose({free}, None, flag=''), flush=True); input()"
    others = [
        subprocess.Popen(
            [sys.executable, "-c", choose],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    try:
        chosen = [int(other.stdout.readline()) for other in others if other.stdout is not None]
        assert len({*chosen, ports.choose(free, None, flag="--kafka-port")}) == 3
        with pytest.raises(StackError, match=f"port {chosen[0]} on 127.0.0.1 is taken by another process"):
            ports.choose(9092, chosen[0], flag="--kafka-port")
    finally:
        for other in others:
            other.communicate("\n", timeout=30)  # it ends, and its port with it
    assert ports.choose(chosen[0], None, flag="--kafka-port") == chosen[0]


def test_a_server_of_somebody_else_is_not_taken_for_ours() -> None:
    with socket.socket() as listener, running("import time; time.sleep(60)") as other:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        own, stranger = ProcessId.of(os.getpid()), ProcessId.of(other.pid)
        assert own is not None
        assert stranger is not None
        assert ports.listens(own, port)
        assert not ports.listens(stranger, port)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_home_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StackError, match="is not a directory: choose another one with --home"):
        Layout(tmp_path / "home").prepare()


def test_each_refusal_of_the_disk_says_what_to_do() -> None:
    assert "free some space" in str(explain_os_error(OSError(28, "No space left on device"), Path("/x")))
    assert "cannot be written" in str(explain_os_error(OSError(13, "Permission denied"), Path("/x")))
    assert "cannot be written" in str(explain_os_error(OSError(30, "Read-only file system"), Path("/x")))


def test_a_lock_is_held_by_one_and_freed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, busy="busy"), pytest.raises(StackError, match="busy"), locked(path, busy="busy"):
        pass
    with locked(path, busy="busy"):
        pass


def test_a_state_file_nobody_can_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")
    with pytest.raises(StackError, match=r"stack\.json is not a state file"):
        read_stack(Layout(tmp_path))


def test_the_passwords_of_a_home_are_kept_and_private(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    first = clickhouse.write_users(layout)
    assert clickhouse.write_users(layout) == first
    assert len(set(first)) == 2
    assert layout.users_file.stat().st_mode & 0o777 == 0o600


# --- children -----------------------------------------------------------------------------------------------------


def test_a_child_that_crashes_is_started_again_and_its_last_words_are_kept(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    code = (
        "import pathlib, sys, time\n"
        "once = pathlib.Path('once')\n"
        "if not once.exists():\n"
        "    once.touch(); sys.exit('the tank is empty')\n"
        "pathlib.Path('ready').touch(); time.sleep(60)"
    )
    with child_of(layout, code) as child:
        tick_until(child, "restarting")
        assert child.state.detail == "exit 1: the tank is empty"
        tick_until(child, "ready")
        assert child.state.restarts == 1
    assert child.state.state == "stopped"
    assert not list(layout.run.glob("*.pid.json"))


def test_a_child_that_never_works_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "RESTART_DELAY_FIRST_S", 0.01)
    with child_of(layout_in(tmp_path), "raise SystemExit('no fuel')") as child:
        tick_until(child, "failed")
        assert child.given_up
        assert child.state.restarts == process.QUICK_FAILURES_MAX - 1
        assert "no fuel" in child.state.detail


def test_a_child_that_waits_for_room_is_started_again_until_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RESTART_DELAY_MAX_S", 0.01)
    layout = layout_in(tmp_path)
    starts = process.QUICK_FAILURES_MAX + 2
    code = (
        "import os, pathlib, sys, time; starts = pathlib.Path('starts')\n"
        "with starts.open('a') as file: file.write('.')\n"
        f"if starts.stat().st_size < {starts}:\n"
        "    print('no room'); sys.exit(os.EX_TEMPFAIL)\n"
        "pathlib.Path('ready').touch(); time.sleep(60)"
    )
    with child_of(layout, code) as child:
        tick_until(child, "restarting")
        assert child.state.detail == "exit 75: no room"
        tick_until(child, "ready")
        assert not child.given_up
        assert child.state.restarts == starts - 1


def test_a_supervisor_whose_log_cannot_be_written_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        daemon.say("only 0 MiB are free")
        with contextlib.suppress(OSError):  # what a text file still holds it writes when it is closed
            full.close()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    code = (
        "import signal, pathlib, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "pathlib.Path('ready').touch(); time.sleep(60)"
    )
    with child_of(layout, code, stop_within_s=0.3) as child:
        tick_until(child, "ready")
        known = ProcessId.of(child.state.pid or 0)
        assert known is not None
    assert not is_alive(known)
    assert "killed" in child.state.detail


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    child = Child(Command("part", ("/no/such/program",), {}, lambda _: True, 1.0), layout)
    with pytest.raises(StackError, match="part: the program /no/such/program is not there"):
        child.start()


def test_left_over_processes_are_stopped_by_their_pid_files_and_strangers_are_not(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    sleeper = "import time; time.sleep(60)"
    with running(sleeper) as ours, running(sleeper) as stranger:
        known = ProcessId.of(ours.pid)
        assert known is not None
        layout.pid_file("worker-1").write_text(json.dumps(asdict(known)))
        layout.pid_file("broker").write_text(json.dumps({"pid": stranger.pid, "started": "long ago"}))
        layout.pid_file("torn").write_text('{"pid":')
        reaper = threading.Thread(target=ours.wait)
        reaper.start()
        assert stop_left_over(layout, within_s=WITHIN_S) == ["worker-1"]
        reaper.join(WITHIN_S)
        assert ours.returncode == -signal.SIGTERM
        assert stranger.poll() is None
    assert not list(layout.run.glob("*.pid.json"))


def test_a_log_stays_bounded_while_its_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_BYTES_MAX", 1_000)
    layout = layout_in(tmp_path)
    code = "import pathlib, time; print('x' * 5000, flush=True); pathlib.Path('ready').touch(); time.sleep(60)"
    with child_of(layout, code) as child:
        tick_until(child, "ready")
        child.trim_log()
        assert layout.log_of("part").stat().st_size == 0
        assert layout.log_of("part").with_suffix(".log.1").stat().st_size == 5001


def test_the_last_line_that_says_something_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\nError: b\xff\n\n   \n")
    assert last_line(log) == "Error: b\ufffd"
    log.write_text("Caused by: java.net.BindException: in use\n\tat sun.nio.Net.bind0(Native)\n\t... 6 more\n")
    assert last_line(log) == "Caused by: java.net.BindException: in use"
    assert last_line(tmp_path / "none") == "no output"


# --- probes -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[int]:
    """Sends the same bytes to everybody and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(WITHIN_S)


def test_something_that_is_no_broker_is_not_taken_for_one() -> None:
    with (
        server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(StackError, match="does not speak the Kafka protocol"),
    ):
        kafka_answers(f"127.0.0.1:{port}")
    with server(b"") as port, pytest.raises(StackError, match="closed before an answer"):
        kafka_answers(f"127.0.0.1:{port}")
    with pytest.raises(StackError, match="write host:port"):
        kafka_answers("localhost")


def test_a_refused_password_is_told_from_a_server_that_is_away() -> None:
    body = b"Code: 516. DB::Exception: default: Authentication failed"
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server(head + body) as port, pytest.raises(StackError, match="wrong user or password"):
        clickhouse_accepts(f"http://127.0.0.1:{port}", "default", "no")
    with pytest.raises(StackError, match="does not answer"):
        clickhouse_accepts("http://127.0.0.1:1", "default", "")


@pytest.mark.parametrize("first_byte", range(256))
def test_a_cluster_id_is_never_taken_for_an_option(first_byte: int) -> None:
    text = cluster_id(uuid.UUID(bytes=bytes([first_byte] + [255] * 15)))
    assert not text.startswith("-")
    assert len(base64.urlsafe_b64decode(text + "==")) == 16


def test_a_path_is_written_for_java_as_its_properties_files_want_it() -> None:
    assert _escaped("/tmp/ü\\x") == "/tmp/\\u00fc\\\\x"
    assert _escaped("𝄞") == "\\ud834\\udd1e"
