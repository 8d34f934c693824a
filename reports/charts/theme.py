"""How every chart looks: one palette that colour-blind readers can tell apart, one set of neutral inks.

In: nothing. Out: colours and the Vega-Lite configuration.
Never: a colour that carries meaning alone; shape, dash or text says the same.

The neutral inks are the light theme's. A page in dark mode replaces exactly these colours by its own (report.css).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

INK: Final = "#1f2328"  # text
INK_SOFT: Final = "#59636e"  # axis labels, captions
LINE: Final = "#d1d9e0"  # grid
RULE: Final = "#818b98"  # reference line

# Okabe and Ito's palette in an order that keeps neighbours apart; yellow is left out, it vanishes on white.
PALETTE: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
BETTER: Final = "#0072b2"
WORSE: Final = "#d55e00"
NEUTRAL: Final = "#818b98"
ALERT: Final = "#d55e00"
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3])

# vl-convert carries this font itself, so text is measured alike on every machine; pages put their own font on top.
FONT: Final = "Liberation Sans, Arial, sans-serif"
WIDTH_PX: Final = 640
FONT_PX: Final = 13
PADDING_PX: Final[dict[str, float]] = {"left": 12, "right": 16, "top": 5, "bottom": 5}
# DejaVu Sans, what a page shows where it has no font of its own, is up to a fifth wider than the measured one; a
# character is half as wide as high.
FONT_SLACK_PX: Final = 0.2 * 0.5 * FONT_PX
TITLE_PADDING_PX: Final = 4 + round(8 * FONT_SLACK_PX)  # the same room beside an axis' labels of eight characters


def padding(labels: Iterable[str]) -> dict[str, float]:
    """The padding of a chart with these words at its left: room for a font a little wider than ours."""
    longest = max(map(len, labels), default=0)
    return PADDING_PX | {"left": PADDING_PX["left"] + round(longest * FONT_SLACK_PX)}


def configuration() -> dict[str, Any]:
    """The `config` of a Vega-Lite specification."""
    axis = {
        "labelColor": INK_SOFT,
        "titleColor": INK_SOFT,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFontSize": FONT_PX,
        "titleFontSize": FONT_PX,
        "titleFontWeight": "normal",
        "labelLimit": 260,
        "titlePadding": TITLE_PADDING_PX,
    }
    return {
        "background": "transparent",
        "padding": PADDING_PX,
        "font": FONT,
        "view": {"stroke": None},
        "axis": axis,
        "legend": {
            "labelColor": INK,
            "titleColor": INK_SOFT,
            "labelFontSize": FONT_PX,
            "titleFontSize": FONT_PX,
            "titleFontWeight": "normal",
            "orient": "top",
            "labelLimit": 280,
            "symbolStrokeWidth": 2,
        },
        "range": {"category": list(PALETTE)},
    }
