"""Efficiency and collaboration of agents, roles and swarms: weighted means of terms 0..1 that were measured.

In: rows of work, messages, answers and response times by agent. Out: `Score`. Never: 0 or 1 for a term that nobody
measured: its weight goes to the others in proportion, and the score says how much weight was measured.

    efficiency    = .30 completion + .25 quality + .20 collaboration + .15 (1 - error) + .10 responsiveness
    collaboration = .40 messages + .30 promptness + .30 message success

The collaboration counts in the efficiency by its own measured share, so the efficiency is a mean of single terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reports.compare.success import wilson
from reports.queries.measured import AgentMessagesRow, AgentWorkRow, MetricMeanRow, ResponseRow

EFFICIENCY: Final = {"completion": 0.30, "quality": 0.25, "collaboration": 0.20, "no_error": 0.15, "responsive": 0.10}
COLLABORATION: Final = {"messages": 0.4, "prompt": 0.3, "message_success": 0.3}
MESSAGES_FULL: Final = 10  # messages that make the term 1: F11
RESPONSE_S_MAX: Final = 300.0  # an answer after five minutes or more is worth nothing: F11
RESPONSE_METRIC: Final = "response_time"  # what pollers of agents publish, in ms or s
_MS_OF: Final = {"": 1.0, "ms": 1.0, "s": 1000.0}

By = Literal["agent", "role", "swarm"]


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What one agent's rows say; messages None: nobody on the side sent one, so that nothing counted them."""

    side: str
    swarm_id: str
    agent_id: str
    role: str
    ended: int = 0
    completed: int = 0
    judged: int = 0
    failed: int = 0
    quality_n: int = 0
    quality_sum: float = 0.0
    messages: int | None = None
    messages_judged: int = 0
    messages_succeeded: int = 0
    answered: int = 0
    response_ms_sum: float = 0.0
    polled: int = 0  # events of the response metric
    polled_ms_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """A term is None where nothing measured it; n beside it counts what it rests on. *_low, *_high: 95 % Wilson.

    efficiency_measured_ratio and collaboration_measured_ratio: the share of the formula's weight that was measured.
    weights: the single terms the efficiency is a mean of, with the weight each has after re-weighting.
    """

    side: str
    of: str
    agents: int
    efficiency: float | None
    efficiency_measured_ratio: float
    collaboration: float | None
    collaboration_measured_ratio: float
    not_measured: tuple[str, ...]
    completion: float | None
    completion_low: float | None
    completion_high: float | None
    completion_n: int  # tasks that ended
    quality: float | None
    quality_n: int  # activities with a quality
    error: float | None
    error_low: float | None
    error_high: float | None
    error_n: int  # tasks, calls and messages that completed or failed
    messages_per_agent: float | None
    messages_term: float | None  # mean over agents of min(messages / 10, 1)
    messages_n: int  # agents
    message_success: float | None
    message_success_n: int
    response_s: float | None  # mean
    response_n: int  # answers, or events of the metric
    response_from: str  # answers to messages | metric response_time | ''
    weights: dict[str, float]


@dataclass(frozen=True, slots=True)
class Term:
    """One term of one score. formula_weight: in the efficiency; weight: there, after re-weighting; 0: not measured."""

    side: str
    of: str
    term: str
    value: float | None  # 0..1
    n: int
    formula_weight: float
    weight: float


def agent_facts(
    work: Sequence[AgentWorkRow],
    messages: Sequence[AgentMessagesRow],
    responses: Sequence[ResponseRow],
    polled: Sequence[MetricMeanRow],
) -> list[AgentFacts]:
    """One for each agent that any of the rows names."""
    talking = {(row.side, row.swarm_id) for row in messages}
    of_work = {(row.side, row.swarm_id, row.agent_id): row for row in work}
    of_messages = {(row.side, row.swarm_id, row.agent_id): row for row in messages}
    of_responses = {(row.side, row.swarm_id, row.agent_id): row for row in responses}
    of_polls = {(row.side, row.swarm_id, row.agent_id): row for row in polled if row.unit in _MS_OF}
    found = []
    for side, swarm, agent in sorted({*of_work, *of_messages, *of_responses, *of_polls}):
        key = (side, swarm, agent)
        w, m, r, p = of_work.get(key), of_messages.get(key), of_responses.get(key), of_polls.get(key)
        counted = (m.messages if m else 0) if (side, swarm) in talking and agent else None
        found.append(
            AgentFacts(
                side=side,
                swarm_id=swarm,
                agent_id=agent,
                role=w.role if w else "",
                ended=w.ended if w else 0,
                completed=w.completed if w else 0,
                judged=w.judged if w else 0,
                failed=w.failed if w else 0,
                quality_n=w.quality_n if w else 0,
                quality_sum=(w.quality_sum or 0.0) if w else 0.0,
                messages=counted,
                messages_judged=m.judged if m else 0,
                messages_succeeded=m.succeeded if m else 0,
                answered=r.answered if r else 0,
                response_ms_sum=(r.response_ms_sum or 0.0) if r else 0.0,
                polled=p.events if p else 0,
                polled_ms_sum=p.mean * _MS_OF[p.unit] * p.events if p else 0.0,
            )
        )
    return found


