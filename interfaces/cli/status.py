"""`murmur status`: what runs in this home, where, and whether it does its work.

In: settings. Out: addresses, credentials, processes, with --detail the inside of each worker; exit 0 ready, 1 not
ready, 3 nothing runs. Never: starts or changes anything.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interfaces.cli.output import EXIT_FAILURE, Format, FormatOption, emit, examples, load_settings, visible

if TYPE_CHECKING:
    from infra.local.supervisor import StackStatus
    from infra.local.worker_reports import WorkerReport

EXIT_NOT_RUNNING = 3  # the code of `systemctl status` and the LSB for "program is not running"
EPILOG = examples(
    "murmur status", "murmur status --detail", "murmur status --format json", "murmur status --home /srv/murmur"
)
app = typer.Typer()


@app.command(epilog=EPILOG)
def status(
    detail: Annotated[
        bool,
        typer.Option("--detail", help="Also offsets, lag, and size and bound of every container of each worker."),
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show addresses, credentials and processes of the stack in this home.

    Exit code: 0 ready, 1 starting, stalled or faulty, 3 nothing runs.
    """
    from infra.local import supervisor

    state = supervisor.status(load_settings(use_running_stack=False))
    if format is Format.JSON:
        json.dump(_as_json(state, detail=detail), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif format is Format.TABLE:
        _show(state)
        if detail:
            sys.stdout.flush()
            workers = [report for report in state.reports if not report.is_alerter]
            for title, rows in (
                ("offsets; lag in records", _offsets(workers)),
                ("containers: entries now, and the bound", _wide(_fills(workers))),
                ("queues: chunks of records", _wide(_buffers(workers))),
            ):
                emit(_narrow(rows, workers), title=title)
    else:
        fills = _fills(state.reports) + _buffers(state.reports)
        emit(fills if detail else [dataclasses.asdict(p) for p in state.processes], format=format)
    if state.phase == "stopped" and not state.processes:
        raise typer.Exit(EXIT_NOT_RUNNING)
    if not state.ready:
        raise typer.Exit(EXIT_FAILURE)


def _as_json(state: StackStatus, *, detail: bool) -> dict[str, Any]:
    """Everything of the table; with `detail` also each worker's own status as `workers`, and that of the `alerter`."""
    shown = dataclasses.asdict(state)
    del shown["reports"]
    if not detail:
        return shown
    workers = [report.status for report in state.reports if not report.is_alerter]
    alerter = next((report.status for report in state.reports if report.is_alerter), None)
    return {**shown, "workers": workers, "alerter": alerter}


def _show(state: StackStatus) -> None:
    facts = [("stack", state.phase), ("home", state.home)]
    if state.kafka_bootstrap:
        facts += [
            ("kafka_bootstrap", f"{state.kafka_bootstrap} ({state.broker})"),
            ("clickhouse_url", f"{state.clickhouse_url} ({state.clickhouse})"),
            ("clickhouse_user", str(state.clickhouse_user)),
            ("clickhouse_password", str(state.clickhouse_password)),
        ]
    if state.clickhouse_read_user:
        facts.append(("read-only", f"{state.clickhouse_read_user} {state.clickhouse_read_password}"))
    if state.error:
        facts.append(("error", state.error))
    for name, value in facts:
        sys.stdout.write(f"{name:<20} {visible(value)}\n")
    if state.processes:
        sys.stdout.flush()
        emit([dataclasses.asdict(p) for p in state.processes])
    elif state.phase == "stopped":
        sys.stdout.write("start it with: murmur up\n")


def _offsets(reports: list[WorkerReport]) -> list[dict[str, object]]:
    """How far each partition is, from the group's commit to the end of the log."""
    return [
        {
            "worker": report.name,
            "partition": f"{p['topic']}[{p['partition']}]",
            "committed": p["committed_offset"],
            "snapshot": p["snapshot_offset"],
            "acknowledged": p["acknowledged_offset"],
            "folded": p["next_offset"],
            "log_end": p["log_end_offset"],
            "lag": p["lag_records"],
        }
        for report in reports
        for p in report.status.get("partitions", ())
    ]


def _narrow(rows: list[dict[str, object]], reports: list[WorkerReport]) -> list[dict[str, object]]:
    """Without the name of the worker where there is only one: then the offsets fit 80 columns."""
    return [{k: v for k, v in row.items() if k != "worker"} for row in rows] if len(reports) == 1 else rows


def _fills(reports: list[WorkerReport]) -> list[dict[str, Any]]:
    """One row a container of a partition: how many entries it holds and how many it may hold at most."""
    return [
        {"worker": report.name, "place": f"{p['topic']}[{p['partition']}]", "container": name, **fill}
        for report in reports
        for p in report.status.get("partitions", ())
        for name, fill in p["containers"].items()
    ]


def _buffers(reports: list[WorkerReport]) -> list[dict[str, Any]]:
    """The same for what a worker keeps a topic, not a partition."""
    return [
        {"worker": report.name, "place": topic, "container": "chunks_buffered", **fill}
        for report in reports
        for topic, fill in report.status.get("buffers", {}).items()
    ]


def _wide(fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A column a container, a row a place, and the bounds as the last row: for reading, not for parsing.

    The memories of named detectors are one column; other formats show each.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    bounds: dict[str, Any] = {"worker": "", "place": "at most"}
    for fill in fills:
        where = {"worker": fill["worker"], "place": fill["place"]}
        row = rows.setdefault((fill["worker"], fill["place"]), dict(where))
        if fill["container"].startswith("detector_"):
            row["detector_keys"] = row.get("detector_keys", 0) + fill["size"]
            first = next(iter(rows.values()))
            if row is first:  # each place has the same detectors
                bounds["detector_keys"] = bounds.get("detector_keys", 0) + fill["bound"]
            continue
        row[fill["container"]] = fill["size"]
        bounds[fill["container"]] = fill["bound"]
    return [*rows.values(), bounds] if rows else []
