"""The way of every import: chunks of events -> checked -> compared with the store -> packed -> published.

In: chunks from a parser, settings. Out: a `Summary` with exact counts. Never: publishes an invalid event; reports an
event as published before the broker has acknowledged it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interfaces.importers.chunk import Chunk, Event, valid_events
from interfaces.importers.issues import Issues

if TYPE_CHECKING:
    from models.settings import Settings
    from murmur.record import Record

Progress = Callable[[str, int, int], None]  # (what, done, total)


class ImportFailedError(Exception):
    """The import could not be carried through; one line that says what to do."""


@dataclass(slots=True)
class Summary:
    """What an import did. `facts` holds the parser's own counts."""

    swarms: set[str] = field(default_factory=set)
    found: Counter[str] = field(default_factory=Counter)  # valid events by `metric` / activity kind
    unchanged: int = 0
    changed: int = 0
    elsewhere: int = 0
    published: int = 0
    records: int = 0
    facts: dict[str, int] = field(default_factory=dict)
    issues: Issues = field(default_factory=Issues)

    @property
    def found_total(self) -> int:
        """Valid events of every kind."""
        return self.found.total()

    def row(self, importer: str, *, dry_run: bool) -> dict[str, object]:
        """The summary as one flat row, for `--format json`."""
        return {
            "importer": importer,
            "dry_run": dry_run,
            "swarms": len(self.swarms),
            **{name.replace(" ", "_"): count for name, count in self.facts.items()},
            "events": self.found_total,
            **{f"{name}_events": count for name, count in sorted(self.found.items())},
            "already_there": self.unchanged,
            "changed": self.changed,
            "belong_to_another_swarm": self.elsewhere,
            "published": self.published,
            "records": self.records,
            "issues": self.issues.total,
            "issues_by_kind": dict(sorted(self.issues.counts.items())),
        }


def run_import(
    chunks: Iterable[Chunk],
    settings: Settings,
    summary: Summary,
    *,
    dry_run: bool,
    force: bool,
    progress: Progress | None = None,
) -> Summary:
    """Carries the chunks through, one after the other. Raises ImportFailedError."""
    target = None if dry_run else _Target(settings, force=force)
    try:
        for chunk in chunks:
            events = valid_events(chunk, summary.issues)
            for event in events:
                summary.swarms.add(event["swarm_id"])
                summary.found["metric" if "metric" in event else event["kind"]] += 1
            if target is not None and events:
                target.take(events, summary, progress)
    finally:
        if target is not None:
            target.close()
    return summary


class _Target:
    """The store to compare with and the broker to publish to; both opened with the first chunk."""

    def __init__(self, settings: Settings, *, force: bool) -> None:
        self._settings = settings
        self._force = force
        self._client: Any = None
        self._topics_ready = False

    def take(self, events: list[Event], summary: Summary, progress: Progress | None) -> None:
        fresh = events if self._force else self._new_ones(events, summary)
        if fresh:
            self._publish(fresh, summary, progress)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _new_ones(self, events: list[Event], summary: Summary) -> list[Event]:
        from interfaces.importers.existing import select_new
        from sinks.base import SinkError
        from sinks.clickhouse.client import connect

        try:
            if self._client is None:
                self._client = connect(self._settings)
            selection = select_new(self._client, events)
        except SinkError as error:
            raise ImportFailedError(
                f"{error}; it tells what is there already: start the stack with `murmur up`, or add --force"
            ) from None
        except Exception as error:
            raise ImportFailedError(self._explain(error)) from error
        summary.unchanged += selection.unchanged
        summary.changed += selection.changed
        summary.elsewhere += selection.elsewhere
        return selection.fresh

    def _explain(self, error: Exception) -> str:
        from sinks.clickhouse.client import describe
        from sinks.clickhouse.errors import translate

        return str(translate(error, where=f"{describe(self._settings)}: looking for what is there already"))

    def _publish(self, events: list[Event], summary: Summary, progress: Progress | None) -> None:
        from interfaces.importers.records import pack
        from murmur.bulk import BulkPublishError, publish_records
        from sinks.kafka.security import client_options
        from streams.topics import TopicError, ensure_topics

        done = 0

        def acknowledged(record: Record) -> None:
            nonlocal done
            done += record.events
            summary.published += record.events
            summary.records += 1
            if progress is not None:
                progress("publishing", done, len(events))

        async def publish() -> None:
            if not self._topics_ready:
                await ensure_topics(self._settings)
                self._topics_ready = True
            await publish_records(
                self._settings.kafka_bootstrap,
                pack(
                    events,
                    topic_prefix=self._settings.topic_prefix,
                    span_ms=self._settings.allowed_lateness_ms,
                ),
                on_acknowledged=acknowledged,
                kafka_options=client_options(self._settings),
            )

        try:
            asyncio.run(publish())
        except (BulkPublishError, TopicError) as error:
            raise ImportFailedError(str(error)) from None
