"""The benchmarks' own rules: the same records for everybody, figures with their spread, tables that say all."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from benchmarks import results
from benchmarks.results import Table, headline, spread, verdict
from benchmarks.workload import EVENTS_PER_BATCH, FORMS, METRICS, Workload
from models.codecs import RawRecord, decode_metrics
from tests.support import docs

EVENTS = 4 * EVENTS_PER_BATCH


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_workload_holds_valid_events_and_as_many_as_asked(form: str) -> None:
    records = list(Workload(form).records(EVENTS))
    decoded = decode_metrics([RawRecord(i, 2_000_000_000_000, r.headers, r.value) for i, r in enumerate(records)])
    assert not decoded.errors
    assert decoded.n == EVENTS
    assert {r.partition for r in records} == {0, 1, 2, 3}


def test_the_peers_share_is_the_beginning_of_the_same_records() -> None:
    share = list(Workload("single").records(EVENTS // 2))
    assert share == list(islice(Workload("single").records(EVENTS), EVENTS // 2))


def test_a_swarm_lies_in_one_partition_whatever_the_number_of_agents() -> None:
    for agents in (13, 1_000):
        partitions: dict[str, set[int]] = {}
        for record in Workload("single", agents=agents).records(EVENTS):
            partitions.setdefault(msgspec.json.decode(record.value)["swarm_id"], set()).add(record.partition)
        assert all(len(found) == 1 for found in partitions.values())


def test_a_single_event_is_keyed_by_its_series() -> None:
    record = next(Workload("single").records(EVENTS_PER_BATCH))
    event = msgspec.json.decode(record.value)
    assert record.key == f"{event['swarm_id']}|{event['agent_id']}|{event['metric']}".encode()
    assert event["metric"] in METRICS


def test_a_figure_of_several_runs_shows_median_lowest_and_highest() -> None:
    assert spread([3, 1, 2_000]) == "3 (1 to 2,000)"
    assert spread([1.234], ".1f") == "1.2"


def test_a_budget_is_met_at_its_very_bound() -> None:
    assert verdict(10, 10, at_least=True) == ">= 10: met"
    assert verdict(10.1, 10, at_least=False) == "<= 10: missed"


def test_a_table_shows_the_same_cells_in_the_terminal_and_on_the_page() -> None:
    table = Table("Title", ["a", "b"], [["1", "x|y"]], "Note.")
    assert table.text() == "\nTitle\na  b\n1  x|y\nNote."
    assert table.markdown() == "**Title**\n\n| a | b |\n| --- | --- |\n| 1 | x\\|y |\n\nNote.\n"


def test_a_saved_run_names_its_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Run(NamedTuple):
        events: int
        parts: list[float]

    class Turn(NamedTuple):
        run: Run

    monkeypatch.setattr(results, "FOLDER", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    (tmp_path / "benchmarks.md").write_text("<!-- figures: here -->\n<!-- /figures -->\n")
    machine = dict.fromkeys(
        ("date", "commit", "processor", "cores", "memory_gib", "system", "python", "versions", "load_at_start"), "x"
    )
    table = Table("Title", ["a"], [["1"]])
    results.publish("b", machine=machine, stated={}, runs=[Turn(Run(2, [0.5]))], tables=[table], write=True)
    saved = json.loads((tmp_path / "benchmarks" / "results" / "b.json").read_text())
    assert saved["runs"] == [{"run": {"events": 2, "parts": [0.5]}}]
    assert table.markdown() in (tmp_path / "benchmarks.md").read_text()


def test_a_headline_states_load_commit_and_seed() -> None:
    names = ("date", "commit", "processor", "cores", "memory_gib", "system", "python", "versions", "load_at_start")
    said = headline({name: f"<{name}>" for name in names}, {"seed": 7})
    assert all(f"<{name}>" in said for name in names)
    assert "seed 7" in said
