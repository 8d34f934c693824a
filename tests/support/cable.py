"""A TCP proxy that loses the network: packets vanish in one direction or both, and every socket stays open.

In: the port of a real server. Out: a port for its client; how many bytes were held up. Never: closes or resets a
connection unless told to; drops bytes out of the middle of a stream: what vanishes is sent again by TCP once the
network is back, or is lost with its connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.brokers import free_port
from tests.support.kafka import ApacheKafka, libs_or_skip

LOOPBACK: Final = "127.0.0.1"
READ_BYTES: Final = 64 * 1024
REPLY_WITHIN_S: Final = 10.0  # of the proxy's own thread
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close sends RST, as a crashed peer's kernel does


class Cable:
    """Forwards both directions until `cut`; all methods may be called from any thread."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.server_port = server_port  # of the loopback interface
        self.held = {"requests": 0, "answers": 0}  # bytes that met a cut, by direction
        self._loop = asyncio.new_event_loop()
        self._open: dict[str, asyncio.Event] = {}
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> Cable:
        self._thread.start()
        self._do(self._listen)
        return self

    def cut(self, *, requests: bool = True, answers: bool = True) -> None:
        """From now on these bytes get nowhere; nobody is told."""

        async def close_gates() -> None:
            for direction, cut in (("requests", requests), ("answers", answers)):
                if cut:
                    self._open[direction].clear()

        self._do(close_gates)

    def heal(self, *, reset: bool = False) -> None:
        """The network is back. `reset`: connections from before are reset at both ends, what they held is lost."""

        async def open_gates() -> None:
            if reset:
                for writer in self._writers:
                    _reset(writer)
                for link in self._links:
                    link.cancel()
            for gate in self._open.values():
                gate.set()

        self._do(open_gates)

    def close(self) -> None:
        """Ends every connection and the thread."""
        self.heal(reset=True)
        self._do(self._unlisten)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(REPLY_WITHIN_S)
        self._loop.close()

    def _do(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(REPLY_WITHIN_S)

    async def _listen(self) -> None:
        self._open = {"requests": asyncio.Event(), "answers": asyncio.Event()}
        for gate in self._open.values():
            gate.set()
        self._server = await asyncio.start_server(self._link, LOOPBACK, self.port)

    async def _unlisten(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One connection of a client, until either side ends it."""
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        self._writers.add(client)
        server: asyncio.StreamWriter | None = None
        ended = False
        try:
            await self._open["requests"].wait()  # a connection request is a packet as well
            server_reader, server = await asyncio.open_connection(LOOPBACK, self.server_port)
            self._writers.add(server)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward("requests", client_reader, server))
                both.create_task(self._forward("answers", server_reader, client))
            ended = True
        except* OSError:
            pass  # the server is away, or one side was reset: so is the other
        finally:
            for writer in (client, server):
                if writer is not None:
                    writer.close() if ended else _reset(writer)
                    self._writers.discard(writer)
            self._links.discard(link)

    async def _forward(self, direction: str, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Passes bytes on, and the end of the stream after them."""
        gate = self._open[direction]
        while True:
            found = await source.read(READ_BYTES)
            if not gate.is_set():
                self.held[direction] += len(found)
                await gate.wait()
            if not found:
                break
            target.write(found)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()


@contextmanager
def cabled_kafka(clients: Sequence[str]) -> Iterator[tuple[ApacheKafka, dict[str, Cable]]]:
    """A node and a cable to it for each client; the node tells whoever comes by a cable to come back by that cable.

    The embedded broker has one address that it tells everybody, so its clients cannot be cut off one by one.
    """
    with tempfile.TemporaryDirectory(prefix="murmur-cabled-kafka-") as directory, ExitStack() as stack:
        node = ApacheKafka(Path(directory) / "kafka", libs_or_skip(Path(directory)))
        cables = {name: Cable(free_port()) for name in clients}
        node.properties = _properties(node.port, list(cables.values()))
        node.start()
        stack.callback(node.stop)
        for cable in cables.values():
            cable.start()
            stack.callback(cable.close)
        yield node, cables


def _properties(port: int, cables: Sequence[Cable]) -> dict[str, str]:
    """What differs from the node of `infra.local.kafka`: a listener a cable."""
    controller = f"{LOOPBACK}:{free_port()}"
    own = f"PLAINTEXT://{LOOPBACK}:{port}"
    names = [f"CABLE{n}" for n in range(len(cables))]
    listens = [f"{name}://{LOOPBACK}:{cable.server_port}" for name, cable in zip(names, cables, strict=True)]
    told = [f"{name}://{cable.address}" for name, cable in zip(names, cables, strict=True)]
    return {
        "listeners": ",".join([own, *listens, f"CONTROLLER://{controller}"]),
        "advertised.listeners": ",".join([own, *told]),
        "controller.quorum.voters": f"1@{controller}",
        "listener.security.protocol.map": ",".join(f"{n}:PLAINTEXT" for n in ["PLAINTEXT", "CONTROLLER", *names]),
    }
