"""The report as Markdown, for a pull request or a chat.

In: a Report. Out: text. Never: markup taken from data.
"""

from __future__ import annotations

from reports.render.environment import environment
from reports.render.tables import detail_tables, trend_tables
from reports.render.view import Report


def render_markdown(report: Report) -> str:
    """The report as Markdown."""
    return (
        environment()
        .get_template("report.md.j2")
        .render(report=report, first_tables=trend_tables(report), tables=detail_tables(report))
    )
