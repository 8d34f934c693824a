"""A side of a comparison as a person names it: a swarm, or the activities that a filter picks.

In: `swarm-a`, `model=x,topology=star`, `run=r1,period=last-7-days`. Out: `Side`, and its condition in SQL.
Never: a person's text in the SQL: columns come from a closed list, keys and values are bound parameters.

Each activity is judged by itself. A key that is no column is a tag of the activity, or was declared by its run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reports.queries.port import TimeRange
from reports.timerange import parse_time_range

SIDE_LENGTH_MAX: Final = 500  # characters of a name: it stands in every table and file
_ALIASES: Final = {"swarm": "swarm_id", "run": "run_id", "agent": "agent_id", "task": "task_id"}
METRIC_COLUMNS: Final = ("swarm_id", "run_id", "agent_id")  # those that plain metric events have as well
COLUMNS: Final = (
    *METRIC_COLUMNS,
    *("parent_agent_id", "role", "model", "provider", "phase", "pattern", "workflow", "task_id", "task_hash"),
    *("kind", "status", "tool", "error_type", "provenance", "cost_provenance"),
)
EVERYTHING: Final = "*"  # as a key to group by: all rows are one group
TASK_CLASS: Final = "task_class"  # the tag, else the benchmark, else the workflow: as in tasks.sql
_TASK_CLASS_SQL: Final = (
    "multiIf(v.tags['task_class'] != '', v.tags['task_class'], "
    "v.tags['benchmark'] != '', v.tags['benchmark'], toString(v.workflow))"
)
_TIME_KEYS: Final = ("period", "from", "to")
_KEY: Final = re.compile(r"[A-Za-z_][\w.\-]{0,127}\Z")


EVER: Final = TimeRange()


@dataclass(frozen=True, slots=True)
class Condition:
    """`key` is a column, `tag.KEY`, `config.KEY` or a key that may be either; any of `values` fulfils it."""

    key: str
    values: tuple[str, ...]

    @property
    def of_metrics(self) -> bool:
        """Whether plain metric events can be asked the same."""
        return self.key in METRIC_COLUMNS or (self.key not in COLUMNS and self.key != TASK_CLASS)


@dataclass(frozen=True, slots=True)
class Side:
    """Activities of any of some swarms, runs, models ... within a time range, under one name."""

    name: str
    conditions: tuple[Condition, ...]
    time: TimeRange = EVER

    @property
    def swarm_id(self) -> str | None:
        """The one swarm that the side is, as a whole and for all time; None when it is anything else."""
        if len(self.conditions) != 1 or self.time != EVER:
            return None
        (only,) = self.conditions
        return only.values[0] if only.key == "swarm_id" and len(only.values) == 1 else None

    def narrowed(self, conditions: Sequence[Condition], *, name: str | None = None) -> Side:
        """The part of the side that also fulfils `conditions`."""
        return Side(name or self.name, (*self.conditions, *conditions), self.time)


def parse_side(text: str, *, now_ms: int, name: str = "") -> Side:
    """Raises ValueError with one line that says what to write."""
    if not text.strip() or len(text) > SIDE_LENGTH_MAX:
        raise ValueError(f"a side is a swarm or a filter of at most {SIDE_LENGTH_MAX} characters, got {text[:40]!r}")
    if "=" not in text:
        return Side(name or text, (Condition("swarm_id", (text,)),))
    pairs = [_pair(part) for part in text.split(",")]
    given = {key: value for key, value in pairs if key in _TIME_KEYS}
    time = parse_time_range(given.get("period"), given.get("from"), given.get("to"), now_ms=now_ms)
    conditions = _conditions(pair for pair in pairs if pair[0] not in _TIME_KEYS)
    return Side(name or text, conditions, time)


def parse_filters(texts: Iterable[str]) -> tuple[Condition, ...]:
    """`--filter key=value`, repeated. The same key twice means either value. Raises ValueError."""
    pairs = [_pair(text) for text in texts]
    for key, _ in pairs:
        if key in _TIME_KEYS:
            raise ValueError(f"--filter {key}=...: a time range of everything is --time-range, or --from and --to")
    return _conditions(pairs)


def condition_sql(side: Side, number: int, *, metrics: bool = False) -> tuple[str, dict[str, str | int | list[str]]]:
    """What a row `v` of v_activities (or v_metrics) must fulfil, and its parameters, which `number` names."""
    parts, parameters = ["1"], dict[str, str | int | list[str]]()
    for place, condition in enumerate(side.conditions):
        values, key = f"v{number}_{place}", f"k{number}_{place}"
        parameters[values] = list(condition.values)
        parts.append(_one_sql(condition.key, f"{{{key}:String}}", f"{{{values}:Array(String)}}"))
        if condition.key not in COLUMNS and condition.key != TASK_CLASS:
            parameters[key] = condition.key.removeprefix("tag.").removeprefix("config.")
    column = "v.timestamp" if metrics else "v.started_at"
    for sign, bound, moment in ((">=", f"from{number}", side.time.from_ms), ("<", f"to{number}", side.time.to_ms)):
        if moment is not None:
            parameters[bound] = moment
            parts.append(f"{column} {sign} fromUnixTimestamp64Milli({{{bound}:Int64}})")
    return " AND ".join(parts), parameters


def key_sql(key: str, parameter: str) -> str:
    """The text value of `key` in a row `v`; '' where it has none."""
    if key == EVERYTHING:
        return "''"
    if key == TASK_CLASS:
        return _TASK_CLASS_SQL
    return f"toString(v.{key})" if key in COLUMNS else f"v.tags[{parameter}]"


def known_key(text: str) -> str:
    """The key of a filter, with its aliases resolved. Raises ValueError."""
    key = _ALIASES.get(text, text)
    if not _KEY.match(key):
        raise ValueError(f"{text!r} is no key of a filter: write a column such as model, or a tag such as tag.team")
    return key


def _one_sql(key: str, name: str, values: str) -> str:
    declared = (
        "(v.swarm_id, v.run_id) IN (SELECT s.swarm_id, s.run_id FROM v_swarms AS s "
        f"WHERE has({values}, s.configuration[{name}]))"
    )
    if key.startswith("config."):
        return declared
    own = f"has({values}, {key_sql(key, name)})"
    if key in COLUMNS:  # as IN, so that a swarm is found by its index
        return f"v.{key} IN {values}"
    return own if key == TASK_CLASS or key.startswith("tag.") else f"({own} OR {declared})"


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.strip().partition("=")
    if not equals or not key or not value:
        raise ValueError(f"{text!r} is not key=value: write for example model=x, tag.team=core or period=last-7-days")
    return known_key(key.strip()), value.strip()


def _conditions(pairs: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return tuple(Condition(key, tuple(dict.fromkeys(found))) for key, found in values.items())
