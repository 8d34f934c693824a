"""Producers make up a name for every event: memory stays within its bounds, and every event counts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.chaos import scale
from tests.support.folds import T0, config, new_fold
from tests.support.installation import Broker, installation
from tests.support.load import Load, Sent
from tests.support.sizes import container_sizes, most
from tests.support.straight import check_snapshots
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow]

OPEN_MAX = 1_000  # the least that may be set
BATCH = 50  # events a record
RECORDS_PER_S = 100  # 5,000 events/s, so that three seconds of event time are more than fit into the partitions
STEADY = 20  # agents that stay
CHUNK = 20  # records folded at once
LOOK_EVERY = 100  # records; a look walks everything


class MadeUp:
    """Batches in which a fifth of the events come from agents that stay and all others from agents never seen again."""

    def __init__(self, seed: int, partitions: int) -> None:
        self._random = random.Random(seed)
        self._partitions = partitions
        self.made = 0

    def records(self, now_ms: int, count: int) -> Iterator[Sent]:
        for _ in range(count):
            self.made += 1
            events = [self._event(now_ms, n) for n in range(BATCH)]
            yield self.made % self._partitions, [], json.dumps(events).encode()

    def _event(self, now_ms: int, n: int) -> dict[str, Any]:
        stays = self._random.random() < 0.2
        return {
            "swarm_id": "s",
            "agent_id": f"a{self._random.randrange(STEADY)}" if stays else f"{self.made}-{n}",
            "metric": "cost_usd",
            "value": self._random.randrange(1_000),
            "timestamp": now_ms - self._random.randrange(500),
            "unit": "usd" if stays else f"u{self.made}-{n}",
        }


def test_names_made_up_for_every_event_fill_no_container_beyond_its_bound(
    monkeypatch: pytest.MonkeyPatch, figures: Callable[..., None]
) -> None:
    monkeypatch.setattr("models.windows.operator.LATE_OPEN_MAX", OPEN_MAX)
    monkeypatch.setattr("models.codecs.dictionaries.LABEL_KEYS_MAX", OPEN_MAX)
    monkeypatch.setattr("streams.fold.NAMES_MIN", OPEN_MAX)
    fold = new_fold(using=config(open_windows_max=OPEN_MAX, series_max=OPEN_MAX, dedup_ids_max=OPEN_MAX))
    made, kinds, measured = MadeUp(scale.SEED, partitions=1), len(fold.config.windows), []
    chunk_events = CHUNK * BATCH
    for start in range(0, 4_000 + int(scale.LONG_S * 20), CHUNK):  # 80 s of event time
        now_ms = T0 + start * 20
        records = made.records(now_ms, CHUNK)
        fold.fold([RawRecord(start + n, now_ms, (), value) for n, (_, _, value) in enumerate(records)])
        fold.take_outputs()
        sizes = fold.sizes()
        assert sizes["open_windows"] <= kinds * (OPEN_MAX + chunk_events)
        assert sizes["generations"] <= kinds * (OPEN_MAX + BATCH)
        assert max(sizes["series"], sizes["units"]) <= 2 * kinds * (2 * OPEN_MAX + chunk_events) + OPEN_MAX
        if start % LOOK_EVERY == 0:
            measured.append(container_sizes(fold))
    half = len(measured) // 2
    # Tables double when they grow, and what was made in a chunk comes on top.
    before, after = most(measured[:half]), most(measured[half:])
    grown = {path for path, n in after.items() if n > 1.2 * before.get(path, 0) + chunk_events}
    assert not grown, {path: (before.get(path, 0), after[path]) for path in grown}
    figures(names=made.made * BATCH * 4 // 5, containers=len(after), elements_max=sum(after.values()), grown=0)


@pytest.mark.integration
def test_rows_equal_the_recount_when_producers_make_up_names(
    each_broker: Broker,
    settings: Settings,
    chance: random.Random,
    figures: Callable[..., None],
) -> None:
    settings = settings.model_copy(
        update={"kafka_bootstrap": each_broker.bootstrap, "open_windows_max": OPEN_MAX, "series_max": OPEN_MAX}
    )
    made = MadeUp(scale.SEED, settings.partitions)
    with installation(each_broker, settings, workers=2) as running:
        with Load(each_broker.bootstrap, made.records, records_per_s=RECORDS_PER_S) as load:
            load.keep_on(scale.seconds(6))
            running.kill(chance.choice(sorted(running.workers)))
            load.keep_on(scale.seconds(6))
            overflow = eventually(lambda: _overflow_events(running), "windows find no room")
        verdict = compare_when_drained(settings)
        running.check_alive()
        eventually(lambda: _floods(settings) == {("s", "cost_usd")}, "the flood is named")
        figures(
            events=verdict.events,
            windows=verdict.windows,
            overflow_events=overflow,
            **running.faults,
            snapshots_checked=check_snapshots(settings, verdict.log),
            differences=0,
            drain_s=verdict.drain_s,
        )


def _overflow_events(running: Any) -> int:
    """What the workers that run count, the windows of each size for themselves."""
    return sum(worker.status().get("counters", {}).get("overflow_events", 0) for worker in running.workers.values())


def _floods(settings: Settings) -> set[tuple[str, str]]:
    """(swarm, metric) that the detector names; one row a partition."""
    client = connect(settings)
    try:
        sql = "SELECT swarm_id, evidence['flooding_metric'] FROM v_anomalies WHERE detector = 'name_flood'"
        return set(client.query(sql).result_rows)
    finally:
        client.close()
