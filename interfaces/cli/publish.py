"""`murmur publish`: events from stdin, one JSON object a line, to the source topics.

In: NDJSON of metric and activity events. Out: acknowledged records; the counts; each bad line with its number and
rule on stderr. Never: sends a line that breaks a rule (unless `--no-check`); counts what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from interfaces.cli.output import (
    EXIT_FAILURE,
    EXIT_USAGE,
    Format,
    FormatOption,
    emit,
    examples,
    fail,
    load_settings,
    print_error,
)

if TYPE_CHECKING:
    from models.codecs.records import EventError
    from models.settings import Settings
    from murmur.record import Record

BATCH_LINES_MAX = 500  # events of one record: the size the budgets of JSON arrays are stated for
BATCH_BYTES_MAX = 512 << 10  # well below a topic's usual limit of 1 MB a record
BATCH_AGE_S = 0.2  # a live pipe: how long a line waits for others
CHUNK_BYTES = 1 << 18
CHUNKS_WAITING_MAX = 16  # read ahead of the broker, 4 MiB; then the pipe waits
ERRORS_SHOWN_MAX = 20  # bad lines printed one by one; the rest is counted
EPILOG = examples(
    "murmur publish < events.ndjson",
    "tail -f app.ndjson | murmur publish",
    """echo '{"swarm_id":"s1","metric":"queue_depth","value":7}' | murmur publish --stamp""",
)
app = typer.Typer()


@dataclass(slots=True)
class Counts:
    """What became of the lines."""

    read: int = 0  # lines, empty ones too: what line numbers count
    events: int = 0
    published: int = 0
    bad: int = 0
    records: int = 0


class Place(NamedTuple):
    """Where an event goes."""

    topic: str
    key: bytes


@dataclass(slots=True)
class _Batch:
    lines: list[bytes] = field(default_factory=list)
    size_bytes: int = 0


@app.command(epilog=EPILOG)
def publish(
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Validate here, or let the worker dead-letter bad lines."),
    ] = True,
    stamp: Annotated[bool, typer.Option("--stamp", help="Give events without a timestamp the current time.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Publish events from stdin: one JSON object a line, metric and activity events mixed as you like.

    A line with `metric` is a metric event, one with `kind` an activity. Bad
    lines are reported with their number and rule and are not sent; then the
    exit code is 1. Returns when the broker has acknowledged everything.
    """
    if sys.stdin.isatty():
        fail("publish reads events from stdin: murmur publish < events.ndjson", code=EXIT_USAGE)
    settings = load_settings()
    from murmur.bulk import BulkPublishError

    counts = Counts()
    try:
        asyncio.run(_publish(settings, counts, check=check, stamp=stamp))
    except BulkPublishError as error:
        fail(f"{error} ({counts.published} of {counts.events} events acknowledged)")
    row = {
        "events": counts.events,
        "published": counts.published,
        "bad": counts.bad,
        "records": counts.records,
    }
    emit([row], format=format)
    if counts.bad:
        raise typer.Exit(EXIT_FAILURE)


async def _publish(settings: Settings, counts: Counts, *, check: bool, stamp: bool) -> None:
    from murmur.bulk import publish_records
    from sinks.kafka.security import client_options
    from streams.topics import ensure_topics

    await ensure_topics(settings)

    def acknowledged(record: Record) -> None:
        counts.published += record.events
        counts.records += 1

    batches = _records(settings, counts, check=check, stamp=stamp)
    options = client_options(settings)
    await publish_records(settings.kafka_bootstrap, batches, on_acknowledged=acknowledged, kafka_options=options)


async def _records(settings: Settings, counts: Counts, *, check: bool, stamp: bool) -> AsyncIterator[Record]:
    """Lines gathered into records: by topic and key, so that the order of each swarm stays."""
    waiting: dict[Place, _Batch] = defaultdict(_Batch)
    place_of = _placer(settings, counts, check=check, stamp=stamp)
    async for lines in _lines_or_pause(sys.stdin.fileno()):
        if lines is None:
            for place, batch in waiting.items():
                yield _record(place, batch)
            waiting.clear()
            continue
        for line in lines:
            counts.read += 1
            placed = place_of(line.strip(), counts.read)
            if placed is None:
                continue
            place, body = placed
            batch = waiting[place]
            batch.lines.append(body)
            batch.size_bytes += len(body)
            if len(batch.lines) >= BATCH_LINES_MAX or batch.size_bytes >= BATCH_BYTES_MAX:
                yield _record(place, waiting.pop(place))
    for place, batch in waiting.items():
        yield _record(place, batch)


