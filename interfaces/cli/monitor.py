"""`murmur monitor`: the newest windows of a swarm, once or live.

In: settings, a swarm. Out: one row an agent and metric; with `--live` a screen redrawn until Ctrl-C, or a stream of
`swarm.windows` rows as NDJSON. Never: writes; shows an old number as if it were current (each row has its window).
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from interfaces.cli.clickhouse import Client
    from models.settings import Settings

ANOMALIES_SHOWN = 5  # newest ones below the windows
ROWS_MIN = 3  # shown even on a very low terminal
SCREEN_LINES_OTHER = 14  # title, table head, hint and the anomalies below
EPILOG = examples(
    "murmur monitor --swarm demo-a",
    "murmur monitor --swarm demo-a --live",
    "murmur monitor --swarm demo-a --metric task_duration --format json",
    "murmur monitor --swarm demo-a --live --format ndjson | jq .mean",
)
_NEWEST = """
SELECT agent_id, metric, unit, window_start, events, mean, p50, p95, max, closed = 1 AS closed
FROM v_windows
WHERE swarm_id = {swarm:String} AND window_ms = {window_ms:UInt32}
  AND ({metric:String} = '' OR metric = {metric:String})
  AND window_start >= (SELECT max(window_start) FROM windows
                       WHERE swarm_id = {swarm:String} AND window_ms = {window_ms:UInt32})
                      - toIntervalMillisecond({since_ms:Int64})
