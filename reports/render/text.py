"""The report as plain text for a terminal, a mail or a log: 80 columns, no colour, no control character from data.

In: a Report. Out: text. Never: a line wider than WIDTH, unless a table's row has a single word that is.
"""

from __future__ import annotations

import textwrap
from typing import Final

from reports.render.document import Section, head_line, sections
from reports.render.tables import Table
from reports.render.view import Report

WIDTH: Final = 80  # of a terminal that nobody has enlarged
GAP: Final = 2
LINES_MAX: Final = 3  # a row folded to more reads worse than one value a line


def render_text(report: Report) -> str:
    """The report as text; charts are told in words."""
    title = clean(report.title)
    lines = [title, "=" * min(len(title), WIDTH), "", *_wrapped(head_line(report))]
    if report.config.description:
        lines += ["", *_wrapped(clean(report.config.description))]
    for section in sections(report):
        lines += ["", "", section.title, "-" * len(section.title), *_section(section)]
    lines += ["", f"Report {report.report_id}", "The queries behind the numbers are in the HTML, Markdown and JSON."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def clean(text: str) -> str:
    """One line, in which control characters are shown and not obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def _section(section: Section) -> list[str]:
    lines = [line for sentence in section.sentences for line in _wrapped(f"- {clean(sentence)}", indent=2)]
    for chart in section.charts:
        lines += ["", *_wrapped(f"{chart.title}: {clean(chart.description)}.", indent=2)]
    for table in section.tables:
        lines += ["", *([table.title] if table.title != section.title else []), *_table(table)]
        if table.note:
            lines += ["", *_wrapped(table.note)]
    return lines


def _table(table: Table) -> list[str]:
    """Columns where they fit, long cells folded; else each row as a block of `head: value` lines."""
    heads = [clean(column.label) for column in table.columns]
    rows = [[clean(cell) for cell in row] for row in table.rows]
    widths = _widths([list(column) for column in zip(heads, *rows, strict=True)])
    if not widths:
        return _blocks(heads, rows)
    aligned = [str.rjust if column.numeric else str.ljust for column in table.columns]

    def lines(cells: list[str]) -> list[str]:
        folded = [textwrap.wrap(c, w, break_on_hyphens=False) or [""] for c, w in zip(cells, widths, strict=True)]
        height = max(map(len, folded))
        filled = [column + [""] * (height - len(column)) for column in folded]
        return [
            (" " * GAP).join(align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True))
            for row in zip(*filled, strict=True)
        ]

    rule = (" " * GAP).join("-" * width for width in widths)
    return [*lines(heads), rule, *(line for row in rows for line in lines(row))]


def _widths(columns: list[list[str]]) -> list[int]:
    """Widths that fit the line, the longest cut to one length; empty where words would break or rows grow too high."""
    natural = [max(map(len, column)) for column in columns]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    space = WIDTH - GAP * (len(columns) - 1)
    for longest in range(max(natural), 0, -1):
        cut = [min(width, max(longest, word)) for width, word in zip(natural, words, strict=True)]
        if sum(cut) <= space:
            folded = (textwrap.wrap(c, w) for column, w in zip(columns, cut, strict=True) for c in column)
            return cut if max(map(len, folded)) <= LINES_MAX else []
    return []


def _blocks(heads: list[str], rows: list[list[str]]) -> list[str]:
    label = max(map(len, heads[1:]), default=0)
    lines: list[str] = []
    for row in rows:
        lines += ["", *_wrapped(f"{heads[0]}: {row[0]}")] if lines else _wrapped(f"{heads[0]}: {row[0]}")
        for head, cell in zip(heads[1:], row[1:], strict=True):
            first = f"  {head:<{label}}  "
            lines += textwrap.wrap(
                cell or "–", WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
            )
    return lines


def _wrapped(text: str, *, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
