"""The run a final report is about: which it is, that it has ended, and the time it took.

In: a Reader, a ReportConfig of kind final. Out: the configuration with the run and its time range.
Never: reports on a run that goes on as if it were over.
"""

from __future__ import annotations

from reports.config import ReportConfig
from reports.queries.port import Reader, RunRow, TimeRange
from reports.render.times import short


class RunNotFinishedError(ValueError):
    """There is no such run, or it has not ended; the message says which runs there are."""


def of_finished_run(reader: Reader, config: ReportConfig) -> ReportConfig:
    """The configuration narrowed to the run asked for, or to the newest. Raises RunNotFinishedError."""
    (swarm_id,) = config.swarms
    runs = [row for row in reader.runs(config.swarms, config.time).rows if not config.run or row.run_id == config.run]
    if not runs:
        which = f"run {config.run} of swarm {swarm_id}" if config.run else f"swarm {swarm_id}"
        raise RunNotFinishedError(
            f"{which} has not said when it ran (no session activity in this time range); "
            "give the range with --from and --to and another kind of report"
        )
    run = max(runs, key=lambda row: (row.started_ms, row.run_id))
    if run.ended_ms is None or run.status == "running":
        raise RunNotFinishedError(
            f"run {run.run_id or '(unnamed)'} of swarm {swarm_id}, begun {short(run.started_ms)}, has not ended; "
            "wait for its end, or take --kind technical"
        )
    time = _time_of(run, config.time)
    return config.model_copy(update={"run": run.run_id, "from_ms": time.from_ms, "to_ms": time.to_ms})


def _time_of(run: RunRow, asked: TimeRange) -> TimeRange:
    """The run's own time, its last millisecond included, within what was asked for."""
    assert run.ended_ms is not None
    start = run.started_ms if asked.from_ms is None else max(run.started_ms, asked.from_ms)
    end = run.ended_ms + 1 if asked.to_ms is None else min(run.ended_ms + 1, asked.to_ms)
    return TimeRange(start, end)
