"""Clocks are wrong or jump, events are late and out of order: the final rows depend on none of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.chaos import scale
from tests.support.installation import Broker, Installation, installation
from tests.support.load import Load, Sent, fill
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EVENTS = int(scale.LONG_S * 500) or 3_000  # in each order
SPAN_MS = 20 * 60_000
HOUR_MS = 3_600_000
SHUFFLE_MS = 10 * 60_000
LATE_RATIO = 0.05
BATCHES = (1, 1, 5, 20)
# Producers by what their clock is wrong by; beyond the future limit every event is a dead letter.
SKEWS_MS = {"honest": 0, "slow": -HOUR_MS, "fast": HOUR_MS, "lost": 10 * 365 * 24 * HOUR_MS}
FUTURE = ("fast", "lost")
ORDERS: dict[str, Callable[[dict[str, Any], random.Random], float]] = {
    "as it happened": lambda event, _: event["timestamp"],
    "shuffled within ten minutes": lambda event, chance: event["timestamp"] + chance.uniform(0, SHUFFLE_MS),
    "backwards": lambda event, _: -event["timestamp"],
}
FAKETIME = "**/faketime/libfaketimeMT.so.1"  # of Debian's package libfaketime
JUMPS = ("+3600", "-3600", "-864000", "+0")  # seconds from the true time


def test_rows_equal_the_recount_after_the_workers_clock_jumped(
    broker: Broker, settings: Settings, figures: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = next(Path("/usr/lib").glob(FAKETIME), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    for name, value in {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock that is set does not move this one
    }.items():
        monkeypatch.setenv(name, value)
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    with (
        installation(broker, settings, workers=2) as running,
        Load(broker.bootstrap, Traffic(scale.SEED + 7).records, records_per_s=200) as load,
    ):
        for jump in JUMPS:
            clock.write_text(jump)
            running.count("jumps")
            load.keep_on(2 + scale.seconds(1) / len(JUMPS))
            eventually(partial(_has_jumped, running, float(jump) * 1000), "the worker's clock has jumped")
        load.stop()
        verdict = compare_when_drained(settings)
        running.check_alive()
        figures(events=verdict.events, **running.faults, differences=0, drain_s=verdict.drain_s)


def _has_jumped(running: Installation, ahead_ms: float) -> bool:
    told_ms = float(running.workers["worker-1"].status()["updated_at_ms"])
    return abs(told_ms - time.time() * 1000 - ahead_ms) < HOUR_MS / 4


def test_final_rows_are_the_same_in_every_order_of_arrival(
    broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap, "partitions": len(ORDERS)})
    events = list(_events(chance, int(time.time() * 1000)))
    with installation(broker, settings, workers=1) as running:
        fill(broker.bootstrap, _records(events, chance))
        verdict = compare_when_drained(settings)
        future = sum(event["agent_id"] in FUTURE for event in events)
        assert verdict.dead_letters == future * len(ORDERS)
        rows = [_rows(settings, f"order-{n}") for n in range(len(ORDERS))]
        assert rows[0]
        assert rows[1:] == rows[:1] * (len(ORDERS) - 1)
        generations, at_most = _generations(settings), len(verdict.windows_of("order-0"))
        open_windows = _open_windows(running.workers["worker-1"].status())
        assert all(found <= at_most for found in open_windows), (open_windows, at_most)
        figures(
            events=verdict.events,
            dead_letters=verdict.dead_letters,
            orders=len(ORDERS),
            windows=verdict.windows,
            late_generations=generations,
            open_windows_max=max(open_windows),
            differences=0,
            drain_s=verdict.drain_s,
        )


def _events(chance: random.Random, now_ms: int) -> Iterator[dict[str, Any]]:
    for _ in range(EVENTS):
        agent = chance.choices(list(SKEWS_MS), [7, 1, 1, 1])[0]
        late_ms = chance.randrange(HOUR_MS) if chance.random() < LATE_RATIO else 0
        happened_ms = now_ms - chance.randrange(SPAN_MS) - (0 if agent in FUTURE else late_ms)
        yield {
            "agent_id": agent,
            "metric": chance.choice(["cost_usd", "queue.depth"]),
            "value": chance.randrange(-50, 1_000),
            "timestamp": happened_ms + SKEWS_MS[agent],
        }


def _records(events: list[dict[str, Any]], chance: random.Random) -> Iterator[Sent]:
    """The same events once for each order, each in a partition and a swarm of its own."""
    for number, order in enumerate(ORDERS.values()):
        arriving = sorted(events, key=lambda event: order(event, chance))
        while arriving:
            size = chance.choice(BATCHES)
            batch, arriving = arriving[:size], arriving[size:]
            named = [event | {"swarm_id": f"order-{number}"} for event in batch]
            yield number, [], json.dumps(named if size > 1 else named[0]).encode()


def _rows(settings: Settings, swarm: str) -> list[Any]:
    """Everything exact that `v_windows` shows of a swarm."""
    client = connect(settings)
    try:
        return list(
            client.query(
                "SELECT agent_id, metric, window_ms, window_start, events, sum, min, max FROM v_windows "
                "WHERE swarm_id = {swarm:String} ORDER BY ALL",
                parameters={"swarm": swarm},
            ).result_rows
        )
    finally:
        client.close()


def _generations(settings: Settings) -> int:
    client = connect(settings)
    try:
        return int(client.query("SELECT count() FROM windows FINAL WHERE gen > 0").first_row[0])
    finally:
        client.close()


def _open_windows(status: dict[str, Any]) -> list[int]:
    return [p["containers"]["open_windows"]["size"] for p in status["partitions"] if p["topic"] == "swarm.metrics"]
