"""The name of a worker: what its status file and its lines are known by, held by one process of a home at a time.

In: a home, a name. Out: a lock that the kernel frees when the process ends. Never: a file outside the home.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Final

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class WorkerNameError(ValueError):
    """The name cannot be used; one line that says what to do."""


def claim(home: Path, name: str) -> int:
    """Takes the name for the life of this process; returns the descriptor that holds it.

    Raises WorkerNameError for a name that is no file name or belongs to a worker that runs, OSError for a home that
    cannot be written.
    """
    if not NAME.match(name):
        raise WorkerNameError(
            f"--name {name!r}: 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
        )
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WorkerNameError(f"a worker named {name} already runs in {home}: choose another --name") from None
    return descriptor
