"""Claude Code transcripts as chunks for the pipeline.

In: transcript files in reading order. Out: one chunk with every activity. Never: publishes, prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from interfaces.importers.chunk import Chunk
from interfaces.importers.claude_code.emission import activities
from interfaces.importers.claude_code.reader import Transcripts
from interfaces.importers.pipeline import Summary


def chunks(
    files: Sequence[Path],
    summary: Summary,
    *,
    now_ms: int | None,
    swarm: str = "",
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """All of it at once: a call's lines may be spread over files, and the log wants one order of time."""
    read = Transcripts(summary.issues)
    for path in files:
        read.read(path, on_bytes=on_bytes)
    chunk = Chunk()
    for event in activities(read, now_ms=now_ms, swarm=swarm):
        chunk.add(event)
    summary.facts.update(sorted(read.counts.items()))
    if chunk.events:
        yield chunk
