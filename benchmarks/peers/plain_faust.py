"""A plain Faust agent: one event at a time, counts in a dict, offsets committed by Faust.

In: the task. Out: totals of its windows. Never: a Faust table; its windowed tables lose windows and are slower still.
"""

from __future__ import annotations

import asyncio
from typing import Any

import faust
import uvloop

from benchmarks.peers.protocol import Progress, Task, Windows, add, task, totals

SESSION_TIMEOUT_S = 10  # as our worker: the embedded broker delays the joining of a group by it


def build(asked: Task, progress: Progress) -> faust.App:
    """The app; what a reader of Faust's manual would write."""
    app = faust.App(
        asked.group,
        broker=f"kafka://{asked.bootstrap}",
        store="memory://",
        value_serializer="json",
        web_enabled=False,
        topic_disable_leader=True,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_rebalance_timeout=SESSION_TIMEOUT_S,
    )
    windows: Windows = {}

    @app.agent(app.topic(asked.topic))
    async def fold(stream: Any) -> None:
        async for value in stream:
            progress.start()
            for event in value if asked.array else (value,):
                add(windows, event)
                progress.left -= 1
            if progress.left <= 0:
                progress.finish(**totals(windows))

    return app


async def main() -> None:
    """Runs until the last event."""
    asked = task()
    app = build(asked, Progress(asked.events))
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