def scores(facts: Sequence[AgentFacts], by: By) -> tuple[Score, ...]:
    """One a group, the most efficient first; those without any measured term last.

    An agent is named swarm/agent where its side holds several swarms.
    """
    swarms: dict[str, set[str]] = {}
    for one in facts:
        swarms.setdefault(one.side, set()).add(one.swarm_id)
    name: Callable[[AgentFacts], str] = {
        "agent": lambda one: one.agent_id if len(swarms[one.side]) == 1 else f"{one.swarm_id}/{one.agent_id}",
        "role": lambda one: one.role,
        "swarm": lambda one: one.side,
    }[by]
    groups: dict[tuple[str, str], list[AgentFacts]] = {}
    for one in facts:
        groups.setdefault((one.side, name(one)), []).append(one)
    found = [_score(side, of, own) for (side, of), own in groups.items()]
    return tuple(sorted(found, key=lambda s: (s.side, s.efficiency is None, -(s.efficiency or 0.0), s.of)))


def terms_of(scores: Sequence[Score]) -> tuple[Term, ...]:
    """Every single term of each score, in the order of the formulas."""
    found: list[Term] = []
    for one in scores:
        values: dict[str, tuple[float | None, int]] = {
            "completion": (one.completion, one.completion_n),
            "quality": (one.quality, one.quality_n),
            "no_error": (1 - one.error if one.error is not None else None, one.error_n),
            "responsive": (1 / (1 + one.response_s) if one.response_s is not None else None, one.response_n),
            "messages": (one.messages_term, one.messages_n),
            "prompt": (_prompt(one.response_s), one.response_n),
            "message_success": (one.message_success, one.message_success_n),
        }
        for name, weight in _single_weights().items():
            found.append(Term(one.side, one.of, name, *values[name], weight, one.weights.get(name, 0.0)))
    return tuple(found)


def weighted(terms: Iterable[tuple[float, float | None]]) -> tuple[float | None, float]:
    """(mean over the known values by their weights, the known share of all weight)."""
    pairs = list(terms)
    known = [(weight, value) for weight, value in pairs if value is not None and weight > 0]
    measured = sum(weight for weight, _ in known)
    mean = sum(weight * value for weight, value in known) / measured if measured else None
    return mean, measured / sum(weight for weight, _ in pairs)


def _score(side: str, of: str, own: Sequence[AgentFacts]) -> Score:
    ended, completed = sum(one.ended for one in own), sum(one.completed for one in own)
    judged, failed = sum(one.judged for one in own), sum(one.failed for one in own)
    quality_n = sum(one.quality_n for one in own)
    counted = [one.messages for one in own if one.messages is not None]
    told = sum(one.messages_judged for one in own)
    response_s, response_n, response_from = _response(own)
    single: dict[str, float | None] = {
        "completion": completed / ended if ended else None,
        "quality": sum(one.quality_sum for one in own) / quality_n if quality_n else None,
        "no_error": 1 - failed / judged if judged else None,
        "responsive": 1 / (1 + response_s) if response_s is not None else None,
        "messages": sum(min(n / MESSAGES_FULL, 1.0) for n in counted) / len(counted) if counted else None,
        "prompt": _prompt(response_s),
        "message_success": sum(one.messages_succeeded for one in own) / told if told else None,
    }
    collaboration, shared = weighted((weight, single[name]) for name, weight in COLLABORATION.items())
    weights = _single_weights()
    efficiency, measured = weighted((weight, single[name]) for name, weight in weights.items())
    completion_interval, error_interval = wilson(completed, ended), wilson(failed, judged)
    return Score(
        side=side,
        of=of,
        agents=sum(1 for one in own if one.agent_id),
        efficiency=efficiency,
        efficiency_measured_ratio=measured,
        collaboration=collaboration,
        collaboration_measured_ratio=shared,
        not_measured=tuple(name for name, value in single.items() if value is None),
        completion=single["completion"],
        completion_low=completion_interval and completion_interval[0],
        completion_high=completion_interval and completion_interval[1],
        completion_n=ended,
        quality=single["quality"],
        quality_n=quality_n,
        error=failed / judged if judged else None,
        error_low=error_interval and error_interval[0],
        error_high=error_interval and error_interval[1],
        error_n=judged,
        messages_per_agent=sum(counted) / len(counted) if counted else None,
        messages_term=single["messages"],
        messages_n=len(counted),
        message_success=single["message_success"],
        message_success_n=told,
        response_s=response_s,
        response_n=response_n,
        response_from=response_from,
        weights={name: weight / measured for name, weight in weights.items() if single[name] is not None},
    )


def _prompt(response_s: float | None) -> float | None:
    return max(0.0, 1 - response_s / RESPONSE_S_MAX) if response_s is not None else None


def _single_weights() -> dict[str, float]:
    """Every single term with its weight in the efficiency; those of the collaboration share its weight."""
    own = {name: weight for name, weight in EFFICIENCY.items() if name != "collaboration"}
    return own | {name: EFFICIENCY["collaboration"] * weight for name, weight in COLLABORATION.items()}


def _response(own: Sequence[AgentFacts]) -> tuple[float | None, int, str]:
    """(mean seconds, n, where from): answers to messages where there are any, else what pollers measured."""
    answered = sum(one.answered for one in own)
    if answered:
        return sum(one.response_ms_sum for one in own) / answered / 1000, answered, "answers to messages"
    polled = sum(one.polled for one in own)
    if polled:
        return sum(one.polled_ms_sum for one in own) / polled / 1000, polled, f"metric {RESPONSE_METRIC}"
    return None, 0, ""
