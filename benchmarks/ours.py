"""One run of our worker over a filled log, timed from outside.

In: a stack, settings of a fresh run, how many events the log holds. Out: `OurRun`.
Never: believes a counter of ours for what arrived: ClickHouse is asked over HTTP; counts joining a group as ingestion.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.group import members_when_stable
from benchmarks.stack import Questions, Stack, of_system, until
from benchmarks.usage import Watch
from models.settings import Settings
from tests.support.workers import worker


class OurRun(NamedTuple):
    """What one run took, from the moment the worker had its partitions to the last final row."""

    events: int
    seconds: float
    worker_cpu_s: float
    clickhouse_cpu_s: float
    broker_cpu_s: float
    worker_peak_rss_bytes: int
    clickhouse_peak_rss_bytes: int
    broker_peak_rss_bytes: int
    worker_ready_rss_bytes: int
    window_rows: int
    metrics_bytes: int  # on disk, as it stood when the last row was there
    windows_bytes: int
    snapshot_bytes: int  # newest snapshot of every partition
    series: int
    open_windows: int
    lag_records_at_end: int  # as the worker said when the last row was there; its word is a second old

    @property
    def per_s(self) -> float:
        return self.events / self.seconds

    def cpu_per_million(self) -> float:
        """CPU seconds of worker and ClickHouse for a million events."""
        return (self.worker_cpu_s + self.clickhouse_cpu_s) * 1e6 / self.events


def measure(stack: Stack, settings: Settings, events: int, *, publish: Callable[[], None] = lambda: None) -> OurRun:
    """Starts a worker on the filled log and waits for the last row. Raises when a row is missing or doubled.

    `publish` fills the log while the worker runs instead.
    """
    with Questions(settings) as ask, worker(settings) as process:
        members_when_stable(settings, process)
        started_s = time.perf_counter()
        watched = of_system(process)
        ready_rss = watched.memory_info().rss
        with Watch({"worker": watched, **stack.processes()}) as watch:
            publish()
            until(lambda: ask.all_there(events), f"{events:,} events in ClickHouse", process)
            seconds = time.perf_counter() - started_s
        lag = process.status()["lag_records"]
        used = watch.usage()
        final = ask.shown()
        if final != events or ask.window_events() != events:
            raise RuntimeError(f"{events:,} events went in, {final:,} are shown: this is no measurement")
        stored = [ask.table_bytes(table) for table in ("metrics", "windows")]
        rows = ask.number("SELECT count() FROM windows FINAL")
        until(lambda: all_saved(process.status()), "every partition has a snapshot of its end", process, every_s=0.2)
        status = process.status()
        process.terminate()
        return OurRun(
            events=events,
            seconds=seconds,
            worker_cpu_s=used["worker"].cpu_s,
            clickhouse_cpu_s=used["clickhouse"].cpu_s,
            broker_cpu_s=used["broker"].cpu_s,
            worker_peak_rss_bytes=used["worker"].peak_rss_bytes,
            clickhouse_peak_rss_bytes=used["clickhouse"].peak_rss_bytes,
            broker_peak_rss_bytes=used["broker"].peak_rss_bytes,
            worker_ready_rss_bytes=ready_rss,
            window_rows=rows,
            metrics_bytes=stored[0],
            windows_bytes=stored[1],
            snapshot_bytes=snapshot_bytes(settings.state_dir),
            series=held(status, "scorers"),
            open_windows=held(status, "open_windows"),
            lag_records_at_end=lag,
        )


def held(status: dict[str, Any], container: str) -> int:
    """Entries of a container, of all partitions."""
    return sum(p["containers"][container]["size"] for p in status["partitions"])


def all_saved(status: dict[str, Any]) -> bool:
    """Whether everything folded is in a snapshot; a stop under load may be too short to write the last ones."""
    return status.get("lag_records") == 0 and all(
        p["snapshot_offset"] >= p["next_offset"] for p in status["partitions"]
    )


def snapshot_bytes(state: Path) -> int:
    """Size of the newest snapshot of every partition."""
    newest: dict[Path, Path] = {}
    for path in sorted(state.rglob("*.snap")):
        newest[path.parent] = path
    return sum(path.stat().st_size for path in newest.values())
