"""How every chart looks: one palette that colour-blind readers can tell apart, one set of neutral inks.

In: nothing. Out: colours, sizes. Never: a colour that carries meaning alone; shape, dash or text says the same.

The inks are the light theme's. A page in dark mode replaces exactly these colours by its own (report.css, `DARK`).
"""

from __future__ import annotations

from typing import Final

PAGE: Final = "#ffffff"
INK: Final = "#1f2328"  # text
INK_SOFT: Final = "#59636e"  # axis labels, captions
LINE: Final = "#d1d9e0"  # grid
RULE: Final = "#818b98"  # reference line

# Okabe and Ito's palette in an order that keeps neighbours apart; yellow is left out, it vanishes on white.
PALETTE: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
BETTER: Final = PALETTE[0]
WORSE: Final = PALETTE[1]
NEUTRAL: Final = RULE
ALERT: Final = PALETTE[1]
HEAT: Final = PALETTE[0]  # one hue; how much of it covers the ground says how much there is
HEAT_FAINTEST: Final = 0.1  # opacity of the lowest value: still seen beside a cell without a value
DASHES: Final = ("", "6 3", "2 2", "8 3 2 3", "4 2", "1 3")

DARK: Final = {
    PAGE: "#0d1117",
    INK: "#e6edf3",
    INK_SOFT: "#9da7b3",
    LINE: "#30363d",
    RULE: "#8b949e",
    "#0072b2": "#4aa8e0",
    "#d55e00": "#f0883e",
    "#009e73": "#3fb98f",
    "#cc79a7": "#e0a0c4",
    "#56b4e9": "#8fcdf0",
    "#e69f00": "#f0b73e",
}

# Pictures carry this font themselves where they become PNG or PDF; pages put their own on top.
FONT: Final = "Liberation Sans, Arial, sans-serif"
FONT_PX: Final = 13
FONT_SLACK: Final = 1.12  # DejaVu Sans, what a page shows where it has no font of its own, is wider than ours
LINE_PX: Final = 18  # from one line of text to the next
WIDTH_PX: Final = 460  # a phone shows it at three quarters of its size, so that its words stay readable there
GROWTH_MAX: Final = 1.35  # on a wide page
EDGE_PX: Final = 6  # left free at every side


def ink(number: int) -> str:
    """The colour of the n-th line; a seventh looks like the first, its dashes do not."""
    return PALETTE[number % len(PALETTE)]


def dash(number: int) -> str | None:
    """The dashes of the n-th line, None for a solid one."""
    return DASHES[(number + number // len(PALETTE)) % len(DASHES)] or None
