"""The command line: opens the engine, listens, runs until a signal.

In: argv. Out: exit code 0 after a clean stop, 1 with one line on stderr, 75 (may pass) with one line when the disk is
full, 74 (input or output) when a write of the engine failed. Never: a secret on the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import ipaddress
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from infra.local.clickhouse_http.body import Spool
from infra.local.clickhouse_http.engine import Engine, EngineOpenError
from infra.local.clickhouse_http.limits import MIB, Limits
from infra.local.clickhouse_http.log import Log, configure
from infra.local.clickhouse_http.server import Server
from infra.local.clickhouse_http.users import Users, UsersFileError, open_users, read_users

_SPOOL = "http_spool"  # beside the engine's own directories, which never carry this name
_BACKLOG = 256
_LINE_BYTES_MAX = 1024 * 1024  # ClickHouse's http_max_uri_size: queries travel in the address
_CONNECTIONS_CLOSE_S = 0.5  # idle keep-alive connections; running statements have ended before


class StartError(Exception):
    """Why the server cannot start, in one line."""


class NoRoomError(StartError):
    """The disk is full: a later start may succeed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server."""
    options = _parser().parse_args(argv)
    configure(options.log_level)
    try:
        asyncio.run(_serve(options))
    except (StartError, EngineOpenError, UsersFileError) as error:
        with contextlib.suppress(OSError):  # our log lies on the full disk, too
            print(f"clickhouse_http: {error}", file=sys.stderr)  # noqa: T201 - the one line a supervisor shows
        return os.EX_TEMPFAIL if isinstance(error, NoRoomError) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.clickhouse_http",
        description="ClickHouse's HTTP interface over an embedded chDB engine.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8123, help="port to listen on (default 8123)")
    parser.add_argument("--data", type=Path, required=True, help="data directory; one process a directory")
    parser.add_argument(
        "--users-file", type=Path, help='JSON {"name": {"password": "...", "readonly": false}}, mode 0600'
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"change a bound: {', '.join(field.name for field in fields(Limits))}",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


async def _serve(options: argparse.Namespace) -> None:
    limits = _limits(options.limit)
    log = Log()
    users = _users(options)
    listener = _listen(options.host, options.port)
    try:
        engine = await asyncio.to_thread(_open, options.data, limits)
    except BaseException:
        listener.close()
        raise
    spool = Spool(options.data / _SPOOL)
    await asyncio.to_thread(spool.prepare)
    server = Server(engine, users, spool, limits, log)
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        handler_cancellation=True,  # a client that goes away gives its place free
        shutdown_timeout=_CONNECTIONS_CLOSE_S,
        auto_decompress=False,  # aiohttp knows no lz4, no frames in a row and no bound
        max_line_size=_LINE_BYTES_MAX,
        max_field_size=_LINE_BYTES_MAX,
    )
    await runner.setup()
    site = web.SockSite(runner, listener, backlog=_BACKLOG)
    await site.start()
    log.event("ready", host=options.host, port=listener.getsockname()[1], engine=engine.version)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watching = asyncio.create_task(server.watch_writes())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if server.failed:
        # At once, as a crash: a clean end would remove the whole parts that a cut merge has replaced.
        os._exit(os.EX_IOERR)
    if watching.done():
        await watching  # a fault of ours: never go on unwatched
    watching.cancel()
    stopping.cancel()
    log.event("stopping")
    await site.stop()
    await server.close()
    await runner.cleanup()
    log.event("stopped")


def _limits(assignments: Sequence[str]) -> Limits:
    """The default bounds with the changes of the command line."""
    known = {field.name: type(getattr(Limits(), field.name)) for field in fields(Limits)}
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in known:
            raise StartError(f"--limit {assignment}: no such bound; known: {', '.join(known)}")
        try:
            changes[name] = known[name](value)
        except ValueError:
            raise StartError(f"--limit {assignment}: {value!r} is not a number") from None
        if not changes[name] > 0:
            raise StartError(f"--limit {assignment}: a bound is above zero")
    return replace(Limits(), **changes)


def _users(options: argparse.Namespace) -> Users:
    if options.users_file is not None:
        return read_users(options.users_file)
    if not _is_loopback(options.host):
        raise StartError(f"{options.host} is reachable from other machines: give accounts with --users-file")
    return open_users()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, before the engine opens: a taken port must not cost a start of the engine."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError) as error:
        raise StartError(f"cannot listen on {host}:{port}: {error}") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} on {host} is taken by another process; choose one with --port") from None
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from None
    return listener


def _open(data: Path, limits: Limits) -> Engine:
    existing = next((path for path in (data, *data.absolute().parents) if path.exists()), Path("/"))
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < limits.disk_free_bytes_min:
        raise NoRoomError(
            f"data directory {data}: {free_bytes // MIB} MiB free, at least "
            f"{limits.disk_free_bytes_min // MIB} MiB are needed; make room or choose another with --data"
        )
    return Engine.open(data)
