"""Finds transcript files and puts them in the order they must be read in.

In: paths a user gave, or none. Out: files, originals before resumed copies, main ones before sub-agents'.
Never: reads more of a file than its first and last lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from interfaces.importers.claude_code.reader import AGENT_FILE_PREFIX
from interfaces.importers.fields import as_mapping, as_time_ms
from interfaces.importers.paths import NothingToImportError

HEAD_LINES = 50  # lines looked at for the first time stamp; summaries and snapshots without one come first
TAIL_BYTES = 262_144  # read from the end for the last time stamp; a longer last line falls back to the first stamp

_decoder = msgspec.json.Decoder()


def default_roots(home: Path, config_dir: str | None) -> list[Path]:
    """Where Claude Code keeps transcripts: CLAUDE_CONFIG_DIR (may name several) if set, else the two usual places."""
    if config_dir:
        return [Path(part.strip()).expanduser() / "projects" for part in config_dir.split(",") if part.strip()]
    return [home / ".claude" / "projects", home / ".config" / "claude" / "projects"]


def transcripts(paths: Sequence[Path], *, defaults: Sequence[Path]) -> list[Path]:
    """The transcript files under `paths` (files or folders), or under those of `defaults` that exist."""
    roots = list(paths) or [root for root in defaults if root.is_dir()]
    if not roots:
        places = ", ".join(str(root) for root in defaults)
        raise NothingToImportError(f"no Claude Code transcripts found: none of {places} exists; give a path")
    files: dict[Path, None] = {}
    for root in roots:
        if root.is_dir():
            found = [path for path in root.rglob("*.jsonl") if path.is_file()]
            if not found and root in paths:
                raise NothingToImportError(f"{root}: no *.jsonl file in this folder; give a folder of transcripts")
            files.update((path.resolve(), None) for path in found)
        elif root.is_file():
            files[root.resolve()] = None
        else:
            raise NothingToImportError(f"{root}: no such file or folder")
    if not files:
        raise NothingToImportError(f"no *.jsonl file under {', '.join(str(root) for root in roots)}; give a path")
    return sorted(files, key=_reading_order)


def _reading_order(path: Path) -> tuple[bool, int, int, str]:
    """A resumed session starts with a copy of the lines it continues: same first stamp, later last stamp."""
    first_ms, last_ms = _span_ms(path)
    return path.name.startswith(AGENT_FILE_PREFIX), first_ms, last_ms, str(path)


def _span_ms(path: Path) -> tuple[int, int]:
    try:
        with path.open("rb") as source:
            head = [source.readline() for _ in range(HEAD_LINES)]
            size = source.seek(0, 2)
            source.seek(max(0, size - TAIL_BYTES))
            tail = source.read().splitlines()
    except OSError:
        return 0, 0  # the reader names the fault
    first_ms = next((at for raw in head if (at := _stamp_ms(raw)) is not None), 0)
    last_ms = next((at for raw in reversed(tail) if (at := _stamp_ms(raw)) is not None), first_ms)
    return first_ms, last_ms


def _stamp_ms(raw: bytes) -> int | None:
    try:
        return as_time_ms(as_mapping(_decoder.decode(raw)).get("timestamp"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