ORDER BY window_start DESC
LIMIT 1 BY agent_id, metric
"""
_ANOMALIES = """
SELECT detected_at, severity, agent_id, metric, value, expected_low, expected_high, score
FROM v_anomalies
WHERE swarm_id = {swarm:String}
ORDER BY detected_at DESC
LIMIT {limit:UInt32}
"""
_SWARMS = """
SELECT swarm_id, max(window_start) AS newest
FROM windows GROUP BY swarm_id ORDER BY newest DESC LIMIT 20
"""
app = typer.Typer()


@app.command(epilog=EPILOG)
def monitor(
    swarm: Annotated[
        str | None, typer.Option("--swarm", help="Swarm id; the newest one when absent.", show_default=False)
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Redraw until Ctrl-C.")] = False,
    metric: Annotated[str, typer.Option("--metric", help="Only this metric.", show_default=False)] = "",
    window: Annotated[
        str | None, typer.Option("--window", help="Window size, e.g. 60s [the smallest].", show_default=False)
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Leave out what is this much older than the newest window.")
    ] = "10m",
    interval_s: Annotated[float, typer.Option("--interval-s", min=0.2, help="Seconds between redraws.")] = 1.0,
    format: FormatOption = Format.TABLE,
) -> None:
    """Watch the newest window of each agent and metric of a swarm."""
    settings = load_settings()
    window_ms = _window_ms(settings, window)
    since_ms = _duration_ms("--since", since)
    if live and format is Format.NDJSON:
        asyncio.run(_follow(settings, swarm, metric.lower(), window_ms))
        return
    if live and (format is not Format.TABLE or not sys.stdout.isatty()):
        fail("--live draws on a terminal; in a pipe use --live --format ndjson", code=EXIT_USAGE)
    from interfaces.cli.clickhouse import open_client

    with open_client(settings) as client:
        question = {"window_ms": window_ms, "metric": metric.lower(), "since_ms": since_ms}
        question["swarm"] = swarm if swarm is not None else _newest_swarm(client)
        if live:
            _redraw(client, question, interval_s)
            return
        names, rows = _newest(client, question)
        if not rows:
            fail(_nothing(client, question))
        emit(rows, format=format, columns=names, title=_title(question) if format is Format.TABLE else "")


def _newest(client: Client, question: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    from interfaces.cli.clickhouse import rows_of

    names, rows = rows_of(client, _NEWEST, question)
    return names, sorted(rows, key=lambda row: (row["agent_id"], row["metric"]))


def _newest_swarm(client: Client) -> str:
    from interfaces.cli.clickhouse import rows_of

    rows = rows_of(client, _SWARMS)[1]
    if not rows:
        fail("no swarm has published anything yet: see `murmur publish --help`, or run `murmur demo`")
    return str(rows[0]["swarm_id"])


def _nothing(client: Client, question: dict[str, Any]) -> str:
    from interfaces.cli.clickhouse import rows_of

    known = ", ".join(str(row["swarm_id"]) for row in rows_of(client, _SWARMS)[1])
    return (
        f"no windows of {question['window_ms']} ms for swarm {question['swarm']!r}"
        + (f" and metric {question['metric']!r}" if question["metric"] else "")
        + (f"; known swarms: {known}" if known else "; no swarm has published anything yet")
    )


def _redraw(client: Client, question: dict[str, Any], interval_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(_screen(client, question, console.height), refresh=True)
            time.sleep(interval_s)


def _screen(client: Client, question: dict[str, Any], height: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from interfaces.cli.clickhouse import rows_of
    from interfaces.cli.output import build_table

    _, rows = _newest(client, question)
    _, found = rows_of(client, _ANOMALIES, {"swarm": question["swarm"], "limit": ANOMALIES_SHOWN})
    room = max(ROWS_MIN, height - SCREEN_LINES_OTHER)
    shown = [_window_line(row) for row in rows[:room]]
    parts: list[RenderableType] = [build_table(shown, list(shown[0]) if shown else [], _title(question))]
    if len(rows) > len(shown):
        parts.append(Text(f"{len(rows) - len(shown)} more rows; choose with --metric", style="dim"))
    if found:
        anomalies = [_anomaly_line(row) for row in found]
        parts.append(build_table(anomalies, list(anomalies[0]), "anomalies, newest first"))
    parts.append(Text("Ctrl-C ends", style="dim"))
    return Group(*parts)


def _window_line(row: dict[str, Any]) -> dict[str, Any]:
    """A window as the live screen shows it: narrow enough for 80 columns, numbers to four digits."""
    unit = f" ({row['unit']})" if row["unit"] else ""
    return {
        "agent": row["agent_id"] or "(swarm)",
        "metric": f"{row['metric']}{unit}",
        "window": _short(row["window_start"]),
        "": "closed" if row["closed"] else "open",
        **{name: _short(row[name]) for name in ("events", "mean", "p95", "max")},
    }


def _anomaly_line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": _short(row["detected_at"]),
        "severity": row["severity"],
        "agent": row["agent_id"] or "(swarm)",
        "metric": row["metric"],
        "value": _short(row["value"]),
        "expected": f"{_short(row['expected_low'])}..{_short(row['expected_high'])}",
    }


def _short(value: Any) -> Any:
    """Four digits and the time of day: a screen is looked at, not calculated with."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return f"{value:%H:%M:%S}" if hasattr(value, "strftime") else value


def _title(question: dict[str, Any]) -> str:
    return f"swarm {question['swarm']}, windows of {question['window_ms'] / 1000:g} s, times in UTC"


async def _follow(settings: Settings, swarm: str | None, metric: str, window_ms: int) -> None:
    """Every update of a window as it leaves the worker, one JSON object a line."""
    from streams.subscribe import subscribe
    from streams.topics import WINDOWS

    async for row in subscribe(settings, WINDOWS, from_beginning=False):
        if row.get("window_ms") != window_ms or (swarm is not None and row.get("swarm_id") != swarm):
            continue
        if not metric or row.get("metric") == metric:
            emit([row], format=Format.NDJSON)


def _window_ms(settings: Settings, window: str | None) -> int:
    sizes = [size_ms for size_ms, _ in settings.window_specs]
    if window is None:
        return sizes[0]
    size_ms = _duration_ms("--window", window)
    if size_ms not in sizes:
        known = ", ".join(f"{size / 1000:g}s" for size in sizes)
        fail(f"--window {window}: the configured sizes are {known} (MURMUR_WINDOWS)", code=EXIT_USAGE)
    return size_ms


def _duration_ms(flag: str, text: str) -> int:
    from models.settings import parse_duration_ms

    try:
        return parse_duration_ms(text)
    except ValueError as error:
        fail(f"{flag}: {error}", code=EXIT_USAGE)
