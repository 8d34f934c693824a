"""How large the differences of a comparison are: ratios with their intervals, one row a measure.

In: concluded findings. Out: `Chart`, or None when there is nothing to draw. Never: a claim of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from reports.charts import plot, svg, theme
from reports.charts.scales import Scale, plain
from reports.compare.finding import Finding
from reports.numbers import number
from reports.render.view import Chart, table_of

ROWS_MAX: Final = 40  # more do not fit a page; the tables have all
ROW_PX: Final = 32
LABELS_SHARE: Final = 0.36  # of the width; longer names are folded
TICKS_MAX: Final = 6  # labels that fit the width of the plot
_SHOWN: Final = {"better": "better", "worse": "worse", "higher": "differs", "lower": "differs"}
_FLAT: Final = "no difference shown"
_LOOK: Final = {
    "better": (theme.BETTER, plot.SHAPES[0]),
    "worse": (theme.WORSE, plot.SHAPES[1]),
    "differs": (theme.PALETTE[2], plot.SHAPES[2]),
    _FLAT: (theme.NEUTRAL, plot.DIAMOND),
}


def forest(findings: Sequence[Finding]) -> Chart | None:
    """Ratios A / B with their 95 % intervals; an interval that crosses 1 shows no difference."""
    known = [f for f in findings if f.ratio is not None and 0 < (f.ratio_low or 0) < (f.ratio_high or 0)]
    drawn = known[:ROWS_MAX]
    if not drawn:
        return None
    pairs = {(f.a, f.b) for f in drawn}
    labels = [f.label if len(pairs) == 1 else f"{f.label}, {f.a} / {f.b}" for f in drawn]
    words = [_SHOWN.get(f.verdict, _FLAT) for f in drawn]
    keys = [plot.Key(word, ink, shape=shape) for word, (ink, shape) in _LOOK.items() if word in words]
    legend, top = plot.legend(keys, title="A is")
    left = min(plot.room_for(labels), theme.WIDTH_PX * LABELS_SHARE)
    frame = plot.Frame(left, top + 4, theme.WIDTH_PX - left - theme.EDGE_PX - 10, ROW_PX * len(drawn))
    low, high = min(f.ratio_low or 1 for f in drawn), max(f.ratio_high or 1 for f in drawn)
    x = Scale("log", min(low, 0.8) * 0.95, max(high, 1.25) * 1.05, frame.left, frame.right, "A / B")
    centres = [frame.top + ROW_PX * (i + 0.5) for i in range(len(drawn))]
    axes = plot.row_labels(labels, frame, centres, fold=True) + _axis(x, frame)
    marks = [_row(f, word, x, y) for f, word, y in zip(drawn, words, centres, strict=True)]
    one: svg.Attributes = {"stroke": theme.RULE, "stroke_width": 1.5, "stroke_dasharray": "4 3"}
    rule = svg.tag("line", x1=x.px(1), x2=x.px(1), y1=frame.top, y2=frame.bottom, **one)
    texts = [f"{number(f.ratio)} [{number(f.ratio_low)}, {number(f.ratio_high)}]" for f in drawn]
    description = "; ".join(f"{n}: {t}, {w}" for n, t, w in zip(labels, texts, words, strict=True))
    if len(known) > len(drawn):
        description += f"; the first {len(drawn)} of {len(known)} are drawn"
    title = "How large the differences are"
    rows = [(n, t, f.verdict) for n, t, f in zip(labels, texts, drawn, strict=True)]
    table = table_of(("measure", "A / B [95 % interval]", "A is"), rows)
    drawing = [legend, plot.panel(x, None, frame, axes, rule + "".join(marks))]
    picture = svg.picture("ratios", title, description, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart("ratios", title, description, picture, table)


def _row(f: Finding, word: str, x: Scale, y: float) -> str:
    ink, shape = _LOOK[word]
    low, high = x.px(f.ratio_low or 1), x.px(f.ratio_high or 1)
    line = svg.tag("line", x1=low, x2=high, y1=y, y2=y, stroke=ink, stroke_width=2)
    ratio = f"{number(f.ratio)} [{number(f.ratio_low)}, {number(f.ratio_high)}]"
    return line + plot.dot(x.px(f.ratio or 1), y, f"{f.label}: {ratio}, {f.verdict}", ink=ink, shape=shape)


def _axis(x: Scale, frame: plot.Frame) -> str:
    """Round ratios, 1 always."""
    fine = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 10, 20, 50, 100)
    round_ = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)
    middle = (0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100)
    coarse = (0.01, 0.1, 1, 10, 100)
    inside = [[tick for tick in ticks if x.low <= tick <= x.high] for ticks in (fine, round_, middle, coarse)]
    ticks = next((found for found in inside if len(found) <= TICKS_MAX and _apart(found, x)), inside[-1])
    parts = []
    for tick in ticks:
        at = x.px(tick)
        parts.append(svg.tag("line", x1=at, x2=at, y1=frame.top, y2=frame.bottom, stroke=theme.LINE))
        parts.append(svg.text(plain(tick), at, frame.bottom + 16, anchor="middle"))
    title = "A / B of the means, 95 % interval (log scale)"
    parts.append(svg.text(title, theme.WIDTH_PX - theme.EDGE_PX, frame.bottom + 35, anchor="end"))
    return "".join(parts)


def _apart(ticks: Sequence[float], x: Scale) -> bool:
    places = [x.px(tick) for tick in ticks]
    return all(b - a > svg.text_px("0.00") + 6 for a, b in itertools.pairwise(places))
