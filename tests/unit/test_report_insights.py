"""Sentences about what a swarm's money and failures went to: each from counted rows, with how many those were."""

from __future__ import annotations

from reports.analysis.facts import Fact, Sentence, SwarmSummary
from reports.analysis.insights import sentences
from reports.queries.port import BreakdownRow, ModelCostRow

FAILED = Fact("tasks_failed", "tasks failed", 10, "tasks", 40, "activities", "failed", ("measured",))
SUMMARY = SwarmSummary("s", 0, 1, (FAILED,), ())


def cost(model: str, cost_usd: float | None, *, calls: int = 10, priced: int = 10, swarm: str = "s") -> ModelCostRow:
    return ModelCostRow(swarm, model, calls, priced, cost_usd, 1, ("estimated",))


def errors(name: str, failed: int) -> BreakdownRow:
    return BreakdownRow("s", "error type", name, failed, 0, failed, 0, None, None, 0, None)


def told(*, costs: tuple[ModelCostRow, ...] = (), breakdown: tuple[BreakdownRow, ...] = ()) -> list[Sentence]:
    return list(sentences((), (SUMMARY,), (), breakdown, costs))


def test_the_model_most_of_the_cost_went_to_is_named_with_its_share_and_what_has_no_price() -> None:
    (said,) = told(costs=(cost("large", 3.0), cost("small", 1.0), cost("local", None, calls=5, priced=0)))
    assert (
        said.text
        == "s: 75.0 % of the cost of its model calls is large's ($3.00 of $4.00; 20 of 25 calls have a price)."
    )
    assert (said.query, said.n) == ("cost_by_model", 20)


def test_one_priced_model_or_another_swarms_models_say_nothing() -> None:
    assert told(costs=(cost("large", 3.0), cost("local", None, priced=0), cost("free", 0.0))) == []
    assert told(costs=(cost("a", 1.0, swarm="t"), cost("b", 1.0, swarm="t"))) == []


def test_the_most_frequent_class_of_error_is_named_with_its_count() -> None:
    (said,) = told(breakdown=(errors("timeout", 3), errors("bad_input", 5)))
    assert said.text == "s: 10 of 40 task runs failed; the most frequent class of error is bad_input (5 of them)."
    assert (said.anchor, said.n) == ("breakdown", 40)
