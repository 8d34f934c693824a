"""`murmur audit`: do the window rows hold exactly the raw rows, and do the raw rows hold the log?

In: flags. Out: the comparison; exit 0 equal, 1 different, 2 cannot tell. Never: changes anything; loads rows.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, emit, examples, fail, load_settings, print_error

if TYPE_CHECKING:
    from models.settings import Settings
    from reports.audit import AuditRow, Gaps, PlaceRow, Progress, State
    from sinks.clickhouse.audit import AuditReader, Offsets, Place, Selection

EXIT_DIFFERENT = 1
EXIT_CANNOT_TELL = 2
LOOKS_MAX = 5  # a flush takes a fraction of a second: rows that are under way have arrived by one of these looks
LOOK_AGAIN_S = 0.5
STATUS_AGE_MAX_MS = 10_000  # a worker rewrites its status every second
WAYS_OUT = {
    "equal": "equal: every window holds exactly its events",
    "in flight": "cannot tell yet: rows are in flight; ask again, start a worker if none runs, or give --to",
    "different": "DIFFERENT: `murmur replay --from earliest` computes the rows anew and says which differed. If raw "
    "rows have expired (they are kept for 90 days, windows for ever), give --from a later time",
}
NOTHING = "cannot tell: there are no rows to compare"
EPILOG = examples(
    "murmur audit",
    "murmur audit --swarm nightly-a --from 2026-01-31 --format json",
    "murmur audit --all-versions",
)
app = typer.Typer()


class AuditFormat(StrEnum):
    """What an audit can be printed as."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command(epilog=EPILOG)
def audit(
    swarm: Annotated[list[str] | None, typer.Option("--swarm", help="Only this swarm.", show_default=False)] = None,
    time_range: Annotated[
        str | None, typer.Option("--time-range", help="last-24h, last-7-days ...", show_default=False)
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Windows that start at or after this time.", show_default=False)
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Windows that start before this time.", show_default=False)
    ] = None,
    fold_version: Annotated[
        int | None, typer.Option("--fold-version", help="This version, not the one shown.", show_default=False)
    ] = None,
    all_versions: Annotated[bool, typer.Option("--all-versions", help="Every version there is.")] = False,
    format: Annotated[AuditFormat, typer.Option("--format", help="table, json or csv.")] = AuditFormat.TABLE,
) -> None:
    """Compare raw rows, window rows and offsets. Exit code 0 equal, 1 different, 2 cannot tell.

    Every event must be in its windows exactly once, for each window size. Rows that are not due yet, as their flush is
    under way or their worker catches up, are shown as in flight. Offsets without rows are looked up in the log.
    """
    from interfaces.cli.clickhouse import open_client
    from models.clock import SystemClock
    from reports.audit import verdict
    from reports.timerange import parse_time_range
    from sinks.clickhouse.audit import FROM_MS_MIN, TO_MS_MAX, AuditReader, Selection

    settings = load_settings()
    try:
        span = parse_time_range(time_range, from_, to, now_ms=SystemClock().now_ms())
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)
    if all_versions and fold_version is not None:
        fail("--all-versions and --fold-version exclude each other: give one of them", code=EXIT_USAGE)
    with open_client(settings) as client:
        reader = AuditReader(client)
        versions = reader.versions() if all_versions else [fold_version or reader.shown_version()]
        what = Selection(
            versions[0] if versions else 0,
            tuple(swarm or ()),
            FROM_MS_MIN if span.from_ms is None else span.from_ms,
            TO_MS_MAX if span.to_ms is None else span.to_ms,
        )
        rows: list[AuditRow] = []
        progress: Mapping[Place, Progress] = {}
        for version in versions:
            found, progress = _compare(reader, replace(what, version=version), settings)
            rows += found
        offsets = reader.offsets()
        gaps = _gaps(reader, offsets, progress, settings)
        state = verdict(rows, gaps.values())
        places = _places(reader, offsets, gaps, progress)
    _show(rows, places, state, format)
    if state != "equal":
        raise typer.Exit(EXIT_DIFFERENT if state == "different" else EXIT_CANNOT_TELL)


def _compare(
    reader: AuditReader, what: Selection, settings: Settings
) -> tuple[list[AuditRow], Mapping[Place, Progress]]:
    """Looks until nothing is in flight, a few times at most."""
    from reports.audit import State, compare

    mine = settings.model_copy(update={"fold_version": what.version}) if what.version else settings
    sizes = _sizes(reader, what.version, mine)
    for look in range(LOOKS_MAX):
        if look:
            time.sleep(LOOK_AGAIN_S)
        # Before the rows: what is durable now must have left its rows when they are counted.
        progress = _progress(mine)
        durable = {place: at.durable for place, at in progress.items() if at.durable is not None}
        rows = compare(what.version, sizes, *reader.sums(what, sizes, durable), progress)
        if not any(row.state is State.IN_FLIGHT for row in rows):
            break
    return rows, progress


