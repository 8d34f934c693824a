"""`murmur replay`: compute results again from the log, beside the live ones; compare; repair or change the version.

In: flags. Out: what is different, on stdout. Never: writes a live row before it has been compared; shows a new
version unasked; touches the live worker, its group or its snapshots.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_FAILURE, EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from models.settings import Settings
    from sinks.clickhouse.audit import AuditReader
    from sinks.clickhouse.differences import Differences
    from streams.replay import Replayed, StartPoint

EPILOG = examples(
    "murmur replay --from earliest",
    "murmur replay --from time:2026-01-31T12:00:00Z --diff",
    "MURMUR_WINDOWS=30s murmur replay --from earliest --fold-version 2 --diff",
    "MURMUR_WINDOWS=30s murmur replay --from earliest --fold-version 2 --activate",
    "murmur replay --from earliest --fold-version 2 --discard",
)
app = typer.Typer()


@app.command(epilog=EPILOG)
def replay(
    from_: Annotated[str, typer.Option("--from", metavar="POINT", help="earliest, offset:N or time:ISO.")],
    fold_version: Annotated[
        int | None, typer.Option("--fold-version", min=1, max=65_535, help="Compute this version.", show_default=False)
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Say what differs; change nothing.")] = False,
    activate: Annotated[bool, typer.Option("--activate", help="Let the views show the new version.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Activate although older windows will not be shown.")
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Throw away what a replay of this version left.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Compute results again from the log, beside the live ones.

    The version the views show: its rows come out the same. Rows that are missing or differ are written again; --diff
    only names them (exit code 1 when there are any). A higher version, under settings of your choice: --diff says
    what would change, --activate lets the views show it. The live workers go on all the while.
    """
    from interfaces.cli.clickhouse import open_client
    from sinks.clickhouse.audit import AuditReader
    from streams.replay import StartPoint

    settings = load_settings()
    try:
        point = StartPoint.parse(from_)
    except ValueError as error:
        fail(f"--from: {error}", code=EXIT_USAGE)
    with open_client(settings) as client, _alone(settings.home / "replay"):
        reader = AuditReader(client)
        shown = reader.shown_version()
        version = fold_version or shown
        job = _Job(client, settings, version)
        if discard:
            job.discard()
            sys.stdout.write(f"nothing of a replay of fold version {version} is left\n")
        elif version == shown and version:
            if activate:
                fail(f"fold version {version} is the one that is shown: --activate has nothing to do", code=EXIT_USAGE)
            _same_version(job, reader, point, only_diff=diff, format=format)
        else:
            _check_new(reader, version, shown, point)
            _new_version(job, shown, diff=diff, activate=activate, allow_missing=allow_missing, format=format)


class _Job:
    """One replay: its settings, its staging database, its directory."""

    def __init__(self, client: Any, settings: Settings, version: int) -> None:
        from models.clock import SystemClock
        from sinks.clickhouse.staging import staging_of
        from streams.fold_config import FoldConfig

        self.client = client
        self.version = version
        self.settings = settings.model_copy(update={"fold_version": version})
        self.staging = staging_of(settings, version)
        self.state = settings.home / "replay" / f"v{version}"
        self.clock = SystemClock()
        self.config = FoldConfig.of(self.settings).fingerprint()

    def run(self, point: StartPoint | None) -> Replayed:
        """Fills the staging database. `point`: of the same version; None: a new version, from the start."""
        from interfaces.cli.progress_bar import progress_bar
        from sinks.clickhouse import staging
        from sinks.clickhouse.migrate import database_id
        from sinks.clickhouse.sink import ClickHouseSink
        from streams.replay import replay_new_version, replay_same_version

        staging.prepare(self.staging)

        async def work() -> Replayed:
            sink = ClickHouseSink(self.staging)
            await sink.start()
            try:
                with progress_bar(f"folding version {self.version}") as on_progress:
                    if point is None:
                        return await replay_new_version(
                            self.settings, sink=sink, state=self.state, clock=self.clock, on_progress=on_progress
                        )
                    return await replay_same_version(
                        self.settings,
                        point,
                        sink=sink,
                        database_id=database_id(self.client),
                        state=self.state,
                        clock=self.clock,
                        on_progress=on_progress,
                    )
            finally:
                await sink.close()

        return asyncio.run(work())

    def differences(self, done: Replayed) -> Differences:
        from sinks.clickhouse.differences import Differences

        ends = {f"{p.topic}/{p.number}": span.end for p, span in done.spans.items()}
        logs = sorted(done.logs.values())
        return Differences(self.client, self.staging.clickhouse_database, logs=logs, ends=ends)

    def discard(self) -> None:
        """Takes away the staging database and the directory."""
        from sinks.clickhouse import staging

        staging.drop(self.staging)
        shutil.rmtree(self.state, ignore_errors=True)


