"""The jinja2 environment every text format is rendered with.

In: nothing. Out: an Environment with our filters. Never: unescaped data in HTML; an undefined name passing silently.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports import numbers
from reports.analysis.facts import Fact
from reports.render import times


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
        initial=_initial,
        fact_text=fact_text,
        score=numbers.score,
        difference_text=lambda f: numbers.difference(f.difference, f.unit),
        difference_interval=lambda f: (
            f"[{numbers.difference(f.difference_low, f.unit)}, {numbers.difference(f.difference_high, f.unit)}]"
        ),
    )
    return env


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


def _initial(text: str) -> str:
    return text[:1].upper() + text[1:]
