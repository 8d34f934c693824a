"""The `murmur` command against servers a test has started: no stack, everything given by environment.

In: settings, arguments. Out: exit code and output of a process of its own. Never: uses another home than the test's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from models.settings import Settings, environment_of
from tests.support.stacks import ROOT

COMMAND_S_MAX = 180.0


def run_murmur(settings: Settings, *args: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Runs the command a user runs under these settings, and under `changed` ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MURMUR_")}
    given = {f"MURMUR_{name.upper()}": value for name, value in changed.items()}
    return subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *args],
        cwd=ROOT,
        env=kept | environment_of(settings) | given,
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )


def answer_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON a command printed; fails with what it said instead."""
    assert done.stdout, done.stderr
    return json.loads(done.stdout)
