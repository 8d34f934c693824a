"""The jinja2 environment every text format is rendered with.

In: nothing. Out: an Environment with our filters. Never: unescaped data in HTML; an undefined name passing silently.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports import numbers
from reports.analysis.facts import Fact
from reports.render import times

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|B|KiB|MiB|GiB|TiB)(?!\w))")
_INTERVAL: Final = re.compile(r"\[[^\[\]]{1,20}\]|\(n = [\d,]+\)")


@cache
def environment() -> Environment:
    """The jinja2 environment of every template, made once."""
    env = Environment(
        loader=PackageLoader("reports.render"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters.update(
        number=numbers.number,
        count=numbers.count,
        percent=numbers.percent,
        quantity=numbers.quantity,
        when=times.short,
        iso=times.iso,
        cell=_markdown_cell,
        kept=kept,
        rows=rows_text,
        initial=_initial,
        fact_text=fact_text,
        score=numbers.score,
        difference_text=lambda f: numbers.difference(f.difference, f.unit),
        difference_interval=lambda f: (
            f"[{numbers.difference(f.difference_low, f.unit)}, {numbers.difference(f.difference_high, f.unit)}]"
        ),
    )
    return env


def kept(text: str) -> str:
    """The text with spaces that do not break inside `1.43 s`, `[83.5 %, 98.6 %]` and `(n = 40)`."""
    text = _UNIT.sub(NO_BREAK, text)
    return _INTERVAL.sub(lambda found: found.group().replace(" ", NO_BREAK), text)


def fact_text(fact: Fact) -> str:
    """A fact's value as people read it, with its interval where it is an estimate."""
    if fact.value is None:
        return numbers.quantity(None, fact.unit)
    if isinstance(fact.value, int) and fact.unit not in {"ms", "bytes"}:
        text = numbers.count(fact.value)
    else:
        text = numbers.quantity(float(fact.value), fact.unit)
    if fact.low is not None and fact.high is not None:
        low, high = (numbers.quantity(x, fact.unit) for x in (fact.low, fact.high))
        text += f" [{low}, {high}]"
    return text


def _markdown_cell(text: object) -> str:
    """Text from outside inside a Markdown table: no markup, no line break, no new column."""
    cleaned = " ".join(str(text).split())
    for char in "\\`*_[]<>|#":
        cleaned = cleaned.replace(char, "\\" + char)
    return cleaned


def rows_text(number: int) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{numbers.count(number)} {'row' if number == 1 else 'rows'}"


def _initial(text: str) -> str:
    return text[:1].upper() + text[1:]
