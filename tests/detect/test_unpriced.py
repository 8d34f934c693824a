"""A model nobody knows the price of is told with its first call."""

from __future__ import annotations

from typing import Any

from tests.support.detecting import Event, activity, found_by, second_of, told

DAY = 86_400


def _call(second: float, model: str, **fields: Any) -> Event:
    return activity(second, "model_call", model=model, **({"input_tokens": 100, "output_tokens": 20} | fields))


def test_the_first_call_of_an_unknown_model_is_told_and_the_next_in_a_day() -> None:
    calls = [_call(i * DAY / 10, "house-model-7") for i in range(15)]
    rows = found_by(calls)
    assert told(rows) == [
        ("unpriced_model", "unpriced_calls", 1.0, "medium"),
        ("unpriced_model", "unpriced_calls", 11.0, "medium"),
    ]
    assert second_of(rows[0]) == 0.0
    assert dict(rows[1]["evidence"]) == {"calls": "11", "model": "house-model-7", "tokens": "1320"}


def test_priced_calls_declared_costs_and_calls_without_tokens_are_silent() -> None:
    calls = [
        _call(1_000 * DAY, "claude-opus-4-6"),  # after the day from which the built-in book knows its price
        _call(2, "house-model-7", cost_usd=0.1, cost_provenance="declared"),
        _call(3, "house-model-7", input_tokens=0, output_tokens=0),
        _call(4, "house-model-7", status="running"),
    ]
    assert found_by(calls) == []
