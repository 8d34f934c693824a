"""SVG text: elements, numbers and a whole picture that can stand in any page.

In: tags, attributes, drawn parts. Out: SVG. Never: the network, a random id, a script, data that is not escaped.

Colours are written as attributes with the light theme's values; a page in dark mode replaces exactly these
(report.css), and `themed` does the same for a picture that stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from reports.charts import theme
from reports.charts.scales import Scale

Attributes = dict[str, str | float | None]
Theme = Literal["light", "dark", "auto"]
DECIMALS: Final = 2  # of a pixel: a hundredth is below what any screen shows
PNG_SCALE: Final = 2.0  # pixels a unit: sharp on a screen of double density
_NARROW: Final = frozenset("iljtfrI.,:;|!'()[]/ -·")
_BROAD: Final = frozenset("mwMW%@–→")


def tag(name: str, content: str = "", /, **attributes: str | float | None) -> str:
    """`tag("line", x1=0, stroke_width=2)`; None leaves an attribute out, `class_` is `class`. `content` is markup."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value) if isinstance(value, str) else px(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(words: str, x: float, y: float, *, anchor: str = "start", ink: str = theme.INK_SOFT, **more: str) -> str:
    """One line of text with its baseline at y."""
    return tag("text", escaped(words), x=x, y=y, text_anchor=anchor, fill=ink, **more)


def px(value: float) -> str:
    """A coordinate, as short as it can be written."""
    return f"{round(value, DECIMALS) + 0.0:.7g}"


def escaped(words: str) -> str:
    """Text for content and attributes; control characters are no XML and are shown as a question mark."""
    clean = "".join(c if c.isprintable() else "?" for c in words)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def path(points: Iterable[tuple[float, float]]) -> str:
    """The `d` of a line through points."""
    return "M" + "L".join(f"{px(x)},{px(y)}" for x, y in points)


def text_px(words: str, size_px: float = theme.FONT_PX) -> float:
    """How wide a text is at most, in our font or in one that stands in for it."""
    ems = sum(0.33 if c in _NARROW else 0.92 if c in _BROAD else 0.7 if c.isupper() else 0.56 for c in words)
    return ems * size_px * theme.FONT_SLACK


def shortened(words: str, width_px: float, size_px: float = theme.FONT_PX) -> str:
    """The text cut to a width, its middle left out: both ends of a name tell it from its neighbours."""
    if text_px(words, size_px) <= width_px:
        return words
    keep = len(words) - 1
    while keep > 2 and text_px(words[:keep] + "…", size_px) > width_px:
        keep -= 1
    head = (keep + 1) // 2
    return words[:head] + "…" + words[len(words) - (keep - head) :]


def picture(name: str, title: str, description: str, height: float, parts: Iterable[str], *, keys: str = "") -> str:
    """The whole SVG. `name` makes its ids its own; title and description are what a screen reader announces.

    Without width and height the page decides the size; the picture keeps its proportions. `keys`: what a page with the
    script lets a reader do with the chart (`zoom`, `marks`).
    """
    head = tag("title", escaped(title), id=f"{name}-title") + tag("desc", escaped(description), id=f"{name}-desc")
    body = tag("g", "".join(parts), font_family=theme.FONT, font_size=theme.FONT_PX)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {theme.WIDTH_PX} {px(height)}" role="img" '
        f'aria-label="{escaped(title)}" aria-describedby="{name}-desc" class="chart" '
        f'style="max-width:{px(theme.WIDTH_PX * theme.GROWTH_MAX)}px"'
        f"{f' data-keys={chr(34)}{keys}{chr(34)}' if keys else ''}>{head}{body}</svg>"
    )


def scale_of(scale: Scale) -> str:
    """A scale as the page's script reads it: kind, both values, both pixels, unit.

    With as many digits as a time in ms has; processors differ in the last of a double.
    """
    return f"{scale.kind},{scale.low:.13g},{scale.high:.13g},{px(scale.from_px)},{px(scale.to_px)},{scale.unit}"


def themed(svg: str, chosen: Theme, *, background: bool = True) -> str:
    """The picture as a file of its own: inks of the theme, or both with a media query; a size; a ground."""
    width, height = svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    svg = svg.replace("<svg ", f'<svg width="{width}" height="{height}" ', 1)
    ground = tag("rect", width="100%", height="100%", fill=theme.PAGE, class_="ground") if background else ""
    end = svg.index("</desc>") + len("</desc>")
    style = ""
    if chosen == "auto":
        rules = "".join(
            f'.chart [{way}="{light}"]{{{way}:{dark}}}'
            for light, dark in theme.DARK.items()
            for way in ("fill", "stroke")
        )
        style = tag("style", f"@media (prefers-color-scheme: dark){{{rules}}}")
    svg = svg[:end] + style + ground + svg[end:]
    if chosen == "dark":
        for light, dark in theme.DARK.items():
            svg = svg.replace(f'"{light}"', f'"{dark}"')
    return svg


def to_png(svg: str, *, scale: float = PNG_SCALE) -> bytes:
    """The picture in pixels, `scale` for each unit; text is set in the font that the converter carries."""
    import vl_convert

    made = vl_convert.svg_to_png(svg, scale=scale)
    assert isinstance(made, bytes)
    return made
