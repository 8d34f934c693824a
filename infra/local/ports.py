"""Free TCP ports on the loopback interface.

In: a wanted port. Out: a port nobody listens on now. Never: binds to other interfaces; keeps a port reserved.
"""

from __future__ import annotations

import socket

from infra.local.identity import ProcessId
from infra.local.layout import StackError

LOOPBACK = "127.0.0.1"
PORTS_TRIED_MAX = 200  # next free ones after the default; beyond that something is wrong with the machine
PORT_MAX = 65_535


def is_free(port: int) -> bool:
    """True when a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(process: ProcessId, port: int) -> bool:
    """True when exactly this process listens on the port: an answer alone may come from somebody else's server."""
    import psutil

    try:
        connections = psutil.Process(process.pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def choose(default: int, wanted: int | None, *, flag: str, used: frozenset[int] = frozenset()) -> int:
    """`wanted` exactly, or the first free port from `default` on. Raises StackError when that is not possible."""
    if wanted is not None:
        if not 1 <= wanted <= PORT_MAX:
            raise StackError(f"{flag} {wanted}: a port is a number from 1 to {PORT_MAX}")
        if wanted in used or not is_free(wanted):
            raise StackError(
                f"port {wanted} on {LOOPBACK} is taken by another process: stop it, give another {flag}, or leave "
                f"{flag} out to get the next free one"
            )
        return wanted
    for port in range(default, min(default + PORTS_TRIED_MAX, PORT_MAX + 1)):
        if port not in used and is_free(port):
            return port
    raise StackError(f"no free port from {default} on: give one with {flag}")
