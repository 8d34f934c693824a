"""Which configuration may write a version of a log's results, as ClickHouse remembers it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.settings import Settings
from sinks.base import PermanentSinkError
from sinks.clickhouse import folds
from sinks.clickhouse.client import connect
from tests.support.clickhouse import migrated_database

pytestmark = pytest.mark.integration

LOGS = {"swarm.metrics": "log-1", "swarm.activities": "log-2"}
REFUSED = r"fold version 1 of the log behind swarm\.\w+ .*\(configuration a, here b\).*MURMUR_FOLD_VERSION to 2"


@pytest.fixture
def settings() -> Iterator[Settings]:
    with migrated_database() as made:
        yield made


def test_the_first_configuration_of_a_version_and_log_is_the_one_that_may_write(settings: Settings) -> None:
    assert folds.announce(settings, config="a", logs=LOGS)
    with pytest.raises(PermanentSinkError, match=REFUSED) as caught:
        folds.announce(settings, config="b", logs=LOGS)
    assert "\n" not in str(caught.value)
    assert folds.announce(settings, config="a", logs=LOGS), "the refused one has changed nothing"


def test_one_common_log_is_enough_to_refuse(settings: Settings) -> None:
    folds.announce(settings, config="a", logs=LOGS)
    with pytest.raises(PermanentSinkError, match=REFUSED):
        folds.announce(settings, config="b", logs=LOGS | {"swarm.metrics": "made again"})


def test_another_version_and_another_log_are_free(settings: Settings) -> None:
    folds.announce(settings, config="a", logs=LOGS)
    second = settings.model_copy(update={"fold_version": 2})
    assert not folds.announce(second, config="b", logs=LOGS), "shown when it has caught up"
    assert folds.announce(settings, config="b", logs={"swarm.metrics": "log-3", "swarm.activities": "log-4"})


def test_of_two_that_started_at_once_the_later_is_refused_whenever_it_looks(settings: Settings) -> None:
    client = connect(settings)
    try:
        for config, second in (("b", 2), ("a", 1)):
            client.command(
                "INSERT INTO fold_configs (fold_version, log_id, config, first_at) "
                f"VALUES (1, 'log-1', '{config}', '2026-01-01 00:00:0{second}')"
            )
    finally:
        client.close()
    with pytest.raises(PermanentSinkError, match=REFUSED):
        folds.announce(settings, config="b", logs=LOGS)
    folds.announce(settings, config="a", logs=LOGS)
    folds.announce(settings, config="a", logs=LOGS)  # what is noted again stays as early as it was
    with pytest.raises(PermanentSinkError, match=REFUSED):
        folds.announce(settings, config="b", logs=LOGS)
