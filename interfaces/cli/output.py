"""What every command shares: rows in one of the formats, one-line failures, settings with the running stack.

In: rows (mappings), a message, flag values. Out: text on stdout, one line on stderr, `Settings`.
Never: a traceback, markup or terminal control codes taken from data; imports a heavy library before its use.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from models.settings import Settings

EXIT_FAILURE = 1  # the thing asked for could not be done
EXIT_USAGE = 2  # flags, configuration or input break a rule
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells expect after Ctrl-C
PIPE_WIDTH = 4_000  # columns when stdout is no terminal: a row stays on one line for grep and diff
NARROW_COLUMN = 20  # characters: a name, a number or a time of day; what is longer may be folded
COLUMN_GAP = 2  # characters between two columns of a table
NULL_TEXT = "–"  # a missing value in a table; never 0 and never an empty number


class Format(StrEnum):
    """How a read command prints its rows."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    MARKDOWN = "markdown"


FormatOption = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help="table, json, ndjson, csv or markdown.", show_default=True),
]


@dataclasses.dataclass(slots=True)
class GlobalOptions:
    """The flags that stand before (or after) every command; `None` means not given."""

    config: Path | None = None
    debug: bool = False
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)


_options = GlobalOptions()


def global_options() -> GlobalOptions:
    """The flags of this invocation; `interfaces.cli.main` fills them in."""
    return _options


def reset_global_options() -> None:
    """Forgets the flags of an earlier invocation in the same process."""
    _options.config = None
    _options.debug = False
    _options.overrides.clear()


def load_settings(*, use_running_stack: bool = True, **overrides: Any) -> Settings:
    """Flags over environment over file; addresses nobody gave come from the running stack of MURMUR_HOME.

    Prints every mistake, one a line, and exits 2 when the configuration breaks a rule.
    """
    from models.settings import SettingsError, load

    given = {**_options.overrides, **{k: v for k, v in overrides.items() if v is not None}}
    try:
        settings = load(_options.config, **given)
        found = _running_stack_values(settings) if use_running_stack else {}
        return load(_options.config, **given, **found) if found else settings
    except SettingsError as error:
        for line in str(error).splitlines():
            print_error(line)
        sys.exit(EXIT_USAGE)


def emit(
    rows: Sequence[Mapping[str, object]],
    *,
    format: Format = Format.TABLE,
    title: str = "",
    columns: Sequence[str] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Prints rows. `columns` fixes names and order, also when there is no row; else the first row's keys."""
    out = stream or sys.stdout
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    if format is Format.JSON:
        emit_json([dict(row) for row in rows], stream=out)
    elif format is Format.NDJSON:
        for row in rows:
            out.write(json.dumps(_jsonable(dict(row)), ensure_ascii=False, allow_nan=False) + "\n")
    elif format is Format.CSV:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(row.get(name), null="") for name in names] for row in rows)
    elif format is Format.MARKDOWN:
        _emit_markdown(rows, names, title, out)
    else:
        _emit_table(rows, names, title, out)
    out.flush()


def emit_json(value: object, *, stream: TextIO | None = None) -> None:
    """Prints one JSON document; NaN and infinities become null."""
    out = stream or sys.stdout
    json.dump(_jsonable(value), out, indent=2, ensure_ascii=False, allow_nan=False)
    out.write("\n")
    out.flush()


def examples(*commands: str) -> str:
    """The epilog of a `--help`: one example a line (the help renderer keeps only blank lines as breaks)."""
    return "\n\n".join(("Examples:", *commands))


def fail(message: str, *, code: int = EXIT_FAILURE) -> NoReturn:
    """Ends the command: one line on stderr that says what, where and what to do."""
    print_error(message)
    sys.exit(code)


def print_error(message: str) -> None:
    """`murmur: message` on stderr, on one line whatever the message holds."""
    sys.stderr.write("murmur: " + " ".join(visible(message).split()) + "\n")
    sys.stderr.flush()


