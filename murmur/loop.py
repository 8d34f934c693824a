"""The event loop of a publisher's own thread.

In: nothing. Out: a selector loop that still resolves host names while the interpreter is shutting down.
Never: used on a caller's thread.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

SETTLE_TIMEOUT_S = 1.0  # for the last callbacks of closed connections


class PublisherLoop(asyncio.SelectorEventLoop):
    """Thread pools refuse work once the main thread has ended, which is when a short script's events leave."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        try:
            return await super().getaddrinfo(host, port, **options)
        except RuntimeError:  # cannot schedule new futures after shutdown: nobody else needs this thread now
            return socket.getaddrinfo(host, port, **options)


async def settle() -> None:
    """Cancels and collects what is left on the running loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=SETTLE_TIMEOUT_S)
    await asyncio.get_running_loop().shutdown_default_executor()
