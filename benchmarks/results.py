"""Figures as tables: printed, saved as JSON, shown on docs/benchmarks.md; spread and paired ratios.

In: runs of a benchmark. Out: text, `benchmarks/results/NAME.json`. Never: a figure without its machine, load, seed and
command; standard library only, because the documentation is made from here as well.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
MIB = 2**20


@dataclass(frozen=True)
class Table:
    """One table; cells are text."""

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""

    def text(self) -> str:
        """For the terminal."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        body = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        return "\n".join([f"\n{self.title}", *body, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """For the page."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"**{self.title}**\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")


def spread(values: Iterable[float], form: str = ",.0f") -> str:
    """Median, and lowest to highest when there is more than one."""
    found = sorted(values)
    middle = format(statistics.median(found), form)
    return middle if len(found) == 1 else f"{middle} ({found[0]:{form}} to {found[-1]:{form}})"


def verdict(value: float, budget: float, *, at_least: bool) -> str:
    """What the budget says about a median."""
    met = value >= budget if at_least else value <= budget
    return f"{'>=' if at_least else '<='} {budget:,g}: {'met' if met else 'missed'}"


def publish(
    name: str, *, machine: dict[str, Any], stated: dict[str, Any], runs: Sequence[Any], tables: list[Table], write: bool
) -> None:
    """Prints the tables; with `write`, saves everything and refreshes the page."""
    for table in tables:
        print(table.text(), flush=True)
    if not write:
        return
    document = {
        "benchmark": name,
        "command": command(),
        "machine": machine,
        "stated": stated,
        "tables": [asdict(t) for t in tables],
        "runs": _named(runs),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    from tests.support.docs import DOCS, refreshed  # here: the documentation asks this module for its tables

    (DOCS / "benchmarks.md").write_text(refreshed("benchmarks.md", "figures"), encoding="utf-8")
    print(f"\nsaved {path.relative_to(FOLDER.parents[1])}, refreshed docs/benchmarks.md")


def command() -> str:
    """The line that prints these figures again; a folder of this machine (`--data`) is none of its conditions."""
    module = Path(sys.argv[0]).stem
    words = [word for word in sys.argv[1:] if word != "--write"]
    flags = " ".join(word for last, word in zip(["", *words], words, strict=False) if "--data" not in (last, word))
    return f"make bench BENCH={module}" + (f' BENCH_FLAGS="{flags}"' if flags else "")


def headline(machine: dict[str, Any], stated: dict[str, Any]) -> str:
    """What the figures were measured on, in one paragraph."""
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in stated.items())
    speed = f"a pass of a Python loop took {machine['loop_ns']} ns; " if "loop_ns" in machine else ""
    return (
        f"{machine['date']}, commit {machine['commit']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; {machine['versions']}; "
        f"{speed}load when it began {machine['load_at_start']}; {said}."
    )


def page_part() -> str:
    """The generated part of docs/benchmarks.md: every saved benchmark."""
    parts = []
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        tables = "\n".join(Table(**table).markdown() for table in document["tables"])
        said = headline(document["machine"], document["stated"])
        parts.append(f"### {document['benchmark']}\n\n`{document['command']}`\n\n{said}\n\n{tables}")
    return "\n".join(parts) or "No figures were saved yet.\n"


def _named(value: Any) -> Any:
    """Named tuples as objects, so that a saved run says what its numbers are."""
    if hasattr(value, "_asdict"):
        return {name: _named(part) for name, part in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_named(part) for part in value]
    if isinstance(value, dict):
        return {name: _named(part) for name, part in value.items()}
    return value
