"""Local stacks as a test tool: a home of its own, and the proof that nothing of it is left running.

In: a temporary directory. Out: settings, the `murmur` command, the processes of a home.
Never: touches the stack of the person who runs the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.local.supervisor import down
from models.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a user whose home of the stack is `home`; other MURMUR_* variables are gone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MURMUR_")}
    ours = {f"MURMUR_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "MURMUR_HOME": str(home), "PYTHONPATH": str(ROOT), **ours}


def murmur(
    *args: str,
    home: Path,
    stdin: bytes = b"",
    timeout_s: float = 240,
    settings: Mapping[str, str] | None = None,
    path: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs the command a user runs, in its own process and away from the checkout's directory.

    `path`: another PATH, for a machine that lacks a program.
    """
    variables = environment(home, **(settings or {}))
    if path is not None:
        variables["PATH"] = path
    done = subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *args],
        input=stdin,
        capture_output=True,
        env=variables,
        cwd=home.parent,
        timeout=timeout_s,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def processes_of(home: Path) -> dict[int, str]:
    """pid -> command line of every process that was started with this home."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("MURMUR_HOME") == str(home) and process.pid != os.getpid():
                found[process.pid] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return found


@contextmanager
def home_of_stack(home: Path) -> Iterator[Settings]:
    """Settings of a home whose stack is stopped afterwards; fails when a process of it survives."""
    settings = load(home=str(home))
    try:
        yield settings
    finally:
        down(settings)
        left = processes_of(home)
        for pid in left:
            psutil.Process(pid).kill()
        assert not left, f"processes left behind: {left}"
