"""What people say about alerts: acknowledge, resolve, silence. Records of the command topic.

In: JSON. Out: `Command`. Never: carried out where it is written; the alerter does, in the order of the log.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

NOTE_LENGTH_MAX: Final = 500  # characters: a sentence, not a document
SILENCE_MS_MAX: Final = 30 * 86_400_000  # a month; what shall be silent for longer is a rule to remove


class Silence(msgspec.Struct, frozen=True):
    """Nobody is told about matching alerts before `until_ms`. `match`: label (or `rule`) -> pattern with * and ?."""

    silence_id: str
    match: dict[str, str]
    until_ms: int
    by: str
    note: str = ""

    def covers(self, rule: str, labels: Mapping[str, str]) -> bool:
        """Whether every matcher fits; a label that the alert does not have fits nothing."""
        known = {**labels, "rule": rule}
        return all(name in known and fnmatch.fnmatchcase(known[name], p) for name, p in self.match.items())


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command. `alert_id`: of the alert, or of the silence to end. Times are epoch milliseconds."""

    command_id: str
    kind: Literal["ack", "resolve", "silence", "unsilence"]
    at_ms: int
    by: str
    alert_id: str = ""
    match: dict[str, str] = {}
    until_ms: int = 0
    note: str = ""

    def silence(self) -> Silence:
        """The silence a `silence` command asks for."""
        until_ms = min(self.until_ms, self.at_ms + SILENCE_MS_MAX)
        return Silence(self.command_id, self.match, until_ms, self.by, self.note)


_decode: Final = msgspec.json.Decoder(Command).decode


def decode(value: bytes | None) -> Command:
    """The command in a record. Raises ValueError for anything else, or a silence without a matcher."""
    try:
        command = _decode(value or b"")
    except msgspec.DecodeError as error:
        raise ValueError(f"not a command: {error}") from None
    if command.kind == "silence" and not command.match:
        raise ValueError("a silence without a matcher would silence everything")
    return command
