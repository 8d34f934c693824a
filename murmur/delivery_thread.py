"""The daemon thread that a publisher delivers from, with its own event loop.

In: the two buffers. Out: a `Delivery` running on the loop. Never: makes the agent wait for it;
imports anything while it runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from murmur.buffer import Buffer
from murmur.clock import monotonic_s
from murmur.options import Options

if TYPE_CHECKING:
    import asyncio

    from murmur.delivery import Delivery

JOIN_TIMEOUT_S = 3.0  # beyond a close's own deadline: for closing sockets and files


# All that a delivery needs; `encodings.idna` is what resolving a host name loads.
NEEDED = (
    "murmur.delivery",
    "murmur.loop",
    "aiokafka",
    "aiokafka.errors",
    "aiokafka.partitioner",
    "concurrent.futures.thread",
    "encodings.idna",
)


def import_client() -> None:
    """Imports what a delivery needs, in the caller's thread."""
    for name in NEEDED:
        import_module(name)


class DeliveryThread:
    """`delivery` is None until the thread has started."""

    def __init__(self, options: Options, metrics: Buffer[Any], activities: Buffer[Any]) -> None:
        self.delivery: Delivery | None = None
        self._options = options
        self._metrics = metrics
        self._activities = activities
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="murmur-publisher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Once per burst: the flag stands until the delivery drains."""
        delivery = self.delivery
        if delivery is not None and not delivery.wake_requested:
            delivery.wake_requested = True
            self._call(delivery.wake)

    def flush(self, timeout_s: float) -> bool:
        """Waits for what was given so far. False when the time is over."""
        import asyncio

        deadline_s = monotonic_s() + timeout_s
        if not self._ready.wait(timeout_s) or self.delivery is None or self._loop is None:
            return False
        if not self._thread.is_alive():
            return True
        future = asyncio.run_coroutine_threadsafe(self.delivery.flushed(), self._loop)
        try:
            future.result(max(0.0, deadline_s - monotonic_s()))
        except (TimeoutError, asyncio.CancelledError):
            future.cancel()
            return False
        return True

    def close(self, timeout_s: float) -> bool:
        """Flushes until the deadline, then ends the thread."""
        if not self._thread.is_alive():
            return True
        complete = self.flush(timeout_s)
        self._ready.wait(JOIN_TIMEOUT_S)
        if self._main is not None:
            self._call(self._main.cancel)
        self._thread.join(JOIN_TIMEOUT_S)
        return complete

    def _call(self, function: Callable[[], object]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: nothing is left to do
            return

    def _run(self) -> None:
        import asyncio

        from murmur.delivery import Delivery
        from murmur.loop import PublisherLoop

        self._loop = loop = PublisherLoop()
        asyncio.set_event_loop(loop)
        # A sleep of zero gives the GIL to a waiting agent thread now, not after the 5 ms switch interval.
        delivery = Delivery(self._options, self._metrics, self._activities, breathe=lambda: time.sleep(0))
        self._main = loop.create_task(delivery.run())
        self.delivery = delivery
        self._ready.set()
        try:
            loop.run_until_complete(asyncio.wait([self._main]))
            delivery.finish()
            loop.run_until_complete(loop.settle())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
