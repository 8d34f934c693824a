"""The demo from the first process to the report.

In: a duration, an output directory. Out: an exit code; report files; text on the screen.
Never: leaves a process behind; says that something was found, or arrived, without counting it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.local import supervisor
from infra.local.layout import Layout, Stack
from interfaces.cli.interrupt import sigterm_as_interrupt
from interfaces.cli.output import load_settings
from interfaces.demo.evidence import SWARM_IDS, Delivery, Findings, delivery
from interfaces.demo.plan import (
    ALLOWED_LATENESS_MS,
    CONFIGURATIONS,
    FAULT_AT_RATIO,
    FAULT_REPEATS,
    FAULTY,
    FLUSH_INTERVAL_MS,
    PACKERS,
    WINDOWS,
    DemoPlan,
    make_plan,
)
from interfaces.demo.screen import Screen
from interfaces.demo.swarm import AgentState, Swarm, running
from models.settings import Settings
from murmur.clock import now_ms

SCREEN_EVERY_S = 0.5
LAST_ANOMALIES_S = 4.0  # after the agents: lateness, a flush, and the way through the broker
EXIT_OK, EXIT_INCOMPLETE = 0, 1
MARKER = "made-by-murmur-demo"  # only a home with this file in it is ever deleted


def run(*, duration_s: float, out: Path, keep: bool) -> int:
    """The whole demo. 0 when every acknowledged event arrived and the report is written."""
    screen = Screen()
    began_s = time.monotonic()
    home = _fresh_home(out / "home")
    settings = load_settings(
        use_running_stack=False,
        home=home,
        windows=WINDOWS,
        allowed_lateness_ms=ALLOWED_LATENESS_MS,
        flush_interval_ms=FLUSH_INTERVAL_MS,
    )
    kept = False
    with sigterm_as_interrupt():
        try:
            screen.say("1  Start broker, ClickHouse and stream worker", style="bold")
            stack = supervisor.up(settings, die_with_parent=not keep)
            screen.say(
                f"   ready in {time.monotonic() - began_s:.1f} s: Kafka {stack.kafka_bootstrap}, "
                f"ClickHouse {stack.clickhouse_url}"
            )
            code = _with_stack(_addressed(settings, stack), screen, duration_s=duration_s, out=out)
            kept = keep
        finally:
            if not kept:
                supervisor.down(settings)
            shutil.rmtree(home / "work", ignore_errors=True)  # what the agents packed
    _say_goodbye(screen, home, kept=kept, took_s=time.monotonic() - began_s)
    return code


def _with_stack(settings: Settings, screen: Screen, *, duration_s: float, out: Path) -> int:
    plan = make_plan(
        bootstrap=settings.kafka_bootstrap,
        topic_prefix=settings.topic_prefix,
        work_dir=str(settings.home / "work"),
        now_ms=now_ms(),
        duration_s=duration_s,
        parent_pid=os.getpid(),
    )
    first, second = CONFIGURATIONS
    screen.say("2  Run two configurations of a swarm on the same tasks", style="bold")
    screen.say(
        f"   {first.swarm_id} and {second.swarm_id}: {PACKERS} packers parse and compress files of this Python's "
        "library, a checker unpacks them in sub-processes"
    )
    screen.say(
        f"   after {duration_s * FAULT_AT_RATIO:.0f} s {FAULTY[0]}/{FAULTY[1]} starts to do everything "
        f"{FAULT_REPEATS} times over and to leak memory; nobody tells the detectors"
    )
    findings = Findings(plan)
    swarm = asyncio.run(_swarm(settings, plan, findings, screen))
    for failure in swarm.failures():
        screen.say(f"   {failure}", style="red")
    screen.say("3  Look at what was found, and count what arrived", style="bold")
    screen.say(f"   {findings.sentence()}")
    from sinks.clickhouse.client import connect

    client = connect(settings)
    try:
        counts = delivery(client, swarm.agents, metrics_topic=f"{settings.topic_prefix}swarm.metrics")
        _say_counts(screen, counts)
        screen.say("4  Compare the configurations", style="bold")
        _report(client, screen, out)
    finally:
        client.close()
    return EXIT_OK if counts.complete and not swarm.failures() else EXIT_INCOMPLETE


async def _swarm(settings: Settings, plan: DemoPlan, findings: Findings, screen: Screen) -> Swarm:
    """The agents' whole life, with the screen and the anomalies beside it."""
    watcher = asyncio.create_task(_watch(settings, findings, screen))
    try:
        with screen.progress():
            async with running(plan, settings.home / "logs") as swarm:
                painter = asyncio.create_task(_paint(settings, plan, swarm.agents, screen))
                try:
                    await asyncio.sleep(max(0.0, (plan.end_at_ms - now_ms()) / 1000))
                    await swarm.ended()
                    await asyncio.sleep(LAST_ANOMALIES_S)
                finally:
                    painter.cancel()
                    await asyncio.gather(painter, return_exceptions=True)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
    return swarm


