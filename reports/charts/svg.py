"""From a chart specification to SVG text that can stand in any page.

In: an Altair chart. Out: SVG. Never: the network, a random id, two charts of a page with the same id.
"""

from __future__ import annotations

import re
from typing import Any, Final

from reports.charts.theme import configuration

_IDS: Final = re.compile(r'(\bid="|url\(#|href="#)')
_SIZE: Final = re.compile(r'<svg\b[^>]*?\bviewBox="([^"]+)"[^>]*>')


def to_svg(chart: Any, *, name: str, title: str) -> str:
    """`name` makes the ids in the SVG its own; `title` is what a screen reader announces."""
    import altair
    import vl_convert

    spec = chart.configure(**configuration()).to_dict()
    text: str = vl_convert.vegalite_to_svg(spec, vl_version=altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0])
    text = _IDS.sub(lambda match: f"{match[1]}{name}-", text)
    return _SIZE.sub(lambda match: _opening(match[1], title), text, count=1)


def _opening(view_box: str, title: str) -> str:
    """Without width and height the page decides the size; the picture keeps its proportions."""
    width, height = view_box.split()[2:4]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}" role="img" '
        f'aria-label="{_escaped(title)}" class="chart" style="max-width:{width}px" '
        f'data-height="{height}">'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
