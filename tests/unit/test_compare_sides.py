"""Sides and filters as people write them, and the SQL that picks their rows."""

from __future__ import annotations

import pytest

from reports.queries.port import TimeRange
from reports.queries.side import Condition, condition_sql, parse_filters, parse_side
from reports.queries.sides import stratified_sides, with_sides

NOW_MS = 1_772_366_400_000


def test_a_name_without_an_equals_sign_is_a_swarm() -> None:
    side = parse_side("results/GPT-5.4", now_ms=NOW_MS)
    assert side.conditions == (Condition("swarm_id", ("results/GPT-5.4",)),)
    assert side.swarm_id == side.name == "results/GPT-5.4"


def test_a_filter_is_columns_tags_and_a_time() -> None:
    side = parse_side("model=x, topology=star,tag.team=core,period=last-7-days", now_ms=NOW_MS)
    assert side.conditions == (
        Condition("model", ("x",)),
        Condition("topology", ("star",)),
        Condition("tag.team", ("core",)),
    )
    assert side.time == TimeRange(NOW_MS - 7 * 86_400_000, NOW_MS)
    assert side.swarm_id is None


def test_the_same_key_twice_means_either_value_and_aliases_mean_their_columns() -> None:
    side = parse_side("swarm=a,swarm=b,run=r", now_ms=NOW_MS)
    assert side.conditions == (Condition("swarm_id", ("a", "b")), Condition("run_id", ("r",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a swarm or a filter"),
        ("model=", "is not key=value"),
        ("model=x,star", "'star' is not key=value"),
        ("mo del=x", "is no key of a filter"),
        ("a=1;DROP=2,b)=3", "is no key of a filter"),
        ("period=soon", "write last-24h"),
        ("model=x,from=2026-02-01,to=2026-01-01", "is not before"),
        ("x" * 501, "at most 500 characters"),
    ],
)
def test_a_mistake_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse_side(text, now_ms=NOW_MS)


def test_a_filter_of_everything_takes_no_time() -> None:
    assert parse_filters(["model=x", "model=y"]) == (Condition("model", ("x", "y")),)
    with pytest.raises(ValueError, match="--time-range"):
        parse_filters(["period=last-24h"])


def test_no_text_of_a_person_stands_in_the_sql() -> None:
    text = "model=x' OR 1 --,team=core\"; DROP TABLE runs"
    side = parse_side(text, now_ms=NOW_MS)
    sql, parameters = condition_sql(side, 0)
    assert "DROP" not in sql
    assert "OR 1" not in sql
    assert parameters == {
        "v0_0": ["x' OR 1 --"],
        "v0_1": ['core"; DROP TABLE runs'],
        "k0_1": "team",
    }


def test_swarms_under_one_filter_are_one_scan_and_other_sides_one_each() -> None:
    filters = parse_filters(["benchmark=b"])
    swarms = [parse_side(name, now_ms=NOW_MS).narrowed(filters) for name in ("x", "y", "z")]
    sql, _ = with_sides("SELECT 1 FROM v_activities", swarms)
    assert sql.count("FROM v_activities") == 1
    mixed = [swarms[0], parse_side("model=m", now_ms=NOW_MS)]
    sql, parameters = with_sides("SELECT 1 FROM v_activities", mixed)
    assert sql.count("FROM v_activities") == 2
    assert (parameters["side0"], parameters["side1"]) == ("x", "model=m")


def test_plain_metric_events_have_no_model_so_such_a_side_has_none_of_them() -> None:
    sides = [parse_side("model=m", now_ms=NOW_MS), parse_side("run=r", now_ms=NOW_MS)]
    sql, _ = with_sides("SELECT 1 FROM v_metrics AS m", sides)
    assert sql.count("FROM v_metrics") == 1
    assert "v.run_id" in sql
    assert "v.model" not in sql


def test_a_stratum_of_a_tag_is_a_narrower_side() -> None:
    parts = stratified_sides([parse_side("x", now_ms=NOW_MS)], "team", ["core", ""])
    assert [side.conditions[-1] for side, _, _ in parts.values()] == [
        Condition("tag.team", ("core",)),
        Condition("tag.team", ("",)),
    ]
