"""The HTTP server: routes, the life of one request, the number of statements at a time.

In: an open engine, users, limits. Out: an aiohttp application. Never: calls the engine on the event loop's thread,
acknowledges what the engine could not write.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from infra.local.clickhouse_http import answer as answers
from infra.local.clickhouse_http import blocks, compression
from infra.local.clickhouse_http.body import Spool
from infra.local.clickhouse_http.engine import Engine, FailedWriteError
from infra.local.clickhouse_http.errors import (
    CANNOT_READ,
    LENGTH_REQUIRED,
    SYNTAX_ERROR,
    TOO_MANY_QUERIES,
    UNKNOWN_EXCEPTION,
    ClickHouseError,
)
from infra.local.clickhouse_http.job import Answer
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.log import Log
from infra.local.clickhouse_http.receive import receive
from infra.local.clickhouse_http.request import Wish, read_credentials, read_wish
from infra.local.clickhouse_http.running import Running
from infra.local.clickhouse_http.sessions import Sessions
from infra.local.clickhouse_http.users import User, Users

_T = TypeVar("_T")
Feed = Callable[[bytes], bytes]
# Merges write without a statement; the parts they replace stay on the disk for 8 minutes (old_parts_lifetime).
WRITES_LOOKED_AT_EVERY_S = 1.0
Packer = tuple[Feed, Callable[[], bytes]]  # packs a piece; ends the packed stream
_READING_VERBS = frozenset({"SELECT", "WITH", "FROM"})
_HELP = (
    "There is no handle {path}\n\n"
    "Use / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n"
    "Send queries from your program with POST method or GET /?query=...\n"
)


class Server:
    """One engine behind HTTP."""

    def __init__(self, engine: Engine, users: Users, spool: Spool, limits: Limits, log: Log) -> None:
        self._engine = engine
        self._users = users
        self._spool = spool
        self._limits = limits
        self._log = log
        self._name = socket.gethostname()
        self._sessions = Sessions(limits)
        self._threads = ThreadPoolExecutor(limits.queries_max, thread_name_prefix="query")
        self._slots = asyncio.Semaphore(limits.queries_max)
        self._closing = False
        self._write_failed = asyncio.Event()

    def application(self) -> web.Application:
        """The routes of ClickHouse's HTTP interface."""
        app = web.Application()
        app.router.add_get("/ping", self._ok)
        app.router.add_get("/replicas_status", self._ok)
        app.router.add_route("*", "/", self._root)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    @property
    def failed(self) -> bool:
        """Whether a write of the engine has failed."""
        return self._write_failed.is_set()

    async def watch_writes(self) -> None:
        """Returns once a write of the engine has failed: the process must end at once."""
        while not self.failed:
            with suppress(TimeoutError):  # a statement may find it sooner
                await asyncio.wait_for(self._write_failed.wait(), WRITES_LOOKED_AT_EVERY_S)
            try:
                await asyncio.to_thread(self._engine.check_writes)
            except FailedWriteError as error:
                self._fail(error)
            except ClickHouseError as error:  # short of memory, say: the next look will tell
                self._log.refused(error, user="")

    async def close(self) -> None:
        """No new statements; running ones get the grace, then are cancelled; the engine closes."""
        self._closing = True
        try:
            async with asyncio.timeout(self._limits.shutdown_grace_s):
                for _ in range(self._limits.queries_max):
                    await self._slots.acquire()
        except TimeoutError:
            await asyncio.to_thread(self._engine.cancel)
        await asyncio.to_thread(self._threads.shutdown)
        self._sessions.close()
        await asyncio.to_thread(self._engine.close)

    async def _ok(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html")

    async def _unknown(self, request: web.Request) -> web.Response:
        return web.Response(status=404, text=_HELP.format(path=request.path))

    async def _root(self, request: web.Request) -> web.StreamResponse:
        headers = {"X-ClickHouse-Server-Display-Name": self._name}
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=headers | _cors_preflight(request))
        if request.method in {"GET", "HEAD"} and not request.query:
            return web.Response(text="Ok.\n", content_type="text/html", headers=headers)
        user_name = ""
        try:
            credentials = read_credentials(request.query, request.headers)
            user_name = credentials.user
            user = self._users.authenticate(credentials.user, credentials.password)
            return await self._statement(request, user, headers)
        except ClickHouseError as error:
            self._log.refused(error, user=user_name)
            return self._failure(error, headers)
        except FailedWriteError as error:
            self._fail(error)
            raise asyncio.CancelledError from error  # no answer: whether the rows are whole is not known
        except (ConnectionError, asyncio.CancelledError):
            raise
        except (web.RequestPayloadError, ClientPayloadError, HttpProcessingError) as error:
            return self._failure(ClickHouseError(CANNOT_READ, f"The body cannot be read: {error}"), headers)
        except Exception as error:
            self._log.fault(error)
            text = "an error of this server, not of the query; its log has the details"
            return self._failure(ClickHouseError(UNKNOWN_EXCEPTION, text), headers)

    async def _statement(self, request: web.Request, user: User, headers: dict[str, str]) -> web.StreamResponse:
        if request.method == "POST" and request.content_length is None and not _chunked(request):
            raise ClickHouseError(
                LENGTH_REQUIRED, "The Transfer-Encoding is not chunked and there is no Content-Length"
            )
        multipart = request.content_type == "multipart/form-data"
        wish = read_wish(request.query.items(), request.headers, self._limits, multipart=multipart)
        headers["X-ClickHouse-Query-Id"] = wish.query_id
        if wish.cors and request.headers.get("Origin"):
            headers["Access-Control-Allow-Origin"] = "*"
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._slot())
            session = stack.enter_context(self._sessions.use(user.name, wish)) if wish.session_id else None
            wish, received, tables = await receive(request, wish, self._spool, self._limits, stack, self._call)
            if not received.sql.strip():
                raise ClickHouseError(SYNTAX_ERROR, "Empty query")
            running = Running(self._engine, self._limits, session)
            work = partial(running.run, method=request.method, wish=wish, user=user, received=received, tables=tables)
            result, format_name = await self._call(work, on_cancel=running.cancel)
            stack.push_async_callback(self._release, result)
            return await self._success(request, wish, running, result, format_name, headers)

    async def _success(
        self,
        request: web.Request,
        wish: Wish,
        running: Running,
        result: Answer,
        format_name: str,
        headers: dict[str, str],
    ) -> web.StreamResponse:
        headers |= {
            "X-ClickHouse-Format": format_name,
            "X-ClickHouse-Timezone": wish.settings.get("session_timezone") or self._engine.timezone,
            "X-ClickHouse-Summary": answers.summary(result),
            "Content-Type": answers.content_type(format_name),
        }
        feed: Feed = _as_it_is
        finish: Callable[[], bytes] = bytes
        if wish.native_compress:
            feed = blocks.pack
        elif wish.http_compression and (coding := compression.choose(request.headers.get("Accept-Encoding", ""))):
            headers["Content-Encoding"] = coding
            feed, finish = compression.compressor(coding)
        if result.chunks is not None:
            return await self._stream(request, running, result, (feed, finish), headers)
        body = result.body
        if feed is not _as_it_is:
            body = await self._call(lambda: feed(body) + finish())
        return web.Response(body=body, headers=headers)

    async def _stream(
        self, request: web.Request, running: Running, result: Answer, packer: Packer, headers: dict[str, str]
    ) -> web.StreamResponse:
        feed, finish = packer
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        chunks = result.chunks
        assert chunks is not None
        try:
            chunk, result.body = result.body, b""
            while chunk:
                if packed := await self._call(partial(feed, chunk)):
                    await response.write(packed)
                chunk = await self._call(partial(next, chunks, b""), on_cancel=running.cancel)
            if tail := finish():
                await response.write(tail)
            await response.write_eof()
        except ClickHouseError as error:
            self._log.refused(error, user="")
            # The status is sent: a broken connection is the only honest end.
            if request.transport is not None:
                request.transport.abort()
        return response

    def _fail(self, error: FailedWriteError) -> None:
        if not self.failed:
            self._log.write_failed(error)
            self._write_failed.set()

    def _failure(self, error: ClickHouseError, headers: dict[str, str]) -> web.Response:
        headers |= {
            "X-ClickHouse-Exception-Code": str(error.code),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if error.status == 503:
            headers["Retry-After"] = "1"
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        return web.Response(status=error.status, body=error.body(self._engine.version).encode(), headers=headers)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the places for running statements."""
        try:
            async with asyncio.timeout(self._limits.queue_wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise ClickHouseError(
                TOO_MANY_QUERIES,
                f"Too many simultaneous queries. Maximum: {self._limits.queries_max}. Try again",
            ) from None
        try:
            if self._closing:
                raise ClickHouseError(TOO_MANY_QUERIES, "The server is shutting down")
            yield
        finally:
            self._slots.release()

    async def _call(self, work: Callable[[], _T], *, on_cancel: Callable[[], None] | None = None) -> _T:
        """Runs `work` in a thread. When the client goes away meanwhile, `work` is told and waited for all the same:
        nothing it uses (a file, a session, a place) may be given free under its feet."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if on_cancel is not None:
                await asyncio.to_thread(on_cancel)
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nobody is left to tell
            raise

    async def _release(self, result: Answer) -> None:
        if result.chunks is not None:
            await self._call(result.chunks.close)


def _as_it_is(data: bytes) -> bytes:
    return data


def _chunked(request: web.Request) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def _cors_preflight(request: web.Request) -> dict[str, str]:
    if "Origin" not in request.headers:
        return {}
    return {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "origin, x-requested-with, x-clickhouse-format, x-clickhouse-user, "
        "x-clickhouse-key, Authorization",
        "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
        "Access-Control-Max-Age": "86400",
    }
