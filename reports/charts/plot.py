"""What every chart is made of: a frame with axes and a grid, a legend, the page's order of both from top to bottom.

In: scales, words, drawn marks. Out: parts of an SVG. Never: a value; an axis without its unit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.charts import svg, theme
from reports.charts.scales import Scale

TICK_GAP_PX: Final = 14  # between the labels of two ticks: less reads as one number
TICKS_Y: Final = 5
LABEL_SPACE_MAX: Final = 0.42  # of the width, for the names at the left of rows
FOLD_PX: Final = 13  # from one line of a folded name to the next
KEY_PX: Final = 22  # a legend's symbol with its gap
BELOW_PX: Final = 42  # under a frame: tick labels and the axis' title
DIAMOND: Final = "M0,-6L5,0L0,6L-5,0Z"
SHAPES: Final = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",  # circle
    "M-3.6,-3.6h7.2v7.2h-7.2Z",  # square
    "M0,-4.6L4.4,3.4L-4.4,3.4Z",  # triangle
    DIAMOND,
    "M0,4.6L4.4,-3.4L-4.4,-3.4Z",
    "M-4.5,-1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3Z",  # cross
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The inside of the axes, in pixels of the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: its words, and how its line or mark looks."""

    words: str
    ink: str
    dash: str | None = None
    shape: str = ""  # a path; empty: a line
    opacity: float | None = None


def room_for(labels: Sequence[str]) -> float:
    """The left edge of a frame beside these labels."""
    wide = max((svg.text_px(label) for label in labels), default=0.0)
    return theme.EDGE_PX + min(wide, theme.WIDTH_PX * LABEL_SPACE_MAX) + 8


def room_beside(scale: Scale) -> float:
    """The left edge of a frame with this scale at its left."""
    return room_for([scale.label(tick) for tick in scale.ticks(TICKS_Y)])


def x_axis(scale: Scale, frame: Frame, title: str) -> str:
    """Grid lines, labels that keep apart, the title."""
    count = 6
    ticks = scale.ticks(count)
    while count > 1 and _crowded([scale.px(tick) for tick in ticks], scale.labels(ticks)):
        count -= 1
        ticks = scale.ticks(count)
    parts = []
    for tick, words in zip(ticks, scale.labels(ticks), strict=True):
        x = scale.px(tick)
        half = svg.text_px(words) / 2
        at = min(max(x, theme.EDGE_PX + half), theme.WIDTH_PX - theme.EDGE_PX - half)
        parts.append(svg.tag("line", x1=x, x2=x, y1=frame.top, y2=frame.bottom, stroke=theme.LINE))
        parts.append(svg.text(words, at, frame.bottom + 16, anchor="middle"))
    parts.append(svg.tag("line", x1=frame.left, x2=frame.right, y1=frame.bottom, y2=frame.bottom, stroke=theme.RULE))
    written = svg.shortened(title, theme.WIDTH_PX - 2 * theme.EDGE_PX)
    middle = min((frame.left + frame.right) / 2, theme.WIDTH_PX - theme.EDGE_PX - svg.text_px(written) / 2)
    under = svg.text(written, max(middle, theme.EDGE_PX + svg.text_px(written) / 2), frame.bottom + 35, anchor="middle")
    return svg.tag("g", "".join(parts), class_="x-axis") + under


def y_axis(scale: Scale, frame: Frame, title: str) -> str:
    """Grid lines with their labels, and the title above the frame, where it needs no turned head."""
    parts = []
    for tick in scale.ticks(TICKS_Y):
        y = scale.px(tick)
        parts.append(svg.tag("line", x1=frame.left, x2=frame.right, y1=y, y2=y, stroke=theme.LINE))
        parts.append(svg.text(scale.label(tick), frame.left - 6, y + 4.5, anchor="end"))
    written = svg.shortened(title, theme.WIDTH_PX - 2 * theme.EDGE_PX)
    return svg.text(written, theme.EDGE_PX, frame.top - 12) + svg.tag("g", "".join(parts), class_="y-axis")


