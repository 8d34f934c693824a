"""Keys come and go for a long time: memory stays where it was, and a worker that was killed catches up."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats

from models.codecs.records import RawRecord
from models.settings import Settings
from tests.chaos import scale
from tests.support.folds import T0, config, new_fold
from tests.support.installation import Broker, Installation, installation
from tests.support.load import Load, Sent, fill
from tests.support.sizes import container_sizes, most
from tests.support.verdict import compare_when_drained, events_stored
from tests.support.waiting import WITHIN_S, eventually

pytestmark = [pytest.mark.slow]

BATCH = 100  # events a record
BATCH_IN_PROCESS = 20
AGENTS = 200  # that live at the same time
LIFE_RECORDS = 200  # after which all of them are others
LATE_RATIO = 0.02
IDLE_MS = 60_000  # the least: scorers of the gone go soon
RECORDS_PER_S = 20  # 2,000 events/s, 20 new agents/s
CHUNK = 50  # records folded at once
LAG_RECORDS = 10_000 if scale.LONG else 1_000
# Lives whose last window closed within IDLE_MS; a quarter more for windows that close late.
SCORERS_MAX = AGENTS * 2 * (IDLE_MS * 5 // 4) * RECORDS_PER_S // LIFE_RECORDS // 1_000  # of one partition
CATCH_UP_S_PER_MILLION_MAX = 10.0
FIXED_S = 25.0  # a new process, and the group's wait for the dead one
SLOPE_TOLD_FROM_S = 600
SLOPE_JUDGED_FROM_S = 3_600  # an hour shows growth from about 6 MB an hour on, five hours from 1.5
SLOPE_MAX_MB_PER_H = 1.0
FLOORS = 10  # of the second half: each holds several of the moments at which a worker gives free memory back
GROWTH_MAX = 1.2  # how many keys are alive at once is chance: over seeds the halves differ by up to a ninth


class Churn:
    """Batches of events whose agents are replaced all the time; integer values."""

    def __init__(self, seed: int, partitions: int, batch: int = BATCH) -> None:
        self._batch = batch
        self._random = random.Random(seed)
        self._partitions = partitions
        self.made = 0

    def records(self, now_ms: int, count: int) -> Iterator[Sent]:
        for _ in range(count):
            life = self.made // LIFE_RECORDS
            events = [self._event(now_ms, life) for _ in range(self._batch)]
            yield self.made % self._partitions, [], json.dumps(events).encode()
            self.made += 1

    def _event(self, now_ms: int, life: int) -> dict[str, Any]:
        late_ms = self._random.randrange(120_000) if self._random.random() < LATE_RATIO else 0
        return {
            "swarm_id": "soak",
            "agent_id": f"a{life}-{self._random.randrange(AGENTS)}",
            "metric": self._random.choice(["cost_usd", "queue.depth"]),
            "value": self._random.randrange(1_000),
            "timestamp": now_ms - late_ms,
        }


def test_no_container_of_the_state_grows_while_keys_come_and_go(figures: Callable[..., None]) -> None:
    records, measured = 12_000 + int(scale.LONG_S * 100), []
    fold = new_fold(using=config(series_idle_ms=IDLE_MS, dedup_ids_max=1_000))
    churn = Churn(scale.SEED, partitions=1, batch=BATCH_IN_PROCESS)
    for start in range(0, records, CHUNK):
        now_ms = T0 + start * 250
        made = churn.records(now_ms, CHUNK)
        fold.fold([RawRecord(start + n, now_ms, (), value) for n, (_, _, value) in enumerate(made)])
        fold.take_outputs()
        if start % (10 * CHUNK) == 0:
            fold.state()  # as a snapshot does: it gives back what no open window needs
            measured.append(container_sizes(fold))
    half = len(measured) // 2  # the first half is longer than the 4,096 offsets of a late generation
    before, after = most(measured[:half]), most(measured[half:])
    grown = {path: (before.get(path, 0), n) for path, n in after.items() if n > GROWTH_MAX * before.get(path, 0) + 10}
    assert not grown
    figures(
        records=records,
        keys=records // LIFE_RECORDS * AGENTS * 2,
        containers=len(after),
        elements_max=sum(after.values()),
        grown=0,
    )


@pytest.mark.integration
def test_memory_stays_level_under_churn_and_a_killed_worker_catches_up(
    broker: Broker, settings: Settings, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(
        update={
            "kafka_bootstrap": broker.bootstrap,
            "series_idle_ms": IDLE_MS,
            "snapshots_kept": 3,
            "flush_interval_ms": 1_000,  # the defaults: what a worker costs that runs for long
            "snapshot_interval_ms": 10_000,
        }
    )
    churn = Churn(scale.SEED + 8, settings.partitions)
    with installation(broker, settings, workers=1) as running:
        rss: list[tuple[float, float]] = []
        with Load(broker.bootstrap, churn.records, records_per_s=RECORDS_PER_S) as load:
            end_s = time.monotonic() + scale.seconds(10)
            while time.monotonic() < end_s:
                load.keep_on(1)
                rss.append((time.monotonic(), running.rss_bytes()["worker-1"] / 2**20))
        sizes = _sizes(running.workers["worker-1"].status())
        caught_up_s, lag_events = _catch_up(settings, running, churn)
        growth, error = _growth_mb_per_h(rss)
        shape = {"rss_mb_per_h": f"{growth:.1f}+-{error:.1f}", "rss_mb_by_tenth": _by_tenth(rss)}
        figures(
            keys=churn.made // LIFE_RECORDS * AGENTS * 2,
            rss_mb=int(rss[-1][1]),
            **(shape if scale.LONG_S >= SLOPE_TOLD_FROM_S else {}),
            **sizes,
            lag_events=lag_events,
            caught_up_s=caught_up_s,
        )  # before the comparison, which of an hour's log takes minutes
        verdict = compare_when_drained(settings)
        figures(events=verdict.events, topic_rows=verdict.topic_rows, differences=0, drain_s=verdict.drain_s)
        assert sizes["scorers"] <= SCORERS_MAX * settings.partitions
        assert caught_up_s < FIXED_S + lag_events * CATCH_UP_S_PER_MILLION_MAX / 1e6
        if scale.LONG_S >= SLOPE_JUDGED_FROM_S:
            assert math.isfinite(error), "too few looks at the memory to say anything"
            assert growth - error < SLOPE_MAX_MB_PER_H, "memory grows, and not by chance"


def _catch_up(settings: Settings, running: Installation, churn: Churn) -> tuple[float, int]:
    """Kills the worker and lets a backlog grow; returns the seconds a new one takes, and the events it finds."""
    running.workers["worker-1"].kill()
    running.count("kills")
    fill(settings.kafka_bootstrap, churn.records(int(time.time() * 1000), LAG_RECORDS))
    started_s = time.monotonic()
    running.start("worker-1")
    expected = churn.made * BATCH
    eventually(lambda: events_stored(settings) >= expected, "caught up", within_s=WITHIN_S + LAG_RECORDS / 100)
    return time.monotonic() - started_s, LAG_RECORDS * BATCH


def _sizes(status: dict[str, Any]) -> dict[str, int]:
    """Sizes the worker tells of its state, of all partitions."""
    names = ("open_windows", "series", "scorers", "producers", "ids")
    return {name: sum(p["containers"][name]["size"] for p in status["partitions"]) for name in names}


def _by_tenth(rss: list[tuple[float, float]]) -> str:
    """The median of each tenth of the run: whether it levels off, jumps or goes on rising."""
    return "/".join(f"{np.median(part):.1f}" for part in np.array_split(np.array(rss)[:, 1], 10))


def _growth_mb_per_h(rss: list[tuple[float, float]]) -> tuple[float, float]:
    """How fast memory grows, with the half width of its 95 % interval: the slope of the second half's floors.

    The first half fills caches, scorers and the allocator. Floors, as what a flush takes for a moment is no growth.
    """
    if len(rss) < SLOPE_TOLD_FROM_S // 2:  # a sample a second, or somewhat less often
        return 0.0, math.inf
    parts = np.array_split(np.array(rss[len(rss) // 2 :]), FLOORS)
    line = stats.linregress([part[:, 0].mean() / 3_600 for part in parts], [part[:, 1].min() for part in parts])
    return float(line.slope), float(stats.t.ppf(0.975, FLOORS - 2) * line.stderr)
