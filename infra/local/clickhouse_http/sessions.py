"""Sessions of clients: settings, a current database and temporary tables that outlive one request.

In: a session id and a user. Out: the session, locked for one request. Never: shared between users or requests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local.clickhouse_http.errors import SESSION_LOCKED, SESSION_NOT_FOUND, ClickHouseError
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.request import Wish


@dataclass(slots=True)
class Session:
    """State of one session. `connection` stays None until a statement needs it to outlive its request."""

    connection: Any = None
    busy: bool = False
    expires_s: float = 0.0  # monotonic

    def close(self) -> None:
        """Ends the engine's connection and with it temporary tables and settings."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Sessions:
    """All sessions of a server. Used on the event loop's thread only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[tuple[str, str], Session] = {}

    @contextmanager
    def use(self, user: str, wish: Wish) -> Iterator[Session]:
        """The session of this request; refuses a second request at the same time (code 373)."""
        self._forget_expired()
        key = (user, wish.session_id)
        session = self._sessions.get(key)
        if session is None:
            if wish.session_check:
                raise ClickHouseError(SESSION_NOT_FOUND, f"Session {wish.session_id[:100]} not found")
            session = self._sessions[key] = Session()
        if session.busy:
            raise ClickHouseError(SESSION_LOCKED, f"Session {wish.session_id[:100]} is locked by a concurrent client")
        session.busy = True
        try:
            yield session
        finally:
            session.busy = False
            session.expires_s = time.monotonic() + wish.session_timeout_s
            if wish.close_session:
                self._sessions.pop(key, None)
                session.close()
            else:
                self._sessions[key] = self._sessions.pop(key, session)  # the last used stands last

    def close(self) -> None:
        """Ends every session."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _forget_expired(self) -> None:
        now_s = time.monotonic()
        idle = [key for key, session in self._sessions.items() if not session.busy]
        surplus = len(self._sessions) - self._limits.sessions_max + 1
        for number, key in enumerate(idle):
            if number < surplus or self._sessions[key].expires_s <= now_s:
                self._sessions.pop(key).close()