def _placer(
    settings: Settings, counts: Counts, *, check: bool, stamp: bool
) -> Callable[[bytes, int], tuple[Place, bytes] | None]:
    """A function: line and its number -> topic, key and body; None for an empty line and for a reported bad one."""
    from models.codecs.records import EventError
    from streams.topics import ACTIVITIES, METRICS, full_name

    metrics, activities = full_name(settings, METRICS), full_name(settings, ACTIVITIES)

    def place_of(body: bytes, number: int) -> tuple[Place, bytes] | None:
        if not body:
            return None
        document: Any = None
        counts.events += 1
        try:
            document = _decode(body)
            if stamp:
                body = _stamped(document, body)
            if check:
                _check(document)
        except EventError as error:
            if check:
                _report(counts, number, error)
                return None
        known = document if isinstance(document, dict) else {}
        topic = activities if _is_activity(known) else metrics
        return Place(topic, str(known.get("swarm_id", "")).encode("utf-8", "replace")), body

    return place_of


def _decode(body: bytes) -> Any:
    from models.codecs.json_text import read_items
    from models.codecs.records import CONTENT_JSON

    # One line is one record of its own to the decoder, so every rule of the wire holds here too.
    item = read_items(body, CONTENT_JSON)[0]
    if item.error is not None:
        raise item.error
    return item.value


def _is_activity(document: Any) -> bool:
    return isinstance(document, dict) and "kind" in document and "metric" not in document


def _check(document: Any) -> None:
    from models.codecs.rules import check_activity, check_metric

    if _is_activity(document):
        check_activity(document)
    else:
        check_metric(document)


def _stamped(document: Any, body: bytes) -> bytes:
    import json

    from models.clock import SystemClock

    if not isinstance(document, dict):
        return body
    name = "started_at" if _is_activity(document) else "timestamp"
    if name in document:
        return body
    document[name] = SystemClock().now_ms()
    return json.dumps(document, ensure_ascii=False).encode("utf-8")


def _report(counts: Counts, number: int, error: EventError) -> None:
    counts.bad += 1
    if counts.bad <= ERRORS_SHOWN_MAX:
        print_error(f"line {number}: {error.code}: {error.reason}")
    elif counts.bad == ERRORS_SHOWN_MAX + 1:
        print_error("more bad lines follow; they are only counted")


def _record(place: Place, batch: _Batch) -> Record:
    from murmur.record import Record

    topic, key = place
    if len(batch.lines) == 1:
        return Record(topic, key, batch.lines[0], b"application/json", 1)
    return Record(topic, key, b"\n".join(batch.lines), b"application/x-ndjson", len(batch.lines))


async def _lines_or_pause(descriptor: int) -> AsyncIterator[list[bytes] | None]:
    """The lines of a pipe as they come, and None whenever BATCH_AGE_S passed since the last None."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[list[bytes] | None] = asyncio.Queue(CHUNKS_WAITING_MAX)

    def hand_over(lines: list[bytes] | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(lines), loop).result()

    def read() -> None:
        rest: list[bytes] = []
        while chunk := os.read(descriptor, CHUNK_BYTES):
            first, *others = chunk.split(b"\n")
            rest.append(first)
            if others:
                hand_over([b"".join(rest), *others[:-1]])
                rest = [others[-1]]
        hand_over([b"".join(rest)])
        hand_over(None)

    # A daemon thread: a pipe that never ends must not keep the command from ending after an error.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    due_s = loop.time() + BATCH_AGE_S
    while True:
        try:
            lines = await asyncio.wait_for(queue.get(), max(0.0, due_s - loop.time()))
        except TimeoutError:
            due_s = loop.time() + BATCH_AGE_S
            yield None
            continue
        if lines is None:
            return
        yield lines
