"""Which fold versions there are, and which one the views show.

In: a fold version with its configuration. Out: rows of `folds`. Never: hides results before others can take their
place: a second version is shown once it has caught up with the log.
"""

from __future__ import annotations

from clickhouse_connect.driver.exceptions import ClickHouseError

from models.settings import Settings
from sinks.base import PermanentSinkError, SinkError
from sinks.clickhouse.client import INSERT_SETTINGS, Client, connect
from sinks.clickhouse.errors import RowRejectedError, translate

_COLUMNS = ["fold_version", "active", "allowed_lateness_ms", "note"]


def announce(settings: Settings, *, config: str) -> bool:
    """Notes a fold version that starts to write; returns whether the views show it already.

    The first version is shown at once, a later one after `activate`. Raises SinkError.
    """
    client = connect(settings)
    try:
        rows = client.query("SELECT fold_version, active FROM folds FINAL").result_rows
        active = not rows or any(version == settings.fold_version and shown for version, shown in rows)
        _insert(client, settings, active=active, note=f"worker started, configuration {config}")
        return active
    except (ClickHouseError, OSError) as error:
        raise _translated(error) from error
    finally:
        client.close()


def activate(settings: Settings, *, config: str) -> None:
    """Lets the views show this fold version. Raises SinkError."""
    client = connect(settings)
    try:
        _insert(client, settings, active=True, note=f"caught up with the log, configuration {config}")
    except (ClickHouseError, OSError) as error:
        raise _translated(error) from error
    finally:
        client.close()


def _insert(client: Client, settings: Settings, *, active: bool, note: str) -> None:
    row = [settings.fold_version, int(active), settings.allowed_lateness_ms, note]
    client.insert("folds", [row], column_names=_COLUMNS, settings=dict(INSERT_SETTINGS))


def _translated(error: Exception) -> SinkError:
    problem = translate(error, where="ClickHouse table folds")
    return PermanentSinkError(str(problem)) if isinstance(problem, RowRejectedError) else problem
