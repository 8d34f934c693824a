"""The local stack as a whole, with the real broker and the real engine: life, faults, and no stray process ever."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from infra.local.identity import ProcessId, is_alive
from infra.local.layout import Layout, Stack, StackError
from infra.local.supervisor import down, status, up
from models.settings import load
from tests.support.stacks import ROOT, environment, home_of_stack, murmur, processes_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NO_MIGRATION: tuple[str, ...] = ()
GONE_WITHIN_S = 15.0
BACK_WITHIN_S = 20.0


def ask(stack: Stack, sql: str) -> str:
    """A plain HTTP question, as any ClickHouse client sends it."""
    request = urllib.request.Request(
        f"{stack.clickhouse_url}/?{urllib.parse.urlencode({'query': sql})}",
        method="POST",
        headers={
            "X-ClickHouse-User": stack.clickhouse_user,
            "X-ClickHouse-Key": stack.clickhouse_password,
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode()).strip()


def pid_of(settings: object, name: str) -> int | None:
    return next((p.pid for p in status(settings).processes if p.name == name), None)  # type: ignore[arg-type]


@contextmanager
def held_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_up_is_ready_when_it_returns_twice_is_once_and_down_leaves_the_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        stack = up(settings, workers=0)
        assert stack.ready
        assert ask(stack, "SELECT count() FROM v_windows") == "0"  # migrated
        pids = {p.name: p.pid for p in status(settings).processes}
        assert set(pids) == {"supervisor", "broker", "clickhouse"}
        assert {p.name: p.pid for p in up(settings, workers=0).processes} == pids
        ask(stack, "INSERT INTO reports (report_id) VALUES ('kept')")

        assert down(settings) == ["supervisor", "broker", "clickhouse"]
        assert not processes_of(home)
        assert (status(settings).phase, status(settings).processes) == ("stopped", [])
        assert down(settings) == []

        again = up(settings, workers=0)
        assert ask(again, "SELECT report_id FROM reports") == "kept"
        assert again.clickhouse_password == stack.clickhouse_password


def test_two_homes_run_side_by_side_on_different_ports(tmp_path: Path) -> None:
    with home_of_stack(tmp_path / "a") as one, home_of_stack(tmp_path / "b") as two:
        first = up(one, workers=0, migrate_command=NO_MIGRATION)
        second = up(two, workers=0, migrate_command=NO_MIGRATION)
        assert first.kafka_bootstrap != second.kafka_bootstrap
        assert first.clickhouse_url != second.clickhouse_url
        assert first.clickhouse_password != second.clickhouse_password
        down(one)
        assert status(two).ready
        assert ask(second, "SELECT 1") == "1"


def test_homes_started_in_the_same_moment_do_not_take_each_others_ports(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in "abc"]
    with home_of_stack(homes[0]), home_of_stack(homes[1]), home_of_stack(homes[2]):
        commands = [
            subprocess.Popen(
                [sys.executable, "-m", "interfaces.cli.main", "up", "--workers", "0"],
                env=environment(home),
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for home in homes
        ]
        said = [command.communicate(timeout=120)[1] for command in commands]
        assert [command.returncode for command in commands] == [0, 0, 0], said
        states = [status(load(home=str(home))) for home in homes]
        assert all(state.ready for state in states)
        assert len({state.kafka_bootstrap for state in states}) == 3
        assert len({state.clickhouse_url for state in states}) == 3


def test_a_taken_port_that_was_asked_for_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with held_port() as port:
        for flag in ("--kafka-port", "--clickhouse-port"):
            done = murmur("up", "--workers", "0", flag, str(port), home=home)
            assert done.returncode == 1
            assert done.stderr.startswith(f"murmur: port {port} on 127.0.0.1 is taken by another process")
            assert flag in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert not processes_of(home)


def test_up_with_other_wishes_than_what_runs_is_refused(tmp_path: Path) -> None:
    with home_of_stack(tmp_path / "home") as settings:
        up(settings, workers=0, migrate_command=NO_MIGRATION)
        with pytest.raises(StackError, match=r"already runs in .* and differs: wanted broker on port 1234"):
            up(settings, kafka_port=1234, workers=0)
        assert status(settings).ready


def test_a_data_directory_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "home" / "data" / "clickhouse"
    data.parent.mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from chdb import session; s = session.Session(sys.argv[1]); s.query('SELECT 1'); "
            "print('held', flush=True); sys.stdin.read()",
            str(data),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        done = murmur("up", "--workers", "0", home=tmp_path / "home")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert str(data) in done.stderr
        assert "another process" in done.stderr
        assert not processes_of(tmp_path / "home")
    finally:
        holder.communicate()


def test_a_full_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    script = (
        f"mount -t tmpfs -o size=2m tmpfs {mount} && exec {sys.executable} -m interfaces.cli.main "
        f"--home {mount}/home up --workers 0"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env=environment(mount / "home"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 1
    assert "MiB free under" in done.stderr
    assert "free some space or choose another --home" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_disk_that_fills_up_while_starting_is_named(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    # The last byte is taken between the check and the state file: what `layout.prepare` cannot foresee.
    code = (
        "import sys; from infra.local import layout; layout.FREE_BYTES_MIN = 0\n"
        "from pathlib import Path; from models.settings import load\n"
        "place = layout.Layout(Path(sys.argv[1])); place.prepare()\n"
        "try:\n"
        "    with (place.home / 'fill').open('wb') as f:\n"
        "        while True: f.write(b'x' * 4096); f.flush()\n"
        "except OSError: pass\n"
        "from infra.local.supervisor import up\n"
        "try: up(load(home=sys.argv[1]), workers=0)\n"
        "except layout.StackError as error: print(error)\n"
    )
    script = f'mount -t tmpfs -o size=2m tmpfs {mount} && exec {sys.executable} -c "$0" {mount}/home'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, code],
        env=environment(mount / "home"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.stderr == ""
    assert "no space left for" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_servers_that_were_named_are_used_and_their_faults_told_apart(tmp_path: Path) -> None:
    with home_of_stack(tmp_path / "servers") as settings:
        servers = up(settings, workers=0)
        named = {"kafka_bootstrap": servers.kafka_bootstrap, "clickhouse_url": servers.clickhouse_url}
        home = tmp_path / "user"

        wrong = murmur("up", "--workers", "0", home=home, settings={**named, "clickhouse_password": "wrong"})
        assert wrong.returncode == 1
        assert "refused user 'default': wrong user or password" in wrong.stderr
        assert len(wrong.stderr.splitlines()) == 1

        away = murmur("up", "--workers", "0", home=home, settings={"kafka_bootstrap": "127.0.0.1:1"})
        assert away.returncode == 1
        assert away.stderr.startswith("murmur: broker 127.0.0.1:1 does not answer (Connection refused)")

        given = {
            **named,
            "clickhouse_user": servers.clickhouse_user,
            "clickhouse_password": servers.clickhouse_password,
        }
        assert not processes_of(home)
        with home_of_stack(home):
            assert murmur("up", "--workers", "0", home=home, settings=given).returncode == 0
            state = status(load(home=str(home)))
            assert [p.name for p in state.processes] == ["supervisor"]
            assert (state.broker, state.clickhouse) == ("external", "external")
            assert state.kafka_bootstrap == servers.kafka_bootstrap


def test_a_user_and_password_that_were_chosen_are_those_of_the_embedded_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    chosen = {"clickhouse_user": "analyst", "clickhouse_password": "chosen by hand"}
    with home_of_stack(home) as settings:
        assert murmur("up", "--workers", "0", home=home, settings=chosen).returncode == 0
        state = status(settings)
        assert (state.clickhouse_user, state.clickhouse_password) == ("analyst", "chosen by hand")
        done = murmur("sql", "--format", "csv", "SELECT currentUser()", home=home, settings=chosen)
        assert done.returncode == 0, done.stderr


def test_up_that_takes_too_long_says_what_it_waits_for_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        with pytest.raises(StackError, match="not ready in time, still waiting for worker-1"):
            up(
                settings,
                migrate_command=NO_MIGRATION,
                worker_command=(sys.executable, "-c", "import time; time.sleep(600)"),
                wait_s=5,
            )
        assert not processes_of(home)


def test_ctrl_c_in_the_middle_of_up_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home):
        command = subprocess.Popen(
            [sys.executable, "-m", "interfaces.cli.main", "up"],
            env=environment(home),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: (home / "run" / "broker.pid.json").exists(), within_s=30, what="broker started")
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
        assert command.returncode == 130
        assert said == "murmur: interrupted\n"
        assert not processes_of(home)


def test_nothing_survives_a_killed_supervisor_and_up_works_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        up(settings, workers=0, migrate_command=NO_MIGRATION)
        supervisor = pid_of(settings, "supervisor")
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: not processes_of(home), within_s=GONE_WITHIN_S, what="children ended")
        state = status(settings)
        assert (state.ready, state.phase) == (False, "failed")
        assert "run `murmur up` again" in str(state.error)
        assert up(settings, workers=0, migrate_command=NO_MIGRATION).ready


def test_clickhouse_that_crashes_comes_back_on_the_same_port_with_its_rows(tmp_path: Path) -> None:
    with home_of_stack(tmp_path / "home") as settings:
        stack = up(settings, workers=0)
        ask(stack, "INSERT INTO reports (report_id) VALUES ('kept')")
        before = pid_of(settings, "clickhouse")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        eventually(
            lambda: status(settings).ready and pid_of(settings, "clickhouse") not in (None, before),
            within_s=BACK_WITHIN_S,
            what="ClickHouse back",
        )
        assert ask(stack, "SELECT report_id FROM reports") == "kept"
        restarts = {p.name: p.restarts for p in status(settings).processes}
        assert restarts["clickhouse"] == 1
        assert restarts["broker"] == 0


def test_a_worker_that_cannot_start_ends_up_with_its_last_words(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        with pytest.raises(StackError, match=r"worker-1 ended \(exit 1: no oil\); see .*worker-1\.log"):
            up(
                settings,
                migrate_command=NO_MIGRATION,
                worker_command=(sys.executable, "-c", "raise SystemExit('no oil')"),
            )
        assert not processes_of(home)


def test_a_migration_that_fails_ends_up_with_its_last_words(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        with pytest.raises(StackError, match=r"migrations failed \(exit 3\): no ladder"):
            up(
                settings,
                workers=0,
                migrate_command=(sys.executable, "-c", "import sys; print('no ladder'); sys.exit(3)"),
            )
        assert not processes_of(home)


def test_foreground_stays_until_it_is_told_to_end_and_takes_everything_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        for number in (signal.SIGTERM, signal.SIGKILL):
            command = subprocess.Popen(
                [sys.executable, "-m", "interfaces.cli.main", "up", "--foreground", "--workers", "0"],
                env=environment(home),
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            eventually(lambda: status(settings).ready, within_s=60, what="ready")
            assert command.poll() is None
            command.send_signal(number)
            command.wait(30)
            eventually(lambda: not processes_of(home), within_s=GONE_WITHIN_S, what="everything ended")


def test_a_recycled_pid_in_the_files_of_a_dead_stack_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        layout = Layout(home)
        layout.prepare()
        own = ProcessId.of(os.getpid())
        assert own is not None
        layout.pid_file("broker").write_text(f'{{"pid": {os.getpid()}, "started": "an earlier boot:1"}}')
        assert down(settings) == []
        assert is_alive(own)
        assert psutil.pid_exists(os.getpid())


def test_two_ups_at_once_make_one_stack(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home) as settings:
        commands = [
            subprocess.Popen(
                [sys.executable, "-m", "interfaces.cli.main", "up", "--workers", "0"],
                env=environment(home),
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        said = [command.communicate(timeout=90)[1] for command in commands]
        assert [command.returncode for command in commands] == [0, 0], said
        assert len([p for p in status(settings).processes if p.name == "broker"]) == 1
        assert sum("infra.local.daemon" in line for line in processes_of(home).values()) == 1
