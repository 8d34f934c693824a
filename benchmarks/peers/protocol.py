"""What every peer is told and what it answers; standard library only, because peers run in an environment of their own.

In: --bootstrap, --topic, --events. Out: one line of JSON on stdout when that many events are processed.
Never: counts the time before the first record; joining a group is not processing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, NamedTuple

WINDOW_MS = 10_000


class Task(NamedTuple):
    """What to read: `events` of them, from the beginning of `topic`."""

    bootstrap: str
    topic: str
    events: int
    group: str
    array: bool  # a record holds a JSON array of events instead of one


def task() -> Task:
    """The task on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--array", action="store_true")
    return Task(**vars(parser.parse_args()))


class Progress:
    """Counts events; the clock runs from the first to the last."""

    def __init__(self, events: int) -> None:
        self.left = events
        self._events = events
        self._started_s = 0.0
        self._cpu_s = 0.0

    def start(self) -> None:
        """Called with every record; the first call starts the clock."""
        if not self._started_s:
            self._started_s, self._cpu_s = time.perf_counter(), time.process_time()

    def finish(self, **result: Any) -> None:
        """Prints the answer and ends the process at once: a peer's own shutdown is not measured."""
        seconds, cpu_s = time.perf_counter() - self._started_s, time.process_time() - self._cpu_s
        print(json.dumps({"events": self._events - self.left, "seconds": seconds, "cpu_s": cpu_s, **result}))
        sys.stdout.flush()
        os._exit(0)


Windows = dict[tuple[str, str, str, int], list[float]]  # (swarm, agent, metric, start) -> count, sum, min, max


def add(windows: Windows, event: dict[str, Any]) -> None:
    """One event into its window: the plainest way Python has."""
    value = event["value"]
    key = (event["swarm_id"], event["agent_id"], event["metric"], event["timestamp"] // WINDOW_MS)
    found = windows.get(key)
    if found is None:
        windows[key] = [1, value, value, value]
        return
    found[0] += 1
    found[1] += value
    if value < found[2]:
        found[2] = value
    if value > found[3]:
        found[3] = value


def totals(windows: Windows) -> dict[str, float]:
    """What the driver checks: all windows together hold every event once."""
    return {
        "windows": len(windows),
        "counted": sum(w[0] for w in windows.values()),
        "sum": sum(w[1] for w in windows.values()),
    }
