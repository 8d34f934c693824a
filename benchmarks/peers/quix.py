"""Quix Streams with its own tumbling windows: keyed state in RocksDB, changelog topics, at-least-once.

In: the task. Out: events processed, windows closed. Never: a topic of its own for grouping where the record's key
already is the series; arrays are grouped by series through a repartition topic, the way Quix does it.
"""

from __future__ import annotations

import tempfile
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Count, Max, Min, Sum

from benchmarks.peers.protocol import WINDOW_MS, Progress, task

SESSION_TIMEOUT_MS = 10_000  # as our worker: the embedded broker delays the joining of a group by it


def main() -> None:
    """Runs until the last event has passed the window."""
    asked = task()
    progress = Progress(asked.events)
    closed = {"windows": 0, "counted": 0}
    with tempfile.TemporaryDirectory(prefix="quix-") as state:
        app = Application(
            asked.bootstrap,
            consumer_group=asked.group,
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="ERROR",
            consumer_extra_config={"session.timeout.ms": SESSION_TIMEOUT_MS},
        )
        topic = app.topic(
            asked.topic,
            key_deserializer="str",
            value_deserializer="json",
            timestamp_extractor=lambda value, *_: (value[0] if asked.array else value)["timestamp"],
        )
        frame = app.dataframe(topic).update(lambda _: progress.start())
        if asked.array:
            frame = frame.apply(lambda events: events, expand=True)
            frame = frame.set_timestamp(lambda value, *_: value["timestamp"])
            frame = frame.group_by(series, name="series")
        frame = (
            frame.tumbling_window(WINDOW_MS)
            .agg(count=Count(), sum=Sum("value"), min=Min("value"), max=Max("value"))
            .final()
        )

        def count(row: dict[str, Any]) -> None:
            closed["windows"] += 1
            closed["counted"] += int(row["count"])

        frame.update(count)

        def processed(topic_name: str, *_: Any) -> None:
            if asked.array == (topic_name == asked.topic):
                return  # arrays count when they come back from the repartition topic, one event a record
            progress.left -= 1
            if progress.left <= 0:
                app.stop()

        app._on_message_processed = processed
        app.run()
        progress.finish(**closed)


def series(event: dict[str, Any]) -> str:
    """The key its windows are kept under."""
    return f"{event['swarm_id']}|{event['agent_id']}|{event['metric']}"


if __name__ == "__main__":
    main()
