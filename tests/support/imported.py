"""Transcripts through the importer as a test tool: what comes out is valid, and holds no text of the user's.

In: a folder of transcripts. Out: events, the reader. Never: a broker or a store.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interfaces.importers.claude_code.discovery import transcripts
from interfaces.importers.claude_code.emission import activities
from interfaces.importers.claude_code.reader import Transcripts
from models.events import ActivityEvent
from tests.support.transcripts import SECRET

Event = dict[str, Any]


def imported(root: Path, *, now_ms: int | None = None, swarm: str = "") -> tuple[list[Event], Transcripts]:
    """Reads the transcripts under `root`: valid events without any text content, and the reader."""
    read = Transcripts()
    for path in transcripts([root], defaults=[]):
        read.read(path)
    events = list(activities(read, now_ms=now_ms, swarm=swarm))
    for event in events:
        ActivityEvent.model_validate(event)
        assert SECRET not in json.dumps(event)
    return events, read


def of_kind(events: list[Event], kind: str) -> list[Event]:
    """The activities of one kind."""
    return [event for event in events if event["kind"] == kind]


def one(events: list[Event], kind: str) -> Event:
    """The only activity of its kind."""
    (event,) = of_kind(events, kind)
    return event
