"""Which fold versions there are, which one the views show, and who may write them.

In: a fold version with its configuration. Out: rows of `folds` and `fold_configs`. Never: hides results before others
can take their place: a second version is shown once it has caught up with the log. Never: lets two configurations
write one version of a log's results.
"""

from __future__ import annotations

from collections.abc import Mapping

from clickhouse_connect.driver.exceptions import ClickHouseError

from models.settings import Settings
from sinks.base import PermanentSinkError, SinkError
from sinks.clickhouse.client import INSERT_SETTINGS, Client, connect
from sinks.clickhouse.errors import RowRejectedError, translate

_COLUMNS = ["fold_version", "active", "allowed_lateness_ms", "note"]


def announce(settings: Settings, *, config: str, logs: Mapping[str, str]) -> bool:
    """Notes a fold version that starts to write; returns whether the views show it already.

    `config`: fingerprint of what shapes the results; `logs`: full topic name -> id of its log.
    The first version is shown at once, a later one after `activate`. Raises SinkError, a PermanentSinkError when
    another configuration computes this version of one of the logs.
    """
    client = connect(settings)
    try:
        _claim(client, settings.fold_version, config, logs)
        rows = client.query("SELECT fold_version, active FROM folds FINAL").result_rows
        active = not rows or any(version == settings.fold_version and shown for version, shown in rows)
        _insert(client, settings, active=active, note=f"worker started, configuration {config}")
        return active
    except (ClickHouseError, OSError) as error:
        raise _translated(error) from error
    finally:
        client.close()


def activate(settings: Settings, *, config: str, logs: Mapping[str, str]) -> None:
    """Lets the views show this fold version. Raises SinkError, as `announce` does."""
    client = connect(settings)
    try:
        _claim(client, settings.fold_version, config, logs)
        _insert(client, settings, active=True, note=f"caught up with the log, configuration {config}")
    except (ClickHouseError, OSError) as error:
        raise _translated(error) from error
    finally:
        client.close()


def _claim(client: Client, version: int, config: str, logs: Mapping[str, str]) -> None:
    """The earliest configuration of a version and log is its own: of two that start at once, one finds the other."""
    owners = _owners(client, version, logs, config)
    unclaimed = [[version, log_id, config] for log_id in logs.values() if log_id not in owners]
    if unclaimed:
        columns = ["fold_version", "log_id", "config"]
        client.insert("fold_configs", unclaimed, column_names=columns, settings=dict(INSERT_SETTINGS))
        _owners(client, version, logs, config)


def _owners(client: Client, version: int, logs: Mapping[str, str], config: str) -> set[str]:
    """The logs whose version this configuration computes. Raises PermanentSinkError when it is another's."""
    rows = client.query(
        "SELECT log_id, argMin(config, (first_at, config)) FROM fold_configs "
        "WHERE fold_version = {version:UInt16} AND log_id IN {logs:Array(String)} GROUP BY log_id",
        {"version": version, "logs": sorted(logs.values())},
    ).result_rows
    owners = {str(log_id): str(owner) for log_id, owner in rows}
    for topic, log_id in sorted(logs.items()):
        owner = owners.get(log_id, config)
        if owner != config:
            raise PermanentSinkError(
                f"fold version {version} of the log behind {topic} is computed under other settings (configuration "
                f"{owner}, here {config}): windows, lateness, skew, memory bounds, anomaly threshold, detectors, "
                "prices or the release differ, and results of two configurations must not mix. Give this worker the "
                f"settings of the others, or set MURMUR_FOLD_VERSION to {version + 1} to recompute from the log beside "
                "the old results."
            )
    return set(owners)


def _insert(client: Client, settings: Settings, *, active: bool, note: str) -> None:
    row = [settings.fold_version, int(active), settings.allowed_lateness_ms, note]
    client.insert("folds", [row], column_names=_COLUMNS, settings=dict(INSERT_SETTINGS))


def _translated(error: Exception) -> SinkError:
    problem = translate(error, where="ClickHouse table folds")
    return PermanentSinkError(str(problem)) if isinstance(problem, RowRejectedError) else problem
