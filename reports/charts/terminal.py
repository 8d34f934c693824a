"""Charts of characters for a terminal: grids of points, bars, boxes, shades. No colour carries anything, none is used.

In: the data of a chart, a width in columns. Out: lines of text. Never: a line wider than asked for; a control character
from data.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from reports.charts.scales import Scale

WIDTH_MIN: Final = 40  # below it no axis has room
WIDTH_MAX: Final = 160  # beyond it lines become hard to follow
HEIGHT: Final = 16  # rows of a grid: half of a small terminal
NAME_MAX: Final = 20  # columns of a row's name
GLYPHS: Final = "●○▲△■□"  # one a series; they differ in shape, so a printer may be black
SHADES: Final = "·░▒▓█"
FULL: Final = "█"
Series = Mapping[str, Sequence[tuple[float, float]]]


def grid(series: Series, x: Scale, y: Scale, *, width: int, titles: tuple[str, str], height: int = HEIGHT) -> list[str]:
    """Points in a frame with axes; `titles` are those of x and y. Where two series meet, the later one shows."""
    labels = {row: y.label(tick) for tick in y.ticks(4) for row in [_cell(y, tick, height, turned=True)]}
    gutter = max(map(len, labels.values()), default=1) + 1
    across = width - gutter - 1
    field = [[" "] * across for _ in range(height)]
    for glyph, points in zip(_glyphs(series), series.values(), strict=True):
        for at, value in points:
            field[_cell(y, value, height, turned=True)][_cell(x, at, across)] = glyph
    legend = "   ".join(f"{glyph} {clean(name)}" for glyph, name in zip(_glyphs(series), series, strict=True))
    lines = [*([cut(legend, width)] if len(series) > 1 else []), cut(titles[1], width)]
    lines += [f"{labels.get(row, ''):>{gutter}}│{''.join(cells)}" for row, cells in enumerate(field)]
    return [*lines, f"{'':>{gutter}}└{'─' * across}", *_below(x, gutter + 1, across, titles[0])]


def bars(rows: Iterable[tuple[str, float, str]], *, width: int) -> list[str]:
    """One bar a row: its name, its length, the words at its end."""
    known = list(rows)
    name = min(max((len(clean(n)) for n, _, _ in known), default=0), NAME_MAX * 2)
    said = max((len(words) for _, _, words in known), default=0)
    room = max(width - name - said - 3, 4)
    most = max((value for _, value, _ in known), default=0.0) or 1.0
    return [f"{cut(n, name):>{name}} {_bar(value / most * room)} {words}" for n, value, words in known]


def boxes(
    rows: Sequence[tuple[str, tuple[float, float, float, float, float]]], x: Scale, title: str, *, width: int
) -> list[str]:
    """Lowest, quartiles, highest of each row on one axis: `├──[███┃████]──┤`."""
    name = min(max(len(clean(n)) for n, _ in rows), NAME_MAX)
    across = width - name - 2
    lines = []
    for label, five in rows:
        low, q1, middle, q3, high = (_cell(x, value, across) for value in five)
        cells = [" "] * across
        cells[low : high + 1] = "─" * (high + 1 - low)
        cells[q1 : q3 + 1] = "█" * (q3 + 1 - q1)
        cells[low], cells[high] = "├", "┤"
        cells[middle] = "┃"
        lines += [f"{cut(label, name):>{name}} │{''.join(cells)}", f"{'':>{name}} │"]
    return [*lines[:-1], f"{'':>{name}} └{'─' * across}", *_below(x, name + 2, across, title)]


def shades(rows: Mapping[str, Sequence[tuple[float, float, float]]], x: Scale, title: str, *, width: int) -> list[str]:
    """One row a name; each (from, to, share 0..1) darkens its columns. Of several in one column the highest shows."""
    name = min(max(map(len, map(clean, rows))), NAME_MAX)
    across = width - name - 2
    lines = []
    for label, cells in rows.items():
        columns: list[float | None] = [None] * across
        for start, end, share in cells:
            first = int((x.px(start) - x.from_px) / (x.to_px - x.from_px) * across)
            last = math.ceil((x.px(end) - x.from_px) / (x.to_px - x.from_px) * across)
            for i in range(min(first, across - 1), max(last, first + 1)):
                if i < across:
                    columns[i] = max(share, columns[i] or 0.0)
        lines.append(f"{cut(label, name):>{name}} │{''.join(map(_shade, columns))}")
    return [*lines, f"{'':>{name}} └{'─' * across}", *_below(x, name + 2, across, title)]


def spans(rows: Mapping[str, Sequence[tuple[float, float, str]]], x: Scale, title: str, *, width: int) -> list[str]:
    """One row a name; each span (from, to, glyph) fills its columns, one at least; later ones show."""
    name = min(max(map(len, map(clean, rows))), NAME_MAX)
    across = width - name - 2
    lines = []
    for label, own in rows.items():
        cells = [" "] * across
        for start, end, glyph in own:
            first, last = _cell(x, start, across), _cell(x, end, across)
            cells[first : last + 1] = glyph * (last + 1 - first)
        lines.append(f"{cut(label, name):>{name}} │{''.join(cells)}")
    return [*lines, f"{'':>{name}} └{'─' * across}", *_below(x, name + 2, across, title)]


def clean(text: str) -> str:
    """One line in which control characters are shown and not obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def cut(text: str, width: int) -> str:
    """At most `width` columns; what is cut is seen to be cut."""
    whole = clean(text)
    return whole if len(whole) <= width else whole[: max(width - 1, 0)] + "…"


def _glyphs(series: Series) -> list[str]:
    return [GLYPHS[i % len(GLYPHS)] for i in range(len(series))]


def _cell(scale: Scale, value: float, cells: int, *, turned: bool = False) -> int:
    """The cell 0..cells-1 of a value; `turned`: the highest value comes first."""
    share = (scale.px(value) - scale.from_px) / (scale.to_px - scale.from_px)
    return round((1 - share if turned else share) * (cells - 1))


def _below(x: Scale, left: int, across: int, title: str) -> list[str]:
    """Labels under their ticks, as many ticks as leave them apart, and the title."""
    marks = [" "] * (left + across)
    for count in range(max(2, across // 14), 0, -1):
        ticks = x.ticks(count)
        placed = [
            (min(max(left + _cell(x, tick, across) - len(words) // 2, 0), len(marks) - len(words)), words)
            for tick, words in zip(ticks, x.labels(ticks), strict=True)
        ]
        if all(begin + len(words) + 2 <= after for (begin, words), (after, _) in itertools.pairwise(placed)):
            break
    free = 0
    for begin, words in placed:
        if begin >= free:  # even the fewest ticks may be too close for a narrow terminal
            marks[begin : begin + len(words)] = words
            free = begin + len(words) + 2
    return ["".join(marks).rstrip(), cut(title, left + across).rjust(left + across).rstrip()]


def _bar(length: float) -> str:
    eighths = round(length * 8)
    return FULL * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8].strip())


def _shade(share: float | None) -> str:
    return " " if share is None else SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]
