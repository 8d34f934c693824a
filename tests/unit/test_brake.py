"""The brake on bad input: it stops for a bad deployment, not for bad data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.brake import BadInputBrake, BadInputError


def test_a_run_of_nothing_but_invalid_records_stops_the_worker_and_says_what_to_do() -> None:
    brake = BadInputBrake(ratio_max=0.95, run_min=100)
    with pytest.raises(
        BadInputError, match=r"swarm\.metrics: 100% of the last 100 records.*MURMUR_BAD_INPUT_RATIO_MAX"
    ) as caught:
        brake.observe("swarm.metrics", 100, 100)
    assert "\n" not in str(caught.value)


def test_a_short_run_is_not_judged_yet() -> None:
    brake = BadInputBrake(ratio_max=0.95, run_min=100)
    for _ in range(9):
        brake.observe("t", 11, 11)
    with pytest.raises(BadInputError):
        brake.observe("t", 1, 1)


def test_a_share_at_the_limit_goes_on() -> None:
    brake = BadInputBrake(ratio_max=0.95, run_min=100)
    for _ in range(50):
        brake.observe("t", 100, 95)
    with pytest.raises(BadInputError):
        brake.observe("t", 100, 96)


def test_a_bad_batch_is_one_bad_record() -> None:
    brake = BadInputBrake(ratio_max=0.5, run_min=100)
    brake.observe("t", 1, 500)
    brake.observe("t", 99, 0)


def test_each_run_is_judged_alone() -> None:
    brake = BadInputBrake(ratio_max=0.9, run_min=100)
    for _ in range(5):
        brake.observe("t", 100, 0)
    with pytest.raises(BadInputError, match="100% of the last 100"):
        brake.observe("t", 100, 100)


def test_a_limit_of_one_never_stops() -> None:
    brake = BadInputBrake(ratio_max=1.0, run_min=10)
    for _ in range(20):
        brake.observe("t", 10, 10)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 60)), max_size=60))
def test_it_stops_at_the_end_of_the_first_run_above_the_limit_and_only_then(
    chunks: list[tuple[int, int]],
) -> None:
    brake = BadInputBrake(ratio_max=0.8, run_min=100)
    records = bad = 0
    for size, dead_letters in chunks:
        records, bad = records + size, bad + min(dead_letters, size)
        if records >= 100 and bad / records > 0.8:
            with pytest.raises(BadInputError):
                brake.observe("t", size, dead_letters)
        else:
            brake.observe("t", size, dead_letters)
        if records >= 100:
            records = bad = 0
