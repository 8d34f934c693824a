"""One chart as a page of its own: the report's look and script, the numbers as a table, the query behind them.

In: a chart, its queries, a theme. Out: text. Never: an external resource, markup taken from data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from reports.queries.port import Query
from reports.render.environment import environment
from reports.render.view import Chart

# Under which condition the page is dark; "not all" is never true.
DARK_MEDIA: Final = {"auto": "(prefers-color-scheme: dark)", "dark": "all", "light": "not all"}


def render_chart(chart: Chart, queries: Sequence[Query], *, theme: str, about: str) -> str:
    """`theme` is auto, light or dark; `about` says of which sides and times the chart is."""
    template = environment().get_template("chart.html.j2")
    return template.render(
        chart=chart, svg=Markup(chart.svg), queries=queries, about=about, dark_media=DARK_MEDIA[theme]
    )
