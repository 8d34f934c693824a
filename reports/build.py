"""Builds a report: reader -> analysis -> comparison -> view model, and writes it in its formats.

In: a Reader, a ReportConfig. Out: `Report`; files. Never: SQL, statistics or HTML of its own.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from models.clock import Clock, SystemClock
from models.detect.catalogue import NAMES
from reports.analysis.insights import sentences
from reports.analysis.quality import quality_notes
from reports.analysis.summary import summarise
from reports.asking import Compared, Facts, rows, side_by_side
from reports.config import OutputFormat, ReportConfig, TextFormat
from reports.details import details
from reports.final import of_finished_run
from reports.pictures import Drawn, pictures
from reports.queries.port import (
    AnomalyRow,
    Query,
    Reader,
    Result,
    SwarmRow,
    WindowRow,
)
from reports.render.view import Chart, Report

ANOMALIES_SHOWN = 50  # the highest scores; the count of all is shown beside them
SWARMS_NAMED = 10  # in the message about an unknown swarm
FILE_ID_LENGTH = 12  # of the report id in file names: 48 bits tell the reports of a directory apart
CHART_METRICS_MAX = 4  # time lines: more make nobody wiser


class UnknownSwarmError(ValueError):
    """A swarm that left no event in the time range."""


def build_report(
    reader: Reader,
    config: ReportConfig,
    *,
    clock: Clock | None = None,
    report_id: str | None = None,
    with_charts: bool = True,
    draw: Callable[[ReportConfig, Drawn], tuple[Chart, ...]] = pictures,
) -> Report:
    """Asks every question once, then computes; without charts it asks nothing that only they show. `draw` makes them.

    Raises UnknownSwarmError when a swarm has no rows; RunNotFinishedError for a final report of a run that goes on.
    """
    if config.kind == "final":
        config = of_finished_run(reader, config)
    swarm_ids, time = config.swarms, config.time
    with side_by_side() as pool:
        compared = Compared.ask(pool, reader, swarm_ids, time)
        asked = Facts.ask(pool, reader, swarm_ids, time, anomalies_max=ANOMALIES_SHOWN)
        drawn = pool.submit(_windows, reader, config, asked.anomalies) if with_charts else None
        swarms = rows(asked.swarms)
        _require_known(reader, config, swarms)
        data = compared.input()
        more = details(reader, config, data, with_charts=with_charts)
        activities, anomaly_counts, configurations, anomalies, dead_letters, costs, agents = asked.rows()
        windows = rows(drawn) if drawn is not None else ()
    queries = _queries(compared, asked, drawn)
    scored, lines = _drawn_anomalies(anomalies)
    facts = functools.partial(
        summarise,
        swarms=swarms,
        activities=activities,
        tasks=data.tasks,
        anomalies=anomaly_counts,
        configurations=configurations,
    )
    summaries = tuple(map(facts, swarm_ids))
    return Report(
        report_id=report_id or uuid.uuid4().hex,
        created_at_ms=(clock or SystemClock()).now_ms(),
        title=config.title or _title(config),
        config=config,
        summaries=summaries,
        sentences=(*sentences(more.findings, summaries, more.trend, more.breakdown, costs), *more.sentences),
        comparisons=more.findings,
        success=more.successes,
        charts=draw(config, more.drawn(data.tasks, windows, scored, lines, costs)) if with_charts else (),
        anomalies=tuple(anomalies),
        anomalies_total=sum(row.anomalies for row in anomaly_counts),
        agents=tuple(agents),
        costs=tuple(costs),
        quality=quality_notes(summaries, more.findings, dead_letters),
        queries=queries | more.queries,
        trend=more.trend,
        runs=more.runs,
        breakdown=more.breakdown,
        alerts=more.alerts,
        resources=more.resources,
    )


def write_report(report: Report, out_dir: Path, formats: Sequence[OutputFormat]) -> list[Path]:
    """Writes `<out_dir>/<kind>-<id>.<format>` for each format; returns the paths in the order asked for."""
    return write_rendered(report, out_dir, {name: body(report, name) for name in formats})


def write_rendered(report: Report, out_dir: Path, bodies: Mapping[str, str | bytes]) -> list[Path]:
    """The same for formats that are rendered already."""
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in bodies.items():
        path = out_dir / file_name(report, name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)
    return paths


def file_name(report: Report, name: str) -> str:
    """`comparison-0123456789ab.html`; text ends in `.txt`."""
    return f"{report.config.kind}-{report.report_id[:FILE_ID_LENGTH]}.{'txt' if name == 'text' else name}"


def body(report: Report, name: OutputFormat) -> str | bytes:
    """The report in any format; PDF is bytes. Raises PdfUnavailableError without the extra `pdf`."""
    if name == "pdf":
        from reports.render.pdf import render_pdf

        return render_pdf(report)
    return render(report, name)


def render(report: Report, name: TextFormat) -> str:
    """The report as text in one format."""
    # Imported where needed: JSON and CSV need no template engine.
    if name == "json":
        from reports.render.json import render_json

        return render_json(report)
    if name == "csv":
        from reports.render.csv import render_csv

        return render_csv(report)
    if name == "text":
        from reports.render.text import render_text

        return render_text(report)
    if name == "md":
        from reports.render.markdown import render_markdown

        return render_markdown(report)
    from reports.render.html import render_html

    return render_html(report)


def _require_known(reader: Reader, config: ReportConfig, found: Sequence[SwarmRow]) -> None:
    missing = [name for name in config.swarms if name not in {row.swarm_id for row in found}]
    if not missing:
        return
    known = reader.known_swarms(SWARMS_NAMED).rows
    where = "in this time range" if config.from_ms is not None or config.to_ms is not None else "in the database"
    hint = f"the newest swarms are {', '.join(known)}" if known else "there is no swarm at all yet"
    raise UnknownSwarmError(f"swarm {', '.join(missing)} has no event {where}; {hint}")


def _queries(compared: Compared, asked: Facts, windows: Future[Result[WindowRow]] | None) -> dict[str, Query]:
    """In the order in which a reader meets what they gave."""
    answers: list[Future[Any]] = [
        asked.swarms,
        asked.activities,
        compared.tasks,
        asked.anomaly_counts,
        asked.configurations,
        asked.anomalies,
        asked.dead_letters,
        asked.costs,
        asked.agents,
        *([windows] if windows is not None else []),
        compared.calls,
        compared.agent_metrics,
    ]
    return {query.name: query for query in (answer.result().query for answer in answers)}


def _windows(reader: Reader, config: ReportConfig, anomalies: Future[Result[AnomalyRow]]) -> Result[WindowRow]:
    """Of the metrics that are drawn over time, which the anomalies decide; they were asked for before."""
    _, lines = _drawn_anomalies(anomalies.result().rows)
    return reader.windows(config.swarms, lines, config.time)


def _drawn_anomalies(anomalies: Sequence[AnomalyRow]) -> tuple[list[AnomalyRow], tuple[str, ...]]:
    """Those of series, and the metrics to draw: a named detector's count is no point of a series."""
    scored = [row for row in anomalies if row.detector not in NAMES]
    return scored, _line_metrics(scored)


def _line_metrics(anomalies: Sequence[AnomalyRow]) -> tuple[str, ...]:
    """What is drawn over time: the metrics with the highest anomaly scores first, task durations always."""
    return tuple(dict.fromkeys([*(a.metric for a in anomalies), "task_duration"]))[:CHART_METRICS_MAX]


def _title(config: ReportConfig) -> str:
    if config.kind == "trend" and config.period is not None:
        return f"{config.swarms[0]}: {config.period} trend"
    if config.kind == "final":
        return f"{config.swarms[0]}: run {config.run or '(unnamed)'}"
    return " against ".join(config.swarms) if len(config.swarms) > 1 else config.swarms[0]
