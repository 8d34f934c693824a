"""An event loop without real time: it sleeps by moving a clock, and runs thread work in its own thread.

In: a ManualClock. Out: a loop whose every run with equal input is equal. Never: waits, starts a thread.

Each task belongs to an owner (a simulated process), so that a crash can end exactly the tasks of one process.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from models.clock import ManualClock

T = TypeVar("T")

WORK_MS = 1  # virtual duration of work given to a thread; others run meanwhile
_owner: ContextVar[str] = ContextVar("owner", default="")


class DeadlockError(AssertionError):
    """Every task waits and no timer is left: the real program would hang."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise DeadlockError("nothing is ready and no timer is set")
        if timeout > 0:
            self._clock.advance(math.ceil(timeout * 1000))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`clock` is the loop's time and everybody else's."""

    def __init__(self, clock: ManualClock) -> None:
        self._manual_clock = clock
        self._tasks_of: dict[str, list[asyncio.Task[Any]]] = {}
        super().__init__(_JumpingSelector(clock))
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        return self._manual_clock.monotonic_s()

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # typeshed's overload of the same call
        """Works at once; the answer comes WORK_MS later, so that a crash may lie between the two."""
        future: asyncio.Future[T] = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:  # whatever it is, it belongs to the caller
            self.call_later(WORK_MS / 1000, _settle, future.set_exception, future, error)
        else:
            self.call_later(WORK_MS / 1000, _settle, future.set_result, future, result)
        return future

    def run_as(self, owner: str, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs to the end of `coroutine`; it and the tasks it starts belong to `owner`."""

        async def owned() -> T:
            _owner.set(owner)
            return await coroutine

        return self.run_until_complete(owned())

    def kill(self, owner: str) -> None:
        """Ends the tasks of `owner` where they stand."""
        tasks = [task for task in self._tasks_of.pop(owner, []) if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.wait(tasks))

    def _new_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        tasks = self._tasks_of.setdefault(_owner.get(), [])
        tasks[:] = [known for known in tasks if not known.done()]
        tasks.append(task)
        return task


def _settle(how: Callable[[Any], None], future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        how(outcome)
