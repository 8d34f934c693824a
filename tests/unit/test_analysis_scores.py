"""Scores and key figures, recomputed by hand: what was not measured is left out, and said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.kpis import kpis
from reports.analysis.scores import COLLABORATION, EFFICIENCY, AgentFacts, agent_facts, scores, terms_of, weighted
from reports.analysis.told import told_of_scores
from reports.compare.success import wilson
from reports.queries.measured import AgentMessagesRow, AgentWorkRow, KpiRow, MetricMeanRow, ResponseRow


def work(agent: str, *, role: str = "coder", ended: int = 10, completed: int = 9, failed: int = 2) -> AgentWorkRow:
    return AgentWorkRow("s", "w", agent, role, ended, completed, 20, failed, 4, 3.0, ("measured",))


def test_everything_measured_is_the_formula() -> None:
    facts = agent_facts(
        [work("a")],
        [AgentMessagesRow("s", "w", "a", 5, 4, 3)],
        [ResponseRow("s", "w", "a", 3, 2, 120_000.0)],
        [],
    )
    (one,) = scores(facts, "agent")
    collaboration = 0.4 * 5 / 10 + 0.3 * (1 - 60 / 300) + 0.3 * 3 / 4
    efficiency = 0.30 * 0.9 + 0.25 * 0.75 + 0.20 * collaboration + 0.15 * (1 - 0.1) + 0.10 / (1 + 60)
    assert one.collaboration == pytest.approx(collaboration)
    assert one.efficiency == pytest.approx(efficiency)
    assert (one.efficiency_measured_ratio, one.collaboration_measured_ratio) == (pytest.approx(1), pytest.approx(1))
    assert one.not_measured == ()
    assert sum(one.weights.values()) == pytest.approx(1)
    assert (one.response_s, one.response_n, one.response_from) == (60, 2, "answers to messages")
    assert (one.completion_low, one.completion_high) == wilson(9, 10)


def test_what_nobody_measured_gives_its_weight_to_the_rest_and_is_named() -> None:
    facts = agent_facts([AgentWorkRow("s", "w", "a", "", 4, 2, 0, 0, 0, None, ())], [], [], [])
    (one,) = scores(facts, "agent")
    assert one.efficiency == 0.5, "completion alone, and no 0 for the others"
    assert one.efficiency_measured_ratio == pytest.approx(0.30)
    assert one.collaboration is None
    assert one.weights == {"completion": pytest.approx(1)}
    assert "quality" in one.not_measured
    (nothing,) = scores(agent_facts([AgentWorkRow("s", "w", "a", "", 0, 0, 0, 0, 0, None, ())], [], [], []), "agent")
    assert (nothing.efficiency, nothing.efficiency_measured_ratio) == (None, 0)


def test_the_terms_add_up_to_the_score() -> None:
    facts = agent_facts([work("a"), work("b", completed=2)], [AgentMessagesRow("s", "w", "a", 4, 2, 1)], [], [])
    found = scores(facts, "agent")
    for one in found:
        own = [term for term in terms_of(found) if term.of == one.of]
        assert sum(term.weight for term in own) == pytest.approx(1)
        assert sum(term.weight * (term.value or 0) for term in own) == pytest.approx(one.efficiency)
        assert sum(term.formula_weight for term in own) == pytest.approx(1)
        assert {term.term for term in own if term.weight == 0} == set(one.not_measured)


def test_a_collaboration_known_in_part_weighs_in_part() -> None:
    facts = agent_facts([work("a")], [AgentMessagesRow("s", "w", "a", 20, 0, 0)], [], [])
    (one,) = scores(facts, "agent")
    assert one.collaboration == 1.0
    assert one.collaboration_measured_ratio == pytest.approx(0.4)
    assert one.efficiency_measured_ratio == pytest.approx(0.30 + 0.25 + 0.20 * 0.4 + 0.15)


def test_no_message_is_0_where_others_sent_some_and_unknown_where_nobody_did() -> None:
    talking = agent_facts([work("a"), work("b")], [AgentMessagesRow("s", "w", "a", 3, 3, 3)], [], [])
    by_name = {one.of: one for one in scores(talking, "agent")}
    assert by_name["b"].messages_term == 0
    silent = agent_facts([work("a"), work("b")], [], [], [])
    assert {one.messages_term for one in scores(silent, "agent")} == {None}


def test_a_role_and_a_swarm_add_up_their_agents() -> None:
    facts = agent_facts(
        [work("a"), work("b", completed=5), work("c", role="tester", ended=2, completed=2)],
        [AgentMessagesRow("s", "w", "a", 30, 0, 0), AgentMessagesRow("s", "w", "b", 2, 0, 0)],
        [],
        [MetricMeanRow("s", "w", "c", 5, 2.0, "s")],
    )
    roles = {one.of: one for one in scores(facts, "role")}
    assert roles["coder"].completion == pytest.approx(14 / 20)
    assert roles["coder"].messages_term == pytest.approx((1.0 + 0.2) / 2), "no agent counts for more than one"
    (swarm,) = scores(facts, "swarm")
    assert (swarm.completion_n, swarm.agents) == (22, 3)
    assert (swarm.response_s, swarm.response_n, swarm.response_from) == (2.0, 5, "metric response_time")


def test_agents_of_one_name_in_two_swarms_are_two_agents() -> None:
    rows = [
        AgentWorkRow("model=x", swarm, "main", "", 4, done, 0, 0, 0, None, ()) for swarm, done in (("w", 4), ("v", 2))
    ]
    facts = agent_facts(rows, [AgentMessagesRow("model=x", "w", "main", 30, 0, 0)], [], [])
    assert [(one.of, one.completion) for one in scores(facts, "agent")] == [("w/main", 1.0), ("v/main", 0.5)]
    (whole,) = scores(facts, "swarm")
    assert (whole.agents, whole.completion, whole.messages_n) == (2, 0.75, 1)


values = st.one_of(st.none(), st.floats(0, 1))


@given(st.lists(values, min_size=5, max_size=5))
def test_a_score_lies_within_its_terms_whatever_is_missing(terms: list[float | None]) -> None:
    mean, measured = weighted(zip(EFFICIENCY.values(), terms, strict=True))
    known = [term for term in terms if term is not None]
    if not known:
        assert (mean, measured) == (None, 0)
    else:
        assert mean is not None
        assert min(known) - 1e-12 <= mean <= max(known) + 1e-12
        assert 0 < measured <= 1 + 1e-12


def test_the_weights_are_those_of_the_product() -> None:
    assert sum(EFFICIENCY.values()) == pytest.approx(1)
    assert sum(COLLABORATION.values()) == pytest.approx(1)
    assert AgentFacts("s", "w", "a", "").messages is None


def test_key_figures_are_shares_with_their_intervals_and_empty_where_nothing_counted() -> None:
    found = {one.name: one for one in kpis([KpiRow("s", 20, 18, 25, 100.0, 50.0, 8, 6, 0, 0)])}
    assert (found["task completion"].value, found["task completion"].n) == (0.9, 20)
    assert (found["task completion"].low, found["task completion"].high) == wilson(18, 20)
    assert found["phase success"].value == 0.75
    assert found["integration success"].value is None
    mean = found["average task duration"]
    assert mean.low == pytest.approx(100 - 2.0639 * 50 / 5, abs=0.01)
    (few,) = [one for one in kpis([KpiRow("s", 3, 3, 3, 10.0, 50.0, 0, 0, 0, 0)]) if one.unit == "ms"]
    assert (few.value, few.low) == (10.0, None), "three tasks have no interval"


def test_the_sentences_say_what_the_scores_rest_on() -> None:
    facts = agent_facts([work("a")], [], [], [])
    texts = [
        one.text
        for one in told_of_scores(scores(facts, "agent"), kpis([KpiRow("s", 20, 18, 0, None, None, 0, 0, 0, 0)]))
    ]
    assert texts[0] == "s: task completion 90.0 % [69.9 %, 97.2 %], 20 tasks that ended."
    assert texts[-1].startswith("s: efficiency 0.846 over 70.0 % of the formula's weight; nobody measured responsive, ")
    two = agent_facts([work("a"), work("b")], [], [], [])
    (text,) = [one.text for one in told_of_scores(scores(two, "agent"), [])]
    assert text.startswith("s: each efficiency rests on at least 70.0 %")
