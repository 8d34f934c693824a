"""What an analysis hands over: a number with everything a reader needs to trust it, a sentence, a caution.

In: values. Out: `Fact`, `SwarmSummary`, `Sentence`, `QualityNote`.
Never: a value without its unit; 0 for what was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fact:
    """value None: not measured. n: rows behind it. low..high: 95 % interval where the value is an estimate."""

    name: str
    label: str
    value: float | int | None
    unit: str
    n: int
    query: str
    column: str  # the column of the query's result, or how the value comes from its columns
    provenance: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SwarmSummary:
    """Everything one swarm's rows say about it on their own."""

    swarm_id: str
    first_ms: int | None
    last_ms: int | None
    facts: tuple[Fact, ...]
    not_measured: tuple[str, ...]
    configuration: tuple[tuple[str, str], ...] = field(default_factory=tuple)

    def fact(self, name: str) -> Fact | None:
        """The fact of this name; None where the swarm does not have it."""
        return next((fact for fact in self.facts if fact.name == name), None)

    def setting(self, key: str) -> str:
        """A value of the configuration; `not set` where no run declared it."""
        return dict(self.configuration).get(key, "not set")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A plain sentence and the finding or fact it was made from."""

    text: str
    about: str  # metric or fact name
    tone: str  # better | worse | neutral | unknown
    anchor: str = ""  # where the HTML shows what it was made from
    query: str = ""  # the query whose rows it rests on
    n: int | None = None  # units of analysis or rows behind it; None: it counts other sentences


@dataclass(frozen=True, slots=True)
class QualityNote:
    """Something a reader must know about the data; `query` is where it comes from."""

    text: str
    level: str  # ok | note | warning
    query: str


def finding_anchor(pair: int, metric: str) -> str:
    """The id, within the HTML, of the finding about `metric` of the `pair`-th compared pair (from 0)."""
    return f"c{pair}-{metric}"