def visible(text: str) -> str:
    """Text from outside made safe for a terminal: control characters are shown, not obeyed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t " else repr(c)[1:-1] for c in text)


def build_table(rows: Sequence[Mapping[str, object]], names: Sequence[str], title: str = "") -> Table:
    """The rich table `emit` prints; live screens redraw it. Only long columns give way on a narrow terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
    )
    cells = [[_plain(row.get(name), null=NULL_TEXT) for name in names] for row in rows]
    for index, name in enumerate(names):
        numeric = any(_is_number(row.get(name)) for row in rows)
        width = max(len(name), *(len(line[index]) for line in cells)) if cells else len(name)
        table.add_column(
            Text(visible(name)),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=width <= NARROW_COLUMN,
        )
    for line in cells:
        table.add_row(*map(Text, line))
    return table


def _emit_table(rows: Sequence[Mapping[str, object]], names: Sequence[str], title: str, out: TextIO) -> None:
    from rich.console import Console

    console = Console(file=out, width=None if out.isatty() else PIPE_WIDTH, highlight=False)
    if not names:
        console.print(f"{title}: no rows" if title else "no rows", markup=False)
    elif _fits(rows, names, console.width):
        console.print(build_table(rows, names, title))
    else:
        _emit_vertically(rows, names, title, out)


def _fits(rows: Sequence[Mapping[str, object]], names: Sequence[str], width: int) -> bool:
    """Whether columns keep a readable width: long ones may be folded, but not below NARROW_COLUMN."""
    needed = 0
    for name in names:
        longest = max([len(name), *(len(_plain(row.get(name), null=NULL_TEXT)) for row in rows)])
        needed += min(longest, NARROW_COLUMN) + COLUMN_GAP
    return needed <= width


def _emit_vertically(rows: Sequence[Mapping[str, object]], names: Sequence[str], title: str, out: TextIO) -> None:
    """One value a line, for rows that are wider than the terminal."""
    if title:
        out.write(f"{title}\n")
    label = max(len(visible(name)) for name in names)
    for number, row in enumerate(rows, start=1):
        out.write(f"row {number}\n")
        for name in names:
            out.write(f"  {visible(name):<{label}}  {_plain(row.get(name), null=NULL_TEXT)}\n")


def _emit_markdown(rows: Sequence[Mapping[str, object]], names: Sequence[str], title: str, out: TextIO) -> None:
    def cells(values: Sequence[str]) -> str:
        return "| " + " | ".join(v.replace("|", "\\|").replace("\n", " ") for v in values) + " |\n"

    if title:
        out.write(f"## {title}\n\n")
    if not names:
        out.write("no rows\n")
        return
    out.write(cells([visible(name) for name in names]))
    numeric = [any(_is_number(row.get(name)) for row in rows) for name in names]
    out.write("|" + "|".join(" ---: " if right else " --- " for right in numeric) + "|\n")
    for row in rows:
        out.write(cells([_plain(row.get(name), null=NULL_TEXT) for name in names]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: object, *, null: str) -> str:
    """One cell: numbers in full, times as ISO 8601 UTC, nested values as JSON."""
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}" if math.isfinite(value) else str(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return visible(json.dumps(_jsonable(value), ensure_ascii=False))
    plain = _jsonable(value)
    return visible(plain if isinstance(plain, str) else str(plain))


def _jsonable(value: object) -> Any:
    """The value with types JSON has; NaN and infinities become null because JSON has no word for them."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if hasattr(value, "item"):  # a numpy scalar: its Python value
        return _jsonable(value.item())
    return str(value)


def _running_stack_values(settings: Settings) -> dict[str, Any]:
    """Addresses of the stack that runs in this home, for the settings nobody gave."""
    from infra.local.layout import Layout, read_running

    stack = read_running(Layout(settings.home))
    if stack is None:
        return {}
    given = settings.model_fields_set
    found: dict[str, Any] = {}
    if "kafka_bootstrap" not in given:
        found["kafka_bootstrap"] = stack.kafka_bootstrap
    # The password belongs to the address: it never goes to a server the user named himself.
    if "clickhouse_url" not in given or settings.clickhouse_url == stack.clickhouse_url:
        found["clickhouse_url"] = stack.clickhouse_url
        for name in ("clickhouse_user", "clickhouse_password"):
            if name not in given:
                found[name] = getattr(stack, name)
    return {name: value for name, value in found.items() if value is not None}


def quiet_broken_pipe() -> NoReturn:
    """`murmur sql ... | head`: the reader left; that is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
