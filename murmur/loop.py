"""The event loop of a publisher's own thread.

In: nothing. Out: a selector loop that still resolves host names while the interpreter is shutting down.
Never: used on a caller's thread.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from weakref import WeakSet

SETTLE_TIMEOUT_S = 1.0  # for tasks that are cancelled
LAST_TURNS = 3  # of the loop: a transport gives its socket back in the turn after it was closed


class PublisherLoop(asyncio.SelectorEventLoop):
    """Thread pools refuse work once the main thread has ended, which is when a short script's events leave."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: WeakSet[asyncio.BaseTransport] = WeakSet()

    async def create_connection(self, *given: Any, **options: Any) -> Any:
        opened = await super().create_connection(*given, **options)
        self._opened.add(opened[0])
        return opened

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        try:
            return await super().getaddrinfo(host, port, **options)
        except RuntimeError:  # cannot schedule new futures after shutdown: nobody else needs this thread now
            return socket.getaddrinfo(host, port, **options)

    async def settle(self) -> None:
        """Cancels and collects what is left, and gives every socket back."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SETTLE_TIMEOUT_S)
        for transport in list(self._opened):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()  # closing would wait for what a frozen broker does not take any more
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        await self.shutdown_default_executor()
