"""One run of our workers over a filled log, timed from outside.

In: a stack, settings of a fresh run, how many events the log holds. Out: `OurRun`.
Never: believes a counter of ours for what arrived: ClickHouse is asked over HTTP; counts joining a group as ingestion.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.group import members_when_stable
from benchmarks.stack import Questions, Stack, of_system, until
from benchmarks.usage import Watch
from models.settings import Settings
from tests.support.workers import worker


class OurRun(NamedTuple):
    """What one run took, from the moment the workers had their partitions to the last final row."""

    events: int
    workers: int  # their CPU and memory are added
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


def measure(
    stack: Stack, settings: Settings, events: int, *, publish: Callable[[], None] = lambda: None, workers: int = 1
) -> OurRun:
    """Starts so many workers on the filled log and waits for the last row. Raises when a row is missing or doubled.

    The clock starts when all of them have partitions; what the first had stored by then is left out of the run.
    `publish` fills the log while they run instead.
    """
    with ExitStack() as block:
        ask = block.enter_context(Questions(settings))
        group = [block.enter_context(worker(settings, f"worker-{n + 1}")) for n in range(workers)]
        members_when_stable(settings, *group)
        started_s = time.perf_counter()
        stored_before = ask.raw_events() if workers > 1 else 0
        watched = {one.name: of_system(one) for one in group}
        ready_rss = sum(process.memory_info().rss for process in watched.values())
        with Watch({**watched, **stack.processes()}) as watch:
            publish()
            ask.wait_for_all(events, f"{events:,} events in ClickHouse", *group)
            seconds = time.perf_counter() - started_s
        lag = sum(one.status()["lag_records"] for one in group)
        used = watch.usage()
        ours = [used[one.name] for one in group]
        final = ask.shown()
        if final != events or ask.window_events() != events:
            raise RuntimeError(f"{events:,} events went in, {final:,} are shown: this is no measurement")
        stored = [ask.table_bytes(table) for table in ("metrics", "windows")]
        rows = ask.number("SELECT count() FROM windows FINAL")
        saved = "every partition has a snapshot of its end"
        until(lambda: all(all_saved(one.status()) for one in group), saved, *group, every_s=0.2)
        states = [one.status() for one in group]
        for one in group:
            one.terminate()
        return OurRun(
            events=events - stored_before,
            workers=workers,
            seconds=seconds,
            worker_cpu_s=sum(one.cpu_s for one in ours),
            clickhouse_cpu_s=used["clickhouse"].cpu_s,
            broker_cpu_s=used["broker"].cpu_s,
            worker_peak_rss_bytes=sum(one.peak_rss_bytes for one in ours),
            clickhouse_peak_rss_bytes=used["clickhouse"].peak_rss_bytes,
            broker_peak_rss_bytes=used["broker"].peak_rss_bytes,
            worker_ready_rss_bytes=ready_rss,
            window_rows=rows,
            metrics_bytes=stored[0],
            windows_bytes=stored[1],
            snapshot_bytes=snapshot_bytes(settings.state_dir),
            series=sum(held(status, "scorers") for status in states),
            open_windows=sum(held(status, "open_windows") for status in states),
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
