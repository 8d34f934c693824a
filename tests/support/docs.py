"""The parts of the documentation that are made from the code.

In: the settings model, the topics, the detectors, the decision records, the saved figures. Out: tables in docs/*.md.
Never: writes anything but the part between its marks.

    python -m tests.support.docs      rewrites them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from benchmarks.results import page_part
from models.detect.catalogue import SPECS
from models.settings import ENV_PREFIX, Settings
from streams.topics import TOPICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFRESH = ".venv/bin/python -m tests.support.docs"
DAY_MS = 86_400_000


def settings_table() -> str:
    """Every setting: name, variable, default, what may be given, meaning."""
    rows = [
        (
            f"`{name}`",
            f"`{ENV_PREFIX}{name.upper()}`",
            _default(field),
            _allowed(field),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    return _table(("setting", "environment", "default", "allowed", "meaning"), rows)


def topics_table() -> str:
    """Every topic of streams.topics."""
    rows = [
        (
            f"`{topic.name}`",
            "agents, importers" if topic.source else topic.written_by,
            topic.key,
            topic.value,
            "compact" if topic.state else f"{topic.config()['cleanup.policy']}, {topic.retention_ms // DAY_MS} days",
        )
        for topic in TOPICS
    ]
    return _table(("topic", "written by", "key", "value", "kept"), rows)


def decisions_list() -> str:
    """Every decision record with its title."""
    titles = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in sorted(DOCS.glob("adr/*.md"))}
    return "".join(f"- [{title.lstrip('# ')}](adr/{name})\n" for name, title in titles.items())


def detectors_table() -> str:
    """Every named detector of the catalogue."""
    rows = [(f"`{s.name}`", s.finds, s.reads, s.delay, s.blind, s.action or "nothing") for s in SPECS]
    return _table(("detector", "finds", "reads", "delay", "cannot see", "proposes"), rows)


# (page, name of the part) -> what makes it. The part stands between `<!-- name: ... -->` and `<!-- /name -->`.
PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("configuration.md", "settings"): settings_table,
    ("architecture.md", "topics"): topics_table,
    ("index.md", "decisions"): decisions_list,
    ("detectors.md", "detectors"): detectors_table,
    ("benchmarks.md", "figures"): page_part,
}


def refreshed(page: str, name: str) -> str:
    """The text of docs/`page` with the part `name` made anew. Raises ValueError when its marks are gone."""
    text = (DOCS / page).read_text(encoding="utf-8")
    made = PARTS[page, name]()
    text, found = re.subn(
        rf"(<!-- {name}: [^\n]*-->\n).*(<!-- /{name} -->)",
        lambda m: m[1] + made + m[2],
        text,
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError(f"docs/{page}: the marks <!-- {name}: ... --> and <!-- /{name} --> must stand there once")
    return text


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines: list[tuple[str, ...]] = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "none" if value is None else "empty"
    return f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    low = high = ""
    for rule in field.metadata:
        match rule:
            case Ge(ge=bound):
                low = f">= {_number(bound)}"
            case Gt(gt=bound):
                low = f"> {_number(bound)}"
            case Le(le=bound):
                high = f"<= {_number(bound)}"
            case Lt(lt=bound):
                high = f"< {_number(bound)}"
    if low or high:
        return ", ".join(filter(None, (_kind(kind), low, high)))
    pattern = next((found for rule in field.metadata if (found := getattr(rule, "pattern", None))), None)
    return f"`{pattern}`" if pattern else _kind(kind)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    return {"int": "whole number", "float": "number", "str": "text", "SecretStr": "text", "Path": "path"}[
        annotation.__name__
    ]


def _number(bound: Any) -> str:
    return f"{bound:,}"


if __name__ == "__main__":
    for a_page, a_part in PARTS:
        (DOCS / a_page).write_text(refreshed(a_page, a_part), encoding="utf-8")