def _same_version(job: _Job, reader: AuditReader, point: StartPoint, *, only_diff: bool, format: Format) -> None:
    from sinks.clickhouse import staging

    note = reader.note(job.version)
    if note and not note.endswith(job.config):
        fail(
            f"fold version {job.version} was computed under other settings ({note}; now {job.config}): give the "
            f"settings its workers have, or --fold-version {job.version + 1} for these"
        )
    job.discard()
    try:
        done = job.run(point)
        differences = job.differences(done)
        found = differences.again(job.version)
        emit([asdict(row) for row in found], format=format, title=f"fold version {job.version}, computed again")
        wrong = tuple(row.table for row in found if row.restored or row.repaired)
        total = sum(row.recomputed for row in found)
        if not wrong:
            newer = sum(row.newer for row in found)
            tail = f" (the live worker has gone on with {newer})" if newer else ""
            _say(f"{total} rows are identical to those that are stored{tail}: nothing to write", format)
            return
        if only_diff:
            _say(f"rows differ in {', '.join(wrong)}: the same without --diff writes them", format)
            raise typer.Exit(EXIT_FAILURE)
        staging.publish(job.client, job.staging, wrong)
        left = [row.table for row in differences.again(job.version) if row.restored or row.repaired]
        if left:
            fail(f"rows still differ after they were written, in {', '.join(left)}: does somebody else write them?")
        count = sum(row.restored + row.repaired for row in found)
        _say(f"{count} rows were written; all {total} are now identical to those computed from the log", format)
    finally:
        job.discard()


def _check_new(reader: AuditReader, version: int, shown: int, point: StartPoint) -> None:
    from streams.replay import From

    if not version:
        fail("no worker has computed anything yet: there is no version to replay. Start one: `murmur worker`")
    if version < shown:
        fail(f"--fold-version {version} is below {shown}, which is shown: versions only rise", code=EXIT_USAGE)
    if point.kind is not From.EARLIEST:
        fail("a new fold version needs the whole log: give --from earliest", code=EXIT_USAGE)
    if note := reader.note(version):
        fail(
            f"a worker computes fold version {version} itself ({note}): the views change when it has caught up. "
            f"For other settings give --fold-version {version + 1}"
        )


def _new_version(job: _Job, shown: int, *, diff: bool, activate: bool, allow_missing: bool, format: Format) -> None:
    from sinks.clickhouse import staging

    if not (job.state.exists() and staging.exists(job.staging)):
        job.discard()  # a half of an earlier replay is of no use
    done = job.run(None)
    differences = job.differences(done)
    if diff:
        windows = [asdict(row) for row in differences.windows(shown, job.version)]
        anomalies = [asdict(row) for row in differences.anomalies(shown, job.version)]
        if format is Format.JSON:
            emit([{"windows": windows, "anomalies": anomalies}], format=format)
        else:
            emit(windows, format=format, title=f"windows, version {shown} -> {job.version}")
            emit(anomalies, format=format, title=f"anomalies, version {shown} -> {job.version}")
    if activate:
        _activate(job, differences, done, shown, allow_missing=allow_missing)
        _say(
            f"the views show fold version {job.version}. Start the workers again with MURMUR_FOLD_VERSION="
            f"{job.version} and these settings: they continue where the replay stopped",
            format,
        )
    elif not diff:
        _say(f"fold version {job.version} is computed: the same with --diff compares, with --activate shows it", format)


def _activate(job: _Job, differences: Differences, done: Replayed, shown: int, *, allow_missing: bool) -> None:
    from sinks.clickhouse import folds, staging
    from sinks.clickhouse.migrate import database_id
    from streams.replay import adopt_states

    starts = {f"{p.topic}/{p.number}": first for p, first in done.starts.items()}
    count, first, last = differences.out_of_reach(shown, starts=starts)
    if count and not allow_missing:
        fail(
            f"{count} windows of version {shown}, from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, rest "
            "on records the log no longer has: version "
            f"{job.version} cannot hold them and the views would not show them any more. Say --allow-missing to "
            "activate it nevertheless; the rows stay stored"
        )
    staging.publish(job.client, job.staging)
    at = database_id(job.client)
    adopt_states(job.settings, done, database_id=at, state=job.state, clock=job.clock)
    folds.activate(job.settings, config=job.config, logs=done.logs)
    job.discard()


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One replay a home: two would write one staging database."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"another replay runs in {directory.parent}: wait for it, or end it")
        yield


def _say(sentence: str, format: Format) -> None:
    """The last word: after a table, or on stderr where stdout is for a program."""
    (sys.stdout if format in (Format.TABLE, Format.MARKDOWN) else sys.stderr).write(f"{sentence}\n")
