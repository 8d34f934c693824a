"""Starts an aiokafka client so that a start that is cut short leaves no connection behind.

In: the client's coroutine that connects. Out: its answer. Never: waits longer than START_GRACE_S once cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

START_GRACE_S: Final = 1.0  # a broker that is there answers the first question in milliseconds


async def start_whole(starting: Coroutine[Any, Any, Any]) -> None:
    """Awaits `starting`; a cancellation comes through when the start has ended, or after START_GRACE_S.

    aiokafka closes the connection of its first question only when that was answered or has failed; cancelled before,
    it is left open, and closing the client does not reach it.
    """
    task = asyncio.ensure_future(starting)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=START_GRACE_S)
        if not task.done():
            task.cancel()
        elif not task.cancelled():
            task.exception()  # seen: the caller is going anyway
        raise
