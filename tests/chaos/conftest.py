"""Fixtures of the scenarios: brokers that may be killed, settings with short intervals, the lines of figures."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import commit
from models.settings import Settings
from tests.chaos import scale
from tests.conftest import FIGURES
from tests.support.brokers import EmbeddedBroker
from tests.support.installation import Broker
from tests.support.kafka import apache_kafka
from tests.support.workers import quick_settings

KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


def _params(default: list[Any]) -> list[Any]:
    named: dict[str, list[Any]] = {"": default, "embedded": ["embedded"], "kafka": [KAFKA]}
    if scale.BROKER not in named:
        raise pytest.UsageError(f"MURMUR_CHAOS_BROKER (BROKER) {scale.BROKER!r}: embedded or kafka")
    return named[scale.BROKER]


@pytest.fixture(params=_params(["embedded"]))
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker of this test's own: the embedded one unless MURMUR_CHAOS_BROKER says otherwise."""
    yield from _broker(request.param)


@pytest.fixture(params=_params(["embedded", KAFKA]))
def each_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Both brokers in turn, unless MURMUR_CHAOS_BROKER names one."""
    yield from _broker(request.param)


@pytest.fixture
def settings(clickhouse: Settings, tmp_path: Path) -> Settings:
    """Short windows and intervals: each second of a scenario flushes, closes and saves. The broker is still missing."""
    return quick_settings(
        clickhouse,
        "",
        tmp_path / "home",
        windows="1s,10s",
        allowed_lateness_ms=2_000,
        flush_interval_ms=200,
        snapshot_interval_ms=500,
        snapshots_kept=1_000,  # all of them: each is compared with a straight fold
    )


@pytest.fixture
def chance() -> random.Random:
    """Decides what happens when; seeded."""
    return random.Random(scale.SEED)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Tells one line of figures: at once and in the summary."""

    def tell(**values: Any) -> None:
        shown = {k: f"{v:.1f}" if isinstance(v, float) else v for k, v in values.items()}
        words = " ".join(f"{name}={value}" for name, value in shown.items())
        line = f"{request.node.name.removeprefix('test_')}: {words} seed={scale.SEED}"
        print(f"\n{line}")
        request.node.user_properties.append((FIGURES, line))

    return tell


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        replay = scale.replay(getattr(item, "originalname", item.name), item.nodeid)
        report.sections.append(("chaos", f"seed={scale.SEED} commit={commit()} replay: {replay}"))


def _broker(kind: str) -> Iterator[Broker]:
    if kind == "kafka":
        with apache_kafka() as node:
            yield node
        return
    one = EmbeddedBroker().start()
    try:
        yield one
    finally:
        one.stop()
