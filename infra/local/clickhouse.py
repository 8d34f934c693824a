"""The embedded ClickHouse: chDB behind ClickHouse's own HTTP interface, one process a data directory.

In: a port, users. Out: the command that runs it and its users file. Never: shows a password on a command line.
"""

from __future__ import annotations

import json
import secrets
import sys

from infra.local.layout import Layout, StackError, write_private
from infra.local.ports import LOOPBACK, listens
from infra.local.probes import clickhouse_answers
from infra.local.process import Command

NAME = "clickhouse"
DEFAULT_PORT = 8123  # ClickHouse's own
WRITE_USER = "murmur"
READ_USER = "reader"
STOP_WITHIN_S = 8.0  # running inserts end and parts are closed
PASSWORD_BYTES = 18  # 144 bits, 24 URL-safe characters
_PROBE_S = 0.5


def command(layout: Layout, port: int, environment: dict[str, str]) -> Command:
    """Runs the HTTP server over the data directory of this home."""
    argv = (
        sys.executable,
        "-m",
        "infra.local.clickhouse_http",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--data",
        str(layout.data / "clickhouse"),
        "--users-file",
        str(layout.users_file),
    )
    return Command(NAME, argv, environment, lambda process: listens(process, port) and answers(port), STOP_WITHIN_S)


def write_users(layout: Layout, *, user: str = WRITE_USER, password: str = "") -> tuple[str, str]:
    """Sees to the users file: `user` may do everything, READ_USER may only read. Returns their passwords.

    A password that is not given is made once a home and kept, so that a saved connection of an analyst still works
    tomorrow.
    """
    if user == READ_USER:
        raise StackError(f"clickhouse_user {user!r} is the read-only user of the embedded ClickHouse: choose another")
    kept = _read_passwords(layout)
    write_password = password or kept.get(user) or secrets.token_urlsafe(PASSWORD_BYTES)
    read_password = kept.get(READ_USER) or secrets.token_urlsafe(PASSWORD_BYTES)
    users = {
        user: {"password": write_password, "readonly": False},
        READ_USER: {"password": read_password, "readonly": True},
    }
    write_private(layout.users_file, json.dumps(users, indent=2) + "\n")
    return write_password, read_password


def _read_passwords(layout: Layout) -> dict[str, str]:
    try:
        users = json.loads(layout.users_file.read_text(encoding="utf-8"))
        return {str(name): str(user["password"]) for name, user in users.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def answers(port: int) -> bool:
    """True when the server on this loopback port answers /ping."""
    try:
        clickhouse_answers(f"http://{LOOPBACK}:{port}", timeout_s=_PROBE_S)
    except StackError:
        return False
    return True