async def _watch(settings: Settings, findings: Findings, screen: Screen) -> None:
    from models.anomaly.change_tuning import CHANGE_SEVERITY
    from streams.subscribe import subscribe
    from streams.topics import ANOMALIES

    async for row in subscribe(settings, ANOMALIES, from_beginning=True):
        if row.get("swarm_id") in SWARM_IDS and row.get("severity") != CHANGE_SEVERITY:
            screen.anomaly(row, of_the_fault=findings.add(row))


async def _paint(settings: Settings, plan: DemoPlan, agents: list[AgentState], screen: Screen) -> None:
    while True:
        screen.show(plan, agents, _worker_status(settings))
        await asyncio.sleep(SCREEN_EVERY_S)


def _worker_status(settings: Settings) -> dict[str, Any]:
    try:
        told = json.loads(Layout(settings.home).worker_status("worker-1").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _report(client: Any, screen: Screen, out: Path) -> None:
    from reports.build import build_report, write_report
    from reports.config import ReportConfig
    from reports.queries.clickhouse import ClickHouseReader

    first, second = CONFIGURATIONS
    config = ReportConfig(
        swarms=SWARM_IDS,
        metrics=(),
        paired_by="auto",
        kind="comparison",
        title=f"{first.compressor} against {second.compressor} on the same files",
        description=f"From the middle of the run on {FAULTY[0]}/{FAULTY[1]} did everything {FAULT_REPEATS} times.",
    )
    report = build_report(ClickHouseReader(client), config)
    for sentence in report.sentences:
        screen.say(f"   {sentence.text}")
    for path in write_report(report, out, ("html", "md", "json")):
        screen.say(f"   {path.suffix.lstrip('.'):<5} {_shown(path)}")


def _say_counts(screen: Screen, counts: Delivery) -> None:
    for name, acknowledged, rows in (
        ("metric events", counts.acknowledged_metrics, counts.rows_metrics),
        ("activities", counts.acknowledged_activities, counts.rows_activities),
    ):
        screen.say(f"   {name}: {acknowledged:,} acknowledged to the agents, {rows:,} in ClickHouse")
    verdict = (
        "nothing lost, nothing twice"
        if counts.complete
        else f"NOT complete: {counts.dropped:,} dropped by publishers, {counts.dead_letters:,} dead letters"
    )
    screen.say(f"   {verdict}", style="" if counts.complete else "bold red")


def _say_goodbye(screen: Screen, home: Path, *, kept: bool, took_s: float) -> None:
    murmur = _command()
    where = f"{murmur} --home {shlex.quote(_shown(home))}"
    screen.say(f"Done in {took_s:.0f} s. Explore further:", style="bold")
    if not kept:
        screen.say(f"   {where} up")
    screen.say(f'   {where} sql "SELECT * FROM v_swarm_summary"')
    screen.say(
        f"   {where} sql \"SELECT window_start, mean, p95 FROM v_windows WHERE agent_id = '{FAULTY[1]}' "
        f"AND swarm_id = '{FAULTY[0]}' AND metric = 'task_duration' AND window_ms = 1000 ORDER BY window_start\""
    )
    screen.say(f"   {where} compare swarms {' '.join(SWARM_IDS)}")
    screen.say(f"   {where} down")
    if (Path.home() / ".claude" / "projects").is_dir():
        screen.say("This machine has Claude Code transcripts. See what they cost and where the time went:")
        screen.say(f"   {murmur} up && {murmur} import claude-code ~/.claude/projects")


def _command() -> str:
    """How this user can type `murmur`: by its name, or by its path when the environment is not activated."""
    beside = Path(sys.executable).parent / "murmur"
    found = shutil.which("murmur")
    if found is not None and Path(found).absolute() == beside.absolute():
        return "murmur"
    return shlex.quote(_shown(beside)) if beside.is_file() else f"{shlex.quote(sys.executable)} -m murmur"


def _fresh_home(home: Path) -> Path:
    """An empty home; one that an earlier demo left is stopped and deleted."""
    home = home.absolute()
    if (home / MARKER).is_file():
        supervisor.down(load_settings(use_running_stack=False, home=home))
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()
    return home


def _addressed(settings: Settings, stack: Stack) -> Settings:
    """The same settings, pointing at what was started."""
    return load_settings(
        use_running_stack=False,
        home=settings.home,
        windows=settings.windows,
        allowed_lateness_ms=settings.allowed_lateness_ms,
        flush_interval_ms=settings.flush_interval_ms,
        kafka_bootstrap=stack.kafka_bootstrap,
        clickhouse_url=stack.clickhouse_url,
        clickhouse_user=stack.clickhouse_user,
        clickhouse_password=stack.clickhouse_password,
    )


def _shown(path: Path) -> str:
    """Relative to where the user stands, when that is shorter."""
    with suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)
