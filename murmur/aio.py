"""The publisher for asyncio code, on the caller's own event loop.

In: emit() and activity(), which only append. Out: records on Kafka, sent by tasks of the running loop.
Never: waits inside emit(); needs a thread.
"""

from __future__ import annotations

import asyncio
from typing import Unpack

from murmur.delivery import Delivery
from murmur.emitting import Emitter
from murmur.options import Options, PublisherOptions
from murmur.process_hooks import watch
from murmur.stats import Stats


class AsyncPublisher(Emitter):
    """`async with AsyncPublisher("localhost:9092", swarm_id=...) as pub: pub.emit(...)`.

    Belongs to the loop it is first used on. Encoding a batch of 500 events takes that loop about a millisecond;
    code that cannot spare it uses `Publisher`, which has its own thread and works from coroutines just as well.
    """

    def __init__(self, bootstrap: str, **options: Unpack[PublisherOptions]) -> None:
        super().__init__(Options(bootstrap=bootstrap, **options))
        self._delivery: Delivery | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        watch(self)

    async def __aenter__(self) -> AsyncPublisher:
        self._wake()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def flush(self, timeout_s: float = 10.0) -> bool:
        """Waits until everything given so far is acknowledged, or counted as dropped. False: not in time."""
        if not self._wake() or self._delivery is None or self._task is None or self._task.done():
            return self._closed
        try:
            async with asyncio.timeout(timeout_s):
                await self._delivery.flushed()
        except TimeoutError:
            return False
        return True

    async def aclose(self, timeout_s: float | None = None) -> bool:
        """Flushes until the deadline, keeps the rest in the spool (or counts it as dropped), ends the tasks."""
        task, delivery = self._task, self._delivery
        if task is None or delivery is None:
            self._close_door()
            return True
        complete = await self.flush(self._options.close_timeout_s if timeout_s is None else timeout_s)
        self._close_door()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            delivery.finish()
        return complete

    def stats(self) -> Stats:
        """The counts of this moment."""
        return self._delivery.stats() if self._delivery is not None else self._stats_before_delivery()

    def close(self, timeout_s: float | None = None) -> bool:
        """At the process's exit the loop is gone: what was never sent goes to the spool, or is counted."""
        self._close_door()
        if self._delivery is not None and self._loop is not None and self._loop.is_closed():
            self._delivery.finish()
        return self._delivery is None

    def after_fork_in_child(self) -> None:
        """A child has its own loop, and none of the parent's events."""
        if self._delivery is not None:
            self._delivery.abandon()
        self._delivery = self._loop = self._task = None
        self._reset()

    def _wake(self) -> bool:
        if self._delivery is not None and self._loop is not None:
            if not self._delivery.wake_requested and not self._loop.is_closed():
                self._delivery.wake_requested = True
                self._loop.call_soon_threadsafe(self._delivery.wake)
            return True
        if self._closed:
            return False
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return False  # no loop yet: the events wait in the buffer
        self._delivery = Delivery(self._options, self._metrics, self._activities)
        self._task = self._loop.create_task(self._delivery.run())
        return True
