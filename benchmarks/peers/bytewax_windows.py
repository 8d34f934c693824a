"""Bytewax with its own tumbling event-time windows, one worker, Kafka input until the end of the log.

In: the task. Out: totals of its windows. Never: recovery snapshots; they are off, which is Bytewax's default.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from benchmarks.peers.protocol import WINDOW_MS, Progress, task

START = datetime(2026, 1, 1, tzinfo=UTC)
LATENESS = timedelta(seconds=5)  # as our worker: how long a window stays open


class Totals(StatelessSinkPartition[Any], DynamicSink[Any]):
    """Adds up the windows in memory."""

    def __init__(self) -> None:
        self.windows, self.counted, self.sum = 0, 0, 0.0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Totals:
        return self

    def write_batch(self, items: list[Any]) -> None:
        for _key, (_window, found) in items:
            self.windows += 1
            self.counted += found[0]
            self.sum += found[1]


def add(found: list[float], event: dict[str, Any]) -> list[float]:
    """One event into its window."""
    value = event["value"]
    if not found:
        return [1, value, value, value]
    return [found[0] + 1, found[1] + value, min(found[2], value), max(found[3], value)]


def merge(a: list[float], b: list[float]) -> list[float]:
    """Two parts of one window."""
    return [a[0] + b[0], a[1] + b[1], min(a[2], b[2]), max(a[3], b[3])] if a and b else a or b


def series(event: dict[str, Any]) -> str:
    """The key its windows are kept under."""
    return f"{event['swarm_id']}|{event['agent_id']}|{event['metric']}"


def main() -> None:
    """Reads the topic to its end; all windows close there."""
    asked = task()
    progress = Progress(asked.events)
    sink = Totals()

    def decode(message: Any) -> list[dict[str, Any]]:
        progress.start()
        found = orjson.loads(message.value)
        events = found if asked.array else [found]
        progress.left -= len(events)
        return events

    flow = Dataflow("windows")
    source = kop.input("log", flow, brokers=[asked.bootstrap], topics=[asked.topic], tail=False)
    events = op.flat_map("decode", source.oks, decode)
    keyed = op.key_on("series", events, series)
    # Its watermark also moves with the system's clock, which would make events late in a log read more slowly than it
    # was written. Here only the events move it, as in the other engines.
    clock = EventClock(lambda e: datetime.fromtimestamp(e["timestamp"] / 1000, UTC), LATENESS, lambda: START)
    windows = win.fold_window(
        "window", keyed, clock, TumblingWindower(timedelta(milliseconds=WINDOW_MS), START), list, add, merge
    )
    op.output("totals", windows.down, sink)
    run_main(flow)
    progress.finish(windows=sink.windows, counted=sink.counted, sum=sink.sum)


if __name__ == "__main__":
    main()
