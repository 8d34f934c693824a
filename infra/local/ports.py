"""Free TCP ports on the loopback interface.

In: a wanted port. Out: a port nobody listens on now, and that no other stack of this user has chosen. Never: binds to
other interfaces; keeps a port beyond the end of its process.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

from infra.local.identity import ProcessId
from infra.local.layout import PRIVATE_DIR_MODE, PRIVATE_FILE_MODE, StackError

LOOPBACK = "127.0.0.1"
PORTS_TRIED_MAX = 200  # next free ones after the default; beyond that something is wrong with the machine
PORT_MAX = 65_535
_in_hand: dict[int, int] = {}  # port -> descriptor of its lock


def is_free(port: int) -> bool:
    """True when a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def take(port: int) -> bool:
    """False when another process of this user has chosen the port; else it is ours until this process ends.

    From the look at a port to a server that listens on it pass seconds while a JVM starts: stacks that are started in
    the same moment would all choose the same one.
    """
    if port in _in_hand:
        return True
    folder = Path(tempfile.gettempdir()) / f"murmur-ports-{os.getuid()}"
    try:
        folder.mkdir(mode=PRIVATE_DIR_MODE, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return True  # somebody else's folder: a choice can be told to nobody, as on a disk that is full
        descriptor = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _in_hand[port] = descriptor
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
        if wanted in used or not is_free(wanted) or not take(wanted):
            raise StackError(
                f"port {wanted} on {LOOPBACK} is taken by another process: stop it, give another {flag}, or leave "
                f"{flag} out to get the next free one"
            )
        return wanted
    for port in range(default, min(default + PORTS_TRIED_MAX, PORT_MAX + 1)):
        if port not in used and is_free(port) and take(port):
            return port
    raise StackError(f"no free port from {default} on: give one with {flag}")
