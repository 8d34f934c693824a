"""Flags that `murmur report generate` and `murmur report schedule add` share, and what they become.

In: flags, a report file. Out: `ReportRequest`. Never: heavy imports before a command runs.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, fail

if TYPE_CHECKING:
    from reports.request import ReportRequest

FORMATS = ("html", "md", "json", "csv", "text", "pdf")


class Kind(StrEnum):
    """What a report is about, and how much it shows."""

    EXECUTIVE = "executive"
    TECHNICAL = "technical"
    COMPARISON = "comparison"
    TREND = "trend"
    FINAL = "final"


class PeriodOption(StrEnum):
    """How long a period is."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


Swarms = Annotated[
    list[str] | None,
    typer.Option("--swarm", help="Swarm to report on; give it several times.", show_default=False),
]
KindFlag = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="executive: the short one; comparison: what differs (default); technical: everything; "
        "trend: one swarm over periods; final: one finished run.",
        show_default=False,
    ),
]
FormatsFlag = Annotated[
    str | None,
    typer.Option(
        "--format", help="html, md, json, csv, text, pdf, comma-separated (default: html,md,json).", show_default=False
    ),
]
Title = Annotated[str | None, typer.Option("--title", help="Title of the report.", show_default=False)]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Only these measures.", show_default=False)]
Periods = Annotated[
    int | None,
    typer.Option("--periods", help="Of a trend: how many periods side by side (default: 8).", show_default=False),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file", help="YAML, TOML or JSON file with the report's configuration; flags win.", show_default=False
    ),
]


def request_from(file: Path | None, **flags: Any) -> ReportRequest:
    """The file's values with the given flags over them; ends the command with every mistake in one line."""
    from models.settings import SettingsError, read_table
    from reports.request import RequestError, request_of

    try:
        values = read_table(file) if file is not None else {}
        given = {name: value for name, value in flags.items() if value not in (None, [], ())}
        if given.keys() & {"time_range", "from", "to", "period"}:  # one way of naming the time replaces the file's
            values = {n: v for n, v in values.items() if n not in {"time_range", "from", "to", "period", "date"}}
        return request_of(values | given, where=str(file) if file is not None and not given else "")
    except (RequestError, SettingsError) as error:
        fail(str(error), code=EXIT_USAGE)


def parse_formats(text: str) -> list[str]:
    """`html,md` -> the list; ends the command when a format is unknown, or PDF cannot be made here."""
    names = [name for part in text.split(",") if (name := part.strip())]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        fail(f"--format {text!r}: known formats are {', '.join(FORMATS)}", code=EXIT_USAGE)
    return list(dict.fromkeys(names))


def require_formats(names: tuple[str, ...] | list[str]) -> None:
    """Ends the command before any work where a format cannot be made on this machine."""
    if "pdf" in names:
        from reports.render.pdf import PdfUnavailableError, require_pdf

        try:
            require_pdf()
        except PdfUnavailableError as error:
            fail(str(error))
