"""The bounded room between the agent's threads and the publisher.

In: items appended by any thread, without a lock. Out: the oldest items, to one consumer.
Never: blocks the agent; loses an item without counting it.

`append` is the deque's own: one C call, atomic under the GIL. The lock guards only the consumer's side and the
rare drop, and is held for microseconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """A deque that drops its oldest items above `bound`, with a count."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.items: deque[T] = deque()
        self.append: Callable[[T], None] = self.items.append
        self.dropped = 0
        self.refused = 0
        self.taken = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.items)

    def trim(self) -> None:
        """Drops the oldest items above the bound."""
        with self._lock:
            while len(self.items) > self.bound:
                self.items.popleft()
                self.dropped += 1

    def refuse_newest(self) -> None:
        """Takes back what was just appended: nobody will come for it."""
        with self._lock:
            if self.items:
                self.items.pop()
                self.refused += 1

    def take(self, count: int) -> list[T]:
        """Removes and returns up to `count` oldest items."""
        with self._lock:
            taken = [self.items.popleft() for _ in range(min(count, len(self.items)))]
            self.taken += len(taken)
        return taken

    def counts(self) -> tuple[int, int, int, int]:
        """(appended, waiting, dropped, refused) of one moment."""
        with self._lock:
            waiting = len(self.items)
            return self.taken + waiting + self.dropped + self.refused, waiting, self.dropped, self.refused
