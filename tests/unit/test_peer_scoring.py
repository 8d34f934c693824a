"""Through the fold: a young agent is told by its peers, once; a lasting change of level is told and is no alarm."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from models.anomaly import change_point, new_scorer
from models.anomaly.tuning import WARM_UP_WINDOWS
from models.codecs.records import RawRecord
from streams.alert_inputs import InputCounters, anomaly_samples
from streams.fold import PartitionFold
from streams.peer_scoring import PeerGroups
from streams.scoring import Held
from tests.support.folds import T0, config, new_fold, record, run

AGENTS = 10
BORN = 40  # the window in which the new agent begins
WINDOW_MS = 1_000
Value = Callable[[int, str, float], float]  # window, agent, quiet value -> value


def log(windows: int, value: Value, *, agents: int = AGENTS, metric: str = "task_duration") -> list[RawRecord]:
    """Agents that differ by nature tell one value a window; one more, `new`, begins at BORN."""
    noise = random.Random(7)
    levels = {f"a{i}": 100 * noise.lognormvariate(0, 0.2) for i in range(agents)} | {"new": 100.0}
    records = []
    for window in range(windows):
        at = T0 + window * WINDOW_MS
        names = [name for name in levels if name != "new" or window >= BORN]
        quiet = {name: levels[name] * noise.lognormvariate(0, 0.1) for name in names}
        events = [
            {
                "swarm_id": "s",
                "agent_id": name,
                "metric": metric,
                "timestamp": at,
                "value": value(window, name, quiet[name]),
            }
            for name in names
        ]
        records.append(record(window, msgspec.json.encode(events), at_ms=at))
    return records


def rows(records: list[RawRecord], fold: PartitionFold | None = None) -> list[dict[str, Any]]:
    fold = fold or new_fold(using=config(windows="1s"))
    fold.fold(records)
    table = fold.take_outputs().batch().get("anomalies")
    return [] if table is None else table.to_pylist()


def of(detector: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in found if row["detector"] == detector]


def window_of(row: dict[str, Any]) -> int:
    return int((row["window_start"].timestamp() * 1_000 - T0) // WINDOW_MS)


def tenfold(window: int, agent: str, quiet: float) -> float:
    return quiet * 10 if agent == "new" else quiet


def quiet(window: int, agent: str, value: float) -> float:
    return value


def test_a_tenfold_new_agent_is_told_by_its_peers_once_and_never_again_when_it_is_grown() -> None:
    found = rows(log(BORN + 100, tenfold))
    (row,) = found
    assert (row["detector"], row["agent_id"], row["direction"]) == ("peers", "new", "above")
    assert BORN <= window_of(row) <= BORN + 2
    assert row["score"] >= 0.999
    assert row["severity"] in ("low", "medium", "high", "critical")
    assert row["value"] > row["expected_high"]
    evidence = dict(row["evidence"])
    assert evidence["peers"] == str(AGENTS)
    assert int(evidence["learning_left"]) == WARM_UP_WINDOWS - 1 - (window_of(row) - BORN)
    for part in ("still learning", "its peers", f"{AGENTS} agents", evidence["peers_median"], evidence["peers_high"]):
        assert part in row["reason"]
    assert float(evidence["peers_low"]) <= float(evidence["peers_median"]) <= float(evidence["peers_high"])
    assert row["evidence_from_offset"] == window_of(row)


def test_quiet_agents_are_told_neither_young_nor_grown() -> None:
    assert rows(log(BORN + 60, quiet)) == []


def test_an_event_that_begins_in_the_last_young_windows_is_one_alarm() -> None:
    def late(window: int, agent: str, value: float) -> float:
        return value * 10 if agent == "new" and window >= BORN + 9 else value

    alarms = [row for row in rows(log(BORN + 80, late)) if row["severity"] != "info"]
    assert [(row["detector"], row["agent_id"]) for row in alarms] == [("peers", "new")]


def test_after_its_first_grown_windows_it_speaks_for_itself_again() -> None:
    def twice(window: int, agent: str, value: float) -> float:
        return value * (100 if window >= BORN + 60 else 10) if agent == "new" else value

    alarms = [row for row in rows(log(BORN + 90, twice)) if row["severity"] != "info"]
    assert [row["detector"] for row in alarms] == ["peers", "river_full"]
    assert window_of(alarms[1]) == BORN + 60


def test_seven_peers_and_the_textbook_methods_judge_nobody_young() -> None:
    assert of("peers", rows(log(BORN + 30, tenfold, agents=7))) == []
    fences = new_fold(using=config(windows="1s", anomaly_mode="zscore", anomaly_sensitivity=6.0))
    assert of("peers", rows(log(BORN + 30, tenfold), fences)) == []


def test_agents_of_another_swarm_or_metric_are_no_peers() -> None:
    def moved(records: list[RawRecord], key: str, name: str) -> Iterator[RawRecord]:
        for each in records:
            events = json.loads(each.value or b"")
            for event in events:
                if event["agent_id"] == "new":
                    event[key] = name
            yield record(each.offset, json.dumps(events).encode(), at_ms=each.timestamp_ms)

    for key in ("swarm_id", "metric"):
        assert rows(list(moved(log(BORN + 30, tenfold), key, "other"))) == []


def stepped(window: int, agent: str, value: float) -> float:
    return value * 2.5 if agent == "a3" and window >= 60 else value


def test_a_lasting_change_is_a_row_of_its_own_that_says_when_and_how_far() -> None:
    found = rows(log(120, stepped))
    (row,) = of("change_point", found)
    assert (row["agent_id"], row["severity"], row["score"], row["direction"]) == ("a3", "info", 0.0, "above")
    assert window_of(row) == 60
    assert row["value"] == pytest.approx(2.5 * row["expected_low"], rel=0.1)
    assert row["expected_low"] == row["expected_high"]
    assert row["evidence_from_offset"] == 60 < row["evidence_to_offset"]
    assert "rose from" in row["reason"]
    # Beside it stands the alarm of the first odd window, with an id of its own; the swarm as a whole says nothing.
    assert {r["detector"] for r in found} == {"change_point", "river_full"}
    assert len({r["anomaly_id"] for r in found}) == len(found)


def test_a_change_point_is_counted_apart_and_no_alert_rule_sees_it() -> None:
    fold = new_fold(using=config(windows="1s"))
    found = rows(log(120, stepped), fold)
    assert (fold.counters.change_points, fold.counters.anomalies) == (1, len(found) - 1)
    topic = [
        {k: row[k] for k in ("anomaly_id", "swarm_id", "agent_id", "metric", "window_ms", "score", "severity")}
        | {"window_start": round(row["window_start"].timestamp() * 1_000), "fold_version": 1}
        for row in found
    ]
    counters = InputCounters()
    raw = [record(i, json.dumps(row).encode()) for i, row in enumerate(topic)]
    samples = list(anomaly_samples(raw, fold_version=1, counters=counters))
    assert [s.labels["severity"] for s in samples] == [r["severity"] for r in found if r["severity"] != "info"]
    assert counters.unreadable == 0


def test_a_change_point_alone_does_not_start_a_write_of_its_own() -> None:
    fold = new_fold(using=config(windows="1s"))
    records = log(120, stepped)
    for each in records:
        fold.fold([each])
        waiting = fold.outputs.tables.get("anomalies", [])
        severities = {row["severity"] for table in waiting for row in table.to_pylist()}
        assert fold.outputs.urgent == bool(severities - {"info"})
        if fold.outputs.urgent:
            fold.outputs.take_anomalies()
    assert fold.counters.change_points == 1


@pytest.mark.parametrize("cut", [1, 7, 23])
@pytest.mark.parametrize("restart", [-1, BORN + 3, 66])
def test_chunks_and_restarts_change_nothing(cut: int, restart: int) -> None:
    def both(window: int, agent: str, value: float) -> float:
        return stepped(window, agent, tenfold(window, agent, value))

    records = log(100, both)
    using = config(windows="1s")
    state, straight = run(records, [len(records)], using=using)
    again, parts = run(records, [cut], restart_at=restart, using=using)
    assert {row["detector"] for row in straight["anomalies"]} == {"peers", "river_full", "change_point"}
    assert parts["anomalies"] == straight["anomalies"]
    assert again == state


def test_a_series_that_is_forgotten_is_nobodys_peer_and_leaves_no_trace() -> None:
    groups = PeerGroups()
    held = [Held(new_scorer("m"), 1, 0, change_point.fresh()) for _ in range(40)]
    for i, one in enumerate(held):
        groups.add(("s", f"a{i}", "m"), one)
    groups.add(("s", "", "m"), held[0])  # the swarm's own
    for i, one in enumerate(held):
        assert len(groups) == 1
        groups.remove(("s", f"a{i}", "m"), one)
        group = groups._groups.get(("s", "m"))
        assert group is None or len(group.members) <= 2 * (39 - i)
    assert len(groups) == 0
