"""The report as one HTML file: offline, readable without JavaScript, light and dark, printable.

In: a Report. Out: text. Never: an external resource, a script, markup taken from data.
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from reports.compare.describe import UNITS_MIN
from reports.render.environment import environment
from reports.render.tables import detail_tables, trend_tables
from reports.render.view import Report

AGENTS_SHOWN: Final = 100  # rows of the agents table; the JSON has all
SHORT_NAME: Final = 24  # characters; a row's head up to here stays on one line, such as a date
EXECUTIVE_FACTS: Final = frozenset(
    {
        "time_span",
        "agents",
        "tasks",
        "tasks_failed",
        "success_ratio",
        "task_duration_p50",
        "task_duration_p95",
    }
    | {
        "cost_usd",
        "cost_usd_per_success",
        "priced_ratio",
        "anomalies",
        "anomalies_critical",
        "anomalies_high",
    }
)


def render_html(report: Report) -> str:
    """`executive` shows the key facts and the ten highest anomalies; the other kinds show everything they have."""
    # The SVG comes from our own charts, which escape the data in it; everything else is escaped here.
    charts = [(chart, Markup(chart.svg)) for chart in report.charts]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            charts=charts,
            full=report.full,
            first_tables=trend_tables(report),
            tables=detail_tables(report),
            executive_facts=EXECUTIVE_FACTS,
            agents_shown=AGENTS_SHOWN,
            units_min=UNITS_MIN,
            short_name=SHORT_NAME,
        )
    )
