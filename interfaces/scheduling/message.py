"""What the channels are told about a report: its sentences, and its files where a channel takes them.

In: a report or the reason why there is none. Out: an occurrence's words, and the `Message`. Never: sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from models.alerts.message import Attachment, Message
from reports.render.view import Report
from reports.schedule_store import Occurrence

LINES_MAX: Final = 20  # sentences told in a message; the others are counted in it, the report has all
ATTACHMENTS_BYTES_MAX: Final = 10_000_000  # of all files of one mail; servers refuse 10 to 25 MB with base64 on top
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html",
    "md": "text/markdown",
    "json": "application/json",
    "csv": "text/csv",
    "text": "text/plain",
    "pdf": "application/pdf",
}


def lines_of(report: Report) -> tuple[str, ...]:
    """The report's sentences and warnings, cut to LINES_MAX."""
    said = [sentence.text for sentence in report.sentences]
    said += [f"Warning: {note.text}" for note in report.quality if note.level == "warning"]
    if len(said) > LINES_MAX:
        return (*said[: LINES_MAX - 1], f"and {len(said) - LINES_MAX + 1} more, in the report")
    return tuple(said)


def message_of(occurrence: Occurrence, bodies: Mapping[str, bytes]) -> Message:
    """The message of an occurrence; the key is the report's id, the same however often it is sent."""
    lines, attachments, size = list(occurrence.lines), [], 0
    for name, body in bodies.items():
        size += len(body)
        if size > ATTACHMENTS_BYTES_MAX:
            lines.append(f"The {name} is too large to send ({len(body):,} bytes): murmur report show shows it.")
            size -= len(body)
            continue
        ending = "txt" if name == "text" else name
        file = f"{occurrence.schedule}-{occurrence.period.replace(' ', 'T').replace(':', '')}.{ending}"
        attachments.append(Attachment(file, MEDIA_TYPES[name], body))
    show = f"murmur report show {occurrence.report_id[:12]} --format {next(iter(bodies))}" if bodies else ""
    return Message(
        key=occurrence.report_id,
        rule=f"report {occurrence.schedule}",
        event="report",
        severity="info",
        title=occurrence.title,
        lines=tuple(lines),
        action=show,
        at_ms=occurrence.made_ms,
        alert_ids=(),
        group={"schedule": occurrence.schedule, "period": occurrence.period},
        attachments=tuple(attachments),
    )