def row_labels(labels: Sequence[str], frame: Frame, centres: Sequence[float], *, fold: bool = False) -> str:
    """Names of rows at the left of the frame, shortened to their room; `fold`: on two lines where there are words."""
    room = frame.left - 7 - theme.EDGE_PX  # a pixel more than `room_for` counted, for rounding
    parts = []
    for label, y in zip(labels, centres, strict=True):
        lines = _folded(label, room) if fold else [svg.shortened(label, room)]
        first = y + 4.5 - FOLD_PX / 2 * (len(lines) - 1)
        parts += [
            svg.text(words, frame.left - 6, first + FOLD_PX * i, anchor="end", ink=theme.INK)
            for i, words in enumerate(lines)
        ]
    return "".join(parts)


def panel(x: Scale, y: Scale | None, frame: Frame, axes: str, marks: str, *, grid: float | None = None) -> str:
    """The frame with what is in it. The page's script reads the scales from it to say values and to zoom.

    `grid`: every x is a multiple of it, so the script can say it exactly although pixels are rounded.
    """
    own = {"data_x": svg.scale_of(x), "data_y": svg.scale_of(y) if y else None, "data_grid": grid}
    box = f"{svg.px(frame.left)},{svg.px(frame.top)},{svg.px(frame.width)},{svg.px(frame.height)}"
    return svg.tag("g", axes + svg.tag("g", marks, class_="marks"), class_="panel", data_box=box, **own)


def legend(keys: Sequence[Key], *, title: str = "", top: float = theme.EDGE_PX) -> tuple[str, float]:
    """The entries in as many lines as they need, and the y below them."""
    parts, x, y = [], float(theme.EDGE_PX), top + 12
    if title:
        parts.append(svg.text(title, x, y))
        x += svg.text_px(title) + 10
    for key in keys:
        words = svg.shortened(key.words, theme.WIDTH_PX - 2 * theme.EDGE_PX - KEY_PX)
        wide = KEY_PX + svg.text_px(words) + 12
        if x > theme.EDGE_PX and x + wide - 12 > theme.WIDTH_PX - theme.EDGE_PX:
            x, y = float(theme.EDGE_PX), y + theme.LINE_PX
        if key.shape:
            at = f"translate({svg.px(x + 8)},{svg.px(y - 4.5)})"
            parts.append(svg.tag("path", d=key.shape, transform=at, fill=key.ink, fill_opacity=key.opacity))
        else:
            line: svg.Attributes = {"stroke": key.ink, "stroke_width": 2, "stroke_dasharray": key.dash}
            parts.append(svg.tag("line", x1=x, x2=x + 17, y1=y - 4.5, y2=y - 4.5, **line))
        parts.append(svg.text(words, x + KEY_PX, y, ink=theme.INK))
        x += wide
    return ("".join(parts), y + 8) if parts else ("", top)


def dot(x: float, y: float, words: str, *, ink: str, shape: str = SHAPES[0], opacity: float | None = None) -> str:
    """One mark that says `words` to a reader who points at it."""
    at = f"translate({svg.px(x)},{svg.px(y)})"
    return svg.tag("path", class_="mark", d=shape, transform=at, fill=ink, fill_opacity=opacity, data_v=words)


def _folded(label: str, room: float) -> list[str]:
    """One line where it fits, else two that break between words."""
    if svg.text_px(label) <= room or " " not in label:
        return [svg.shortened(label, room)]
    words = label.split()
    breaks = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return [svg.shortened(line, room) for line in min(breaks, key=lambda two: max(map(svg.text_px, two)))]


def _crowded(places: Sequence[float], labels: Sequence[str]) -> bool:
    edges = []
    for x, words in zip(places, labels, strict=True):
        half = svg.text_px(words) / 2
        at = min(max(x, theme.EDGE_PX + half), theme.WIDTH_PX - theme.EDGE_PX - half)  # as it will be written
        edges.append((at - half, at + half))
    return any(after[0] - before[1] < TICK_GAP_PX for before, after in itertools.pairwise(edges))
