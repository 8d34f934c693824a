"""A second database with the same tables, where recomputed rows wait until somebody has looked at them.

In: settings. Out: settings of the staging database; its rows copied beside or over the live ones.
Never: touches the live database but in `publish`; drops a database it does not name itself.

Rows are absolute and versioned, so `publish` may be broken off and done again.
"""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.client import Client

from models.rows import TABLES
from models.settings import Settings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import INSERT_SETTINGS, connect

# Kept in the order of a flush: results before the anomalies that rest on them.
PUBLISH_ORDER: Final = tuple(TABLES)


def staging_of(settings: Settings, version: int) -> Settings:
    """Settings of the staging database for this fold version."""
    name = f"{settings.clickhouse_database}_replay_v{version}"
    return settings.model_copy(update={"clickhouse_database": name, "fold_version": version})


def exists(settings: Settings) -> bool:
    """Whether the database of these settings exists."""
    client = connect(settings, database="default")
    try:
        sql = "SELECT 1 FROM system.databases WHERE name = {name:String}"
        return bool(client.query(sql, parameters={"name": settings.clickhouse_database}).row_count)
    finally:
        client.close()


def prepare(staging: Settings) -> None:
    """Makes the staging database, with the whole schema. Raises MigrationError."""
    migrate.migrate(staging)


def drop(staging: Settings) -> None:
    """Takes the staging database away with everything in it."""
    if "_replay_v" not in staging.clickhouse_database:
        raise ValueError(f"{staging.clickhouse_database} is no staging database")
    client = connect(staging, database="default")
    try:
        client.command(f"DROP DATABASE IF EXISTS `{staging.clickhouse_database}` SYNC")
    finally:
        client.close()


def publish(client: Client, staging: Settings, tables: tuple[str, ...] = PUBLISH_ORDER) -> None:
    """Copies the rows of these tables into the database of `client`, within the server."""
    for table in tables:
        columns = ", ".join(f"`{field.name}`" for field in TABLES[table])
        client.command(
            f"INSERT INTO `{table}` ({columns}) SELECT {columns} FROM `{staging.clickhouse_database}`.`{table}` FINAL",
            settings={"max_partitions_per_insert_block": INSERT_SETTINGS["max_partitions_per_insert_block"]},
        )
