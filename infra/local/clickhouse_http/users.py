"""Who may speak to the server: the users file and the check of a request's credentials.

In: a JSON file `{"name": {"password": "...", "readonly": false}}`, mode 0600. Out: `User` or code 516.
Never: a password from argv, in a log line or in an error; a comparison whose duration tells anything.
"""

from __future__ import annotations

import hmac
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from infra.local.clickhouse_http.errors import AUTHENTICATION_FAILED, ClickHouseError

_FIELDS = {"password", "readonly"}


class UsersFileError(Exception):
    """The users file breaks a rule; the message is one line."""


@dataclass(frozen=True, slots=True)
class User:
    """One account. A read-only user can read tables and nothing else: no writes, files, addresses, settings."""

    name: str
    password_sha256: bytes = field(repr=False)
    readonly: bool


class Users:
    """The accounts of a server."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = dict(users)

    def authenticate(self, name: str, password: str) -> User:
        """The user with these credentials; raises code 516 without telling which of the two was wrong."""
        user = self._users.get(name)
        expected = user.password_sha256 if user is not None else bytes(32)
        matches = hmac.compare_digest(expected, sha256(password.encode()).digest())
        if user is None or not matches:
            raise ClickHouseError(
                AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return user


def open_users() -> Users:
    """The one account of a server without a users file: `default`, no password. For loopback only."""
    return Users({"default": User("default", sha256(b"").digest(), readonly=False)})


def read_users(path: Path) -> Users:
    """Reads and checks the users file; raises UsersFileError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsersFileError(f"users file {path}: cannot be read: {reason}") from None
    if mode & 0o077:
        raise UsersFileError(f"users file {path}: others can read it (mode {mode:04o}); run: chmod 600 {path}")
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise UsersFileError(f"users file {path}: not JSON: {error}") from None
    if not isinstance(entries, dict) or not entries:
        raise UsersFileError(f'users file {path}: must be {{"name": {{"password": "...", "readonly": false}}}}')
    return Users({name: _user(path, name, entry) for name, entry in entries.items()})


def _user(path: Path, name: str, entry: object) -> User:
    where = f"users file {path}: user {name!r}"
    if not isinstance(entry, dict) or not isinstance(entry.get("password"), str):
        raise UsersFileError(f"{where}: needs a text field password")
    if unknown := sorted(set(entry) - _FIELDS):
        raise UsersFileError(f"{where}: unknown fields {', '.join(unknown)}; known: password, readonly")
    readonly = entry.get("readonly", False)
    if not isinstance(readonly, bool):
        raise UsersFileError(f"{where}: readonly must be true or false")
    return User(name, sha256(entry["password"].encode()).digest(), readonly)