def _sizes(reader: AuditReader, version: int, settings: Settings) -> dict[int, int]:
    """Window sizes and steps by the rows; by the settings too where they are those the version was made with."""
    from streams.fold_config import FoldConfig

    sizes = reader.sizes(version)
    config = FoldConfig.of(settings)
    if reader.note(version).endswith(config.fingerprint()):
        sizes = dict(config.windows) | sizes
    return sizes


def _progress(settings: Settings) -> dict[Place, Progress]:
    """What the log, its group and the workers of this home say; empty when the broker does not answer."""
    from reports.audit import Progress
    from sinks.clickhouse.audit import Place
    from streams.log_probe import positions
    from streams.topics import TopicError, log_ids

    async def ask() -> tuple[dict[str, str], Any]:
        return await log_ids(settings, timeout_s=0), await positions(settings, group=settings.consumer_group)

    try:
        ids, found = asyncio.run(ask())
    except TopicError as error:
        print_error(f"the log is not compared: {error}")
        return {}
    workers = _worker_offsets(settings)
    return {
        Place(ids[topic], topic, number): Progress(
            at.earliest, at.end, at.committed, *workers.get((ids[topic], topic, number), (None, None))
        )
        for (topic, number), at in found.items()
    }


def _worker_offsets(settings: Settings) -> dict[tuple[str, str, int], tuple[int, int]]:
    """(log, topic, partition) -> snapshot and shown offset, by the live workers of this home and version."""
    from models.clock import SystemClock

    oldest_ms = SystemClock().now_ms() - STATUS_AGE_MAX_MS
    found = {}
    for path in sorted((settings.home / "run").glob("*.status.json")):
        try:
            status = json.loads(path.read_bytes())
            if status["updated_at_ms"] < oldest_ms or status["fold_version"] != settings.fold_version:
                continue
            for p in status["partitions"]:
                found[p["log_id"], p["topic"], p["partition"]] = (p["snapshot_offset"], p["shown_offset"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not a status of this version's form: it says nothing about offsets
    return found


def _gaps(
    reader: AuditReader, offsets: Mapping[Place, Offsets], progress: Mapping[Place, Progress], settings: Settings
) -> dict[Place, Gaps]:
    """Why offsets between the first and the last row left none. Activities keep their newest row only: not there."""
    from reports.audit import Gaps
    from streams.gaps import read_gaps
    from streams.topics import METRICS, TopicError, full_name

    result = {}
    for place, seen in offsets.items():
        if place.topic != full_name(settings, METRICS):
            continue
        count = seen.last - seen.first + 1 - seen.distinct
        result[place] = Gaps(offsets=count, not_read=count)
        at = progress.get(place)
        if not count or at is None or at.log_first is None:
            continue
        ranges = [(max(a, at.log_first), b) for a, b in reader.gaps(place) if b >= at.log_first]
        try:
            found = asyncio.run(read_gaps(settings, place.topic, place.partition, ranges))
        except TopicError as error:
            print_error(f"offsets without rows are not looked at: {error}")
            continue
        known = reader.stored(list(found.first_events.values()))
        repeated = sum(event in known for event in found.first_events.values())
        explained = repeated + found.empty + found.absent
        unexplained = len(found.first_events) - repeated
        result[place] = Gaps(count, found.absent, repeated, found.empty, unexplained, count - explained - unexplained)
    return result


def _places(
    reader: AuditReader,
    offsets: Mapping[Place, Offsets],
    gaps: Mapping[Place, Gaps],
    progress: Mapping[Place, Progress],
) -> list[PlaceRow]:
    from reports.audit import place_rows

    return place_rows(offsets, reader.dead_letters(), gaps, progress)


def _show(rows: list[AuditRow], places: list[PlaceRow], state: State | None, format: AuditFormat) -> None:
    """table: three parts; json: one object; csv: one line a comparison, with what is known of its place."""
    from dataclasses import fields

    from reports.audit import AuditRow, PlaceRow

    if format is AuditFormat.JSON:
        answer = {
            "verdict": state or "nothing",
            "windows": [asdict(row) for row in rows],
            "partitions": [asdict(row) for row in places],
        }
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif format is AuditFormat.CSV:
        of_place = {(p.log_id, p.topic, p.partition): asdict(p) for p in places}
        lines = [of_place.get((r.log_id, r.topic, r.partition), {}) | asdict(r) for r in rows]
        names = list(dict.fromkeys(f.name for kind in (AuditRow, PlaceRow) for f in fields(kind)))
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    else:
        emit([asdict(row) for row in rows], format=Format.TABLE, title="windows against raw rows")
        emit([asdict(row) for row in places], format=Format.TABLE, title="partitions")
        sys.stdout.write(f"{WAYS_OUT[state] if state else NOTHING}\n")
