"""A comparison of sides from the question to the answer: reader -> engine -> what a renderer shows.

In: a connected client, a `ComparisonRequest`. Out: `Comparison`. Never: SQL or statistics of its own, a format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, Literal, TypeVar

from models.clock import Clock, SystemClock
from reports.asking import Compared, side_by_side
from reports.build import UnknownSwarmError
from reports.compare.engine import ComparisonInput, compare_strata
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.ranking import Place, ranking
from reports.compare.reliability import Reliability, pass_hat_k
from reports.compare.reversal import Reversal, reversals, reversed_strata
from reports.compare.statistics import Pairing
from reports.compare.stratified import Stratified, stratified
from reports.queries.clickhouse import ClickHouseReader
from reports.queries.port import Query, Reader, Result, TaskRow, TimeRange
from reports.queries.side import EVER, Condition, Side
from reports.queries.sides import SideReader, stratified_sides, unstratified

SIDES_MAX: Final = 60  # 1,770 pairs of ten measures: half a minute, and more than a correction leaves power for
STRATA_MAX: Final = 20  # compared; what lies beyond is named, and in the whole
SWARMS_NAMED: Final = 10  # in the message about an unknown side
Kind = Literal["swarms", "benchmark", "rank"]
OBSERVATIONAL: Final = (
    "observational: nobody drew lots which side got which task, so a difference says what happened in these runs, "
    "not why"
)

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """`pairs` are names of sides, a first: every ratio is a / b and every verdict a's."""

    sides: tuple[Side, ...]
    pairs: tuple[tuple[str, str], ...]
    kind: Kind = "swarms"
    metrics: tuple[str, ...] = ()  # empty: every measure there is
    pairing: Pairing = "auto"
    filters: tuple[Condition, ...] = ()  # of every side
    stratify: str = ""  # a key: compare within each of its values as well
    time: TimeRange = EVER

    @property
    def narrowed(self) -> tuple[Side, ...]:
        """The sides with the filters that hold for all."""
        return tuple(side.narrowed(self.filters) for side in self.sides)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a renderer shows; findings of strata carry the stratum's name."""

    request: ComparisonRequest
    created_at_ms: int
    findings: tuple[Finding, ...]
    successes: tuple[SuccessFinding, ...]
    strata: tuple[str, ...] = ()
    stratified: tuple[Stratified, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    ranking: tuple[Place, ...] = ()
    reversals: tuple[Reversal, ...] = ()
    notes: tuple[str, ...] = ()
    queries: Mapping[str, Query] = field(default_factory=dict)

    @property
    def whole(self) -> tuple[Finding, ...]:
        """The findings over everything, without those of the strata."""
        return tuple(finding for finding in self.findings if not finding.stratum)


def all_pairs(sides: Sequence[Side]) -> tuple[tuple[str, str], ...]:
    """Each side with each later one."""
    return tuple(combinations([side.name for side in sides], 2))


def reader_of(client: Any, sides: Sequence[Side]) -> Reader:
    """Whole swarms are asked for directly: their metric events then come from the sums of their hours."""
    if all(side.swarm_id == side.name for side in sides):
        return ClickHouseReader(client)
    return SideReader(client, sides)


def build_comparison(client: Any, request: ComparisonRequest, *, clock: Clock | None = None) -> Comparison:
    """Raises UnknownSwarmError when a side has no rows."""
    sides, time = request.narrowed, request.time
    names = [side.name for side in sides]
    reader = reader_of(client, sides)
    queries: dict[str, Query] = {}

    def keep(result: Result[RowT]) -> Sequence[RowT]:
        queries[result.query.name] = result.query
        return result.rows

    with side_by_side() as pool:
        compared = Compared.ask(pool, reader, names, time)
        swarms = keep(pool.submit(reader.swarms, names, time).result())
        require_known(reader, request, {row.swarm_id for row in swarms})
        data = compared.input()
    queries.update(data.queries)
    parts = _strata(client, request, queries)
    findings, successes = compare_strata(request.pairs, data, parts, metrics=request.metrics, pairing=request.pairing)
    turned = (*reversals(findings, data.tasks), *reversed_strata(findings))
    places = tuple(p for metric in dict.fromkeys(f.metric for f in findings) for p in ranking(metric, names, findings))
    reliability = tuple(one for name in names for one in pass_hat_k(name, data.tasks))
    return Comparison(
        request=request,
        created_at_ms=(clock or SystemClock()).now_ms(),
        findings=findings,
        successes=successes,
        strata=tuple(parts),
        stratified=stratified(findings),
        reliability=reliability,
        ranking=places if request.kind == "rank" else (),
        reversals=turned,
        notes=tuple(_notes(request, findings, parts, turned, reliability, data.tasks)),
        queries=queries,
    )


def require_known(reader: Reader, request: ComparisonRequest, found: set[str]) -> None:
    """Raises UnknownSwarmError with what there is instead."""
    missing = [side.name for side in request.sides if side.name not in found]
    if not missing:
        return
    known = reader.known_swarms(SWARMS_NAMED).rows
    where = "in this time range" if request.time != EVER else "in the database"
    under = " that passes --filter" if request.filters else ""
    hint = f"the newest swarms are {', '.join(known)}" if known else "there is no swarm at all yet"
    word = "" if any("=" in name for name in missing) else "swarm "
    raise UnknownSwarmError(f"{word}{', '.join(missing)} has no event{under} {where}; {hint}")


def _strata(client: Any, request: ComparisonRequest, queries: dict[str, Query]) -> dict[str, ComparisonInput]:
    """The rows of each value of the key, by `key=value`."""
    if not request.stratify:
        return {}
    sides, time = request.narrowed, request.time
    found = SideReader(client, sides).strata(request.stratify, time, limit=STRATA_MAX)
    queries[found.query.name] = found.query
    if len(found.rows) < 2:  # one part is the whole: to test it again would only weaken the correction
        return {}
    parts = stratified_sides(sides, request.stratify, [value for value, _ in found.rows])
    with side_by_side() as pool:
        reader = SideReader(client, [side for side, _, _ in parts.values()])
        data = Compared.ask(pool, reader, list(parts), time).input()
    queries.update({f"strata_{name}": query for name, query in data.queries.items()})
    tasks, calls = unstratified(data.tasks, parts), unstratified(data.calls, parts)
    metrics = unstratified(data.agent_metrics, parts)
    return {
        f"{request.stratify}={value}": ComparisonInput(
            tasks.get(value, []), calls.get(value, []), metrics.get(value, []), data.queries
        )
        for value, _ in found.rows
    }


def _notes(
    request: ComparisonRequest,
    findings: Sequence[Finding],
    parts: Mapping[str, ComparisonInput],
    turned: Sequence[Reversal],
    reliability: Sequence[Reliability],
    tasks: Sequence[TaskRow],
) -> Iterator[str]:
    """What a reader must know before using a verdict; the gravest first."""
    yield from dict.fromkeys(one.text for one in turned)
    yield OBSERVATIONAL
    if request.stratify and not parts:
        yield f"no strata: all tasks have the same {request.stratify}"
    if len(parts) == STRATA_MAX:
        yield f"strata: the {STRATA_MAX} values of {request.stratify} with the most tasks; the others only in the whole"
    attempts = {one.side: one.attempts / one.tasks for one in reliability if one.k == 1}
    if len({round(value, 6) for value in attempts.values()}) > 1:
        shown = ", ".join(f"{side} {value:.3g}" for side, value in attempts.items())
        yield f"attempts at a task differ ({shown} on average): each task counts once, however often it was tried"
    shared = {row.task_id for row in tasks if row.named}
    if any(not f.paired and f.unit_of_analysis == "task" for f in findings) and shared and request.pairing == "auto":
        yield "tasks of some pairs do not match: compared unpaired, a different mix of tasks shows as a difference"
    yield from dict.fromkeys(_warnings(findings, by_pair=request.kind != "rank"))


def _warnings(findings: Sequence[Finding], *, by_pair: bool) -> Iterator[str]:
    """What holds for single findings. A ranking has too many pairs to name: there it is said of each side once."""
    for finding in findings:
        where = f"{finding.a} against {finding.b}, {finding.label}" if by_pair else finding.label
        for warning in finding.warnings:
            if not finding.stratum and (by_pair or "without a measured partner" not in warning):
                yield f"{where}: {warning}"
