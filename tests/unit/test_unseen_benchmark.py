"""The generated corpus: faults stand where the labels say, nothing else is changed, and alarms are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.unseen import KINDS, outcome
from benchmarks.unseen_corpus import Case, Fault, corpus
from benchmarks.unseen_faults import FAULTS, broken
from benchmarks.unseen_quiet import DAY_MS, START_MS, rare_errors, web_load
from interfaces.backtest.table import Table

WEB = {"web load, 5 min": web_load}


def case(faults: list[Fault], rows: int = 1_000) -> Case:
    return Case("k", Table(["m"], [""] * rows, list(range(rows)), [[1.0]] * rows, [], [], []), faults)


def test_the_same_seed_gives_the_same_files_and_another_seed_others() -> None:
    first, again, other = (corpus(WEB, seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0].table.rows != other[0].table.rows


def test_the_two_splits_share_no_kind() -> None:
    assert not {make.__name__ for make in KINDS["a"].values()} & {make.__name__ for make in KINDS["b"].values()}


@pytest.mark.parametrize("split", ["a", "b"])
def test_every_kind_gives_rising_times_values_within_bounds_and_few_gaps(split: str) -> None:
    for name, kind in KINDS[split].items():
        quiet = kind(np.random.default_rng(7), 2_000)
        assert quiet.values.shape[0] == len(quiet.at_ms) == 2_000, name
        assert (np.diff(quiet.at_ms) > 0).all(), name
        assert quiet.at_ms[0] >= START_MS, name
        assert np.nanmin(quiet.values) >= quiet.low, name
        assert np.nanmax(quiet.values) <= quiet.high, name
        assert np.isnan(quiet.values).mean() < 0.05, name


def test_every_fault_that_can_be_seen_is_in_one_file_and_each_kind_has_files_without() -> None:
    made = corpus(WEB, 1)
    assert sorted(fault.name for each in made for fault in each.faults) == sorted(FAULTS)
    assert sum(not each.faults for each in made) == 3
    for each in made:
        assert [fault.first for fault in each.faults] == sorted(fault.first for fault in each.faults)
        assert all(0 < fault.first <= fault.last < len(each.table.rows) for fault in each.faults)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_changes_its_rows_and_no_others(name: str) -> None:
    quiet = web_load(np.random.default_rng(3), 3_000)
    values = quiet.values[:, 0]
    source = np.random.default_rng(4)
    changed = broken(name, values, 2_000, 2_100, source, low=0.0, high=np.inf, day_rows=DAY_MS // 300_000)
    assert changed is not None
    assert (changed[:2_000] == values[:2_000]).all()
    assert (changed[2_100:] == values[2_100:]).all()
    assert (changed[2_000:2_100] != values[2_000:2_100]).any()


@pytest.mark.parametrize("name", ["lost season", "phase shift", "frequency change", "drop to zero"])
def test_a_fault_that_nobody_could_see_is_not_made(name: str) -> None:
    values = rare_errors(np.random.default_rng(3), 3_000).values[:, 0]
    found = broken(name, values, 2_000, 2_050, np.random.default_rng(4), low=0.0, high=np.inf, day_rows=1_440)
    assert found is None


def test_alarms_are_faults_found_late_or_false_and_the_first_rows_count_for_nobody() -> None:
    faults = [Fault("spike", 300, 320), Fault("stuck value", 600, 700)]
    found = outcome([case(faults), case([])], [[10, 299, 305, 310, 701], [400]])
    assert found.delays["spike"] == [5]
    assert found.delays["stuck value"] == [None]
    assert found.false_alarms == [2, 1]
    assert found.found() == (1, 2)
