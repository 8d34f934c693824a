"""What a process does to its publishers: it forks, and it ends.

In: publishers, held weakly. Out: a fresh start in a forked child; a bounded close at exit.
Never: keeps a publisher alive; delays an exit beyond EXIT_TIMEOUT_S for all publishers together.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Protocol

from murmur.clock import monotonic_s

EXIT_TIMEOUT_S = 5.0


class Watched(Protocol):
    """What the hooks need of a publisher."""

    def after_fork_in_child(self) -> None:
        """Starts afresh in a forked child: nothing of the parent's is sent twice."""
        ...

    def close(self, timeout_s: float | None = None) -> bool:
        """Sends what is left within `timeout_s`; False when something had to stay."""
        ...


_live: weakref.WeakSet[Watched] = weakref.WeakSet()
_hooked = False


def watch(publisher: Watched) -> None:
    """From now on until it is garbage, the publisher is told."""
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork_in_child)
    _live.add(publisher)


def _after_fork_in_child() -> None:
    for publisher in list(_live):
        publisher.after_fork_in_child()
    # A forked multiprocessing child ends by os._exit and skips atexit; it runs its own finalizers instead, which it
    # forgets right after the fork and before these callbacks.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_at_exit, lambda _: util.Finalize(None, _at_exit, exitpriority=0))


def _at_exit() -> None:
    deadline_s = monotonic_s() + EXIT_TIMEOUT_S
    for publisher in list(_live):
        publisher.close(max(0.0, deadline_s - monotonic_s()))
