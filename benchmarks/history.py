"""The stated workload of the reads benchmark: a month of 12 swarms, raw events, windows, activities, anomalies.

In: a client on a migrated database, a number of raw events. Out: filled tables, the same for the same seed.
Never: rows a worker could not have written: windows are computed from the raw events, with the product's sketch.

One swarm runs round the clock and sends a third of the events (8 agents x 8 metrics, 5 s apart at 100 M events); 11
swarms work a session a day (16 agents x 8 metrics, an event a second). Windows of 10 s and 60 s; one event in 256 came
late, into a generation of its own. For each 100,000 events a swarm does one task: 10 model calls and 20 tool calls.
The engine makes all rows itself, INSERT ... SELECT FROM numbers: 100 M events never pass through Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.windows import sketch
from sinks.clickhouse.client import Client

SWARMS: Final = 12
BUSY_SERIES: Final = 64  # of swarm-00, which runs round the clock
SESSION_SERIES: Final = 11 * 128  # of the other swarms together
SESSION_S_MAX: Final = 7_200  # sessions of one swarm start two hours after those of the one before
WINDOWS_MS: Final = (10_000, 60_000)
TO_MS: Final = 1_769_904_000_000  # 2026-02-01Z; the month before it is filled
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
EVENTS_PER_TASK: Final = 100_000  # raw events for each task of every swarm
REWRITES: Final = 3  # of the last hour's windows, as an open window is written at every flush
SEED: Final = 7

_SQL: Final = Path(__file__).parent / "sql"
STATEMENT_S_MAX: Final = 900  # an insert of a day takes seconds, and minutes while others use the machine
# Parts of 4 M rows merge less often.
_SETTINGS: Final[dict[str, Any]] = {
    "max_execution_time": STATEMENT_S_MAX,
    "min_insert_block_size_rows": 4_000_000,
    "min_insert_block_size_bytes": 1 << 30,
    "max_insert_block_size": 4_000_000,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many of what; `events` is the number of plain raw events, rounded down to whole days."""

    events: int
    days: int = 30

    def __post_init__(self) -> None:
        if self.events // self.days < 3 * (BUSY_SERIES + SESSION_SERIES):
            raise ValueError(f"{self.events} events over {self.days} days are too few for every series")
        if self.session_events // SESSION_SERIES > SESSION_S_MAX:
            raise ValueError(f"{self.events} events over {self.days} days do not fit into sessions of 2 h: more days")

    @property
    def busy_events(self) -> int:
        """Of the round-the-clock swarm, a day."""
        return self.events // self.days // 3 // BUSY_SERIES * BUSY_SERIES

    @property
    def session_events(self) -> int:
        """Of the other swarms together, a day."""
        return self.events // self.days * 2 // 3

    @property
    def tasks(self) -> int:
        """Of each swarm."""
        return max(20, self.events // EVENTS_PER_TASK)

    @property
    def from_ms(self) -> int:
        return TO_MS - self.days * DAY_MS

    def swarm_ids(self) -> list[str]:
        return [f"swarm-{n:02}" for n in range(SWARMS)]


def fill(client: Client, plan: Plan, *, say: Callable[[str], None] = lambda text: None) -> None:
    """Fills the empty tables of a migrated database."""
    for label, statement, parameters in _steps(plan):
        say(label)
        client.command(statement, parameters=parameters, settings=_SETTINGS)


def write_last_hour_again(client: Client) -> None:
    """The last hour's rows once more, as workers do at every flush: the same rows, in parts of their own."""
    from_ms = TO_MS - HOUR_MS
    for _ in range(REWRITES):
        for window_ms in WINDOWS_MS:
            statement, parameters = _windows(window_ms, from_ms, TO_MS)
            client.command(statement, parameters=parameters, settings=_SETTINGS)
    client.command(
        "INSERT INTO metrics SELECT * FROM metrics WHERE timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})",
        parameters={"from_ms": from_ms},
        settings=_SETTINGS,
    )


def _steps(plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "fold", "INSERT INTO folds (fold_version, active, allowed_lateness_ms, note) VALUES (1, 1, 5000, 'bench')", {}
    yield (
        "activities",
        _sql("activities"),
        {"seed": SEED, "from_ms": plan.from_ms, "days": plan.days, "tasks": plan.tasks},
    )
    for day in range(plan.days):
        events = plan.busy_events + plan.session_events
        day_ms = plan.from_ms + day * DAY_MS
        yield (
            f"metrics of day {day + 1} of {plan.days}",
            _sql("metrics"),
            {"day": day, "day_ms": day_ms, "seed": SEED, "busy_events": plan.busy_events, "events": events},
        )
    yield "metrics of the activities", _sql("projected"), {}
    for day in range(plan.days):
        for window_ms in WINDOWS_MS:
            from_ms = plan.from_ms + day * DAY_MS
            yield f"windows of {window_ms // 1000} s of day {day + 1}", *_windows(window_ms, from_ms, from_ms + DAY_MS)
    yield "anomalies", _sql("anomalies"), {}
    yield (
        "swarms",
        "INSERT INTO swarms SELECT concat('swarm-', leftPad(toString(number), 2, '0')), '', "
        "fromUnixTimestamp64Milli({from_ms:Int64}), NULL, 'running', map('topology', 'mesh'), "
        "fromUnixTimestamp64Milli({from_ms:Int64}), 'history-activities', 'swarm.activities', number % 4, number, "
        f"number FROM numbers({SWARMS})",
        {"from_ms": plan.from_ms},
    )


def _windows(window_ms: int, from_ms: int, to_ms: int) -> tuple[str, dict[str, Any]]:
    buckets = sketch.BUCKET_OF_CELL.tolist()
    return _sql("windows"), {"window_ms": window_ms, "from_ms": from_ms, "to_ms": to_ms, "buckets": buckets}


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text("utf-8")
