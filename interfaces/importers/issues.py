"""What an import could not use: every damaged line or row, counted, the first ones named with file and line.

In: reports from the parsers. Out: exact counts by reason, and a bounded list of places. Never: raises, logs, prints.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

ISSUES_NAMED_MAX = 1_000  # places kept by name; a file of a billion bad rows must not fill the memory


@dataclass(frozen=True, slots=True)
class Issue:
    """One place in one file that could not be used as it stands."""

    path: str
    line: int  # 1-based; 0: the whole file
    reason: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class Issues:
    """All issues of one import. `counts` is exact; `named` holds the first ISSUES_NAMED_MAX."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[Issue] = field(default_factory=list)

    def add(self, path: str, line: int, reason: str, *, kind: str) -> None:
        """`kind` is one of a few stable words that issues are counted by; `reason` says what stood there."""
        self.counts[kind] += 1
        if len(self.named) < ISSUES_NAMED_MAX:
            self.named.append(Issue(path, line, reason))

    @property
    def total(self) -> int:
        """How many things could not be used."""
        return self.counts.total()
