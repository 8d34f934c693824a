"""Shared fixtures: real brokers and the real ClickHouse engine, started by the first test that needs them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from models.settings import Settings

# A deadline for each example would fail on a busy machine and prove nothing; pytest's timeout ends what hangs.
hypothesis.settings.register_profile(
    "murmur", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("murmur")

# A shell without job control starts its background jobs with Ctrl-C ignored, and every child inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test's user property of this name is a line of figures for the summary; it reaches it from every pytest worker.
FIGURES = "figures"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Ends the run with the figures its tests measured, and the machine they were measured on."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    lines = [line for one in reports if one.when == "call" for name, line in one.user_properties if name == FIGURES]
    if lines:
        from benchmarks.machine import describe

        terminalreporter.section("figures")
        terminalreporter.line(describe())
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture
def clickhouse() -> Iterator[Settings]:
    """Settings of a migrated database of this test's own."""
    from tests.support.clickhouse import migrated_database

    with migrated_database() as settings:
        yield settings


@pytest.fixture
def broker() -> Iterator[str]:
    """Bootstrap address of an embedded broker of this test's own, without topics."""
    from tests.support.brokers import EmbeddedBroker

    one = EmbeddedBroker().start()
    try:
        yield one.bootstrap
    finally:
        one.stop()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def any_broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """Bootstrap address of each broker in turn: the embedded one, and Apache Kafka where it can run."""
    if request.param == "embedded":
        yield request.getfixturevalue("broker")
        return
    from tests.support.kafka import apache_kafka

    with apache_kafka() as kafka:
        yield kafka.bootstrap
