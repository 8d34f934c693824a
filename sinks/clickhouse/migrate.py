"""Brings a database to this version's schema, and back.

In: an open client, the frozen SQL files of `migrations/`. Out: what was or would be done.
Never: imports living code into a migration, edits an applied file, runs a dangerous statement unasked.

ClickHouse has no transactions around DDL. So every statement is repeatable, a file is written to the ledger only
after its last statement, and a run that broke off half-way is simply run again. Two runs at once do the same twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from models.settings import Settings
from sinks.base import PermanentSinkError, SinkError
from sinks.clickhouse.client import connect
from sinks.clickhouse.errors import translate
from sinks.clickhouse.statements import dangers, split

DIRECTORY: Final = Path(__file__).parent / "migrations"
LEDGER: Final = "schema_migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z][a-z0-9_]*)\.sql\Z")

# Append-only: the last row of a version says whether it is applied. Ordered by time to the microsecond.
_LEDGER_DDL: Final = f"""
CREATE TABLE IF NOT EXISTS {LEDGER}
(
    version  UInt32 COMMENT 'Number of the migration.',
    name     String COMMENT 'Name of the migration.',
    checksum String COMMENT 'SHA-256 of the file that was run.',
    action   LowCardinality(String) COMMENT 'up | down.',
    at       DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When, UTC.'
)
ENGINE = MergeTree
ORDER BY (version, at)
COMMENT 'Which migrations were run; written by `murmur migrate` only.'
"""


class MigrationError(PermanentSinkError):
    """The files and the database do not fit together; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step: the file forwards, and the file back."""

    version: int
    name: str
    up: str
    down: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file forwards, in hexadecimal; the ledger keeps it."""
        return hashlib.sha256(self.up.encode()).hexdigest()

    @property
    def label(self) -> str:
        """The name of the file without its suffix: 0007_summary_views."""
        return f"{self.version:04d}_{self.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement that was run, or would be."""

    migration: Migration
    statement: str


def load(directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations of a directory, oldest first; raises MigrationError when the numbering is broken."""
    found: list[Migration] = []
    for path in sorted(p for p in directory.glob("*.sql") if not p.name.endswith(".down.sql")):
        match = _FILE_NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is called NNNN_name.sql, for example 0007_alerts.sql")
        back = path.with_name(f"{match[1]}_{match[2]}.down.sql")
        if not back.exists():
            raise MigrationError(f"{path.name}: {back.name} is missing; every migration needs its way back")
        found.append(Migration(int(match[1]), match[2], path.read_text("utf-8"), back.read_text("utf-8")))
    numbers = [m.version for m in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations must be numbered 0001, 0002, ... without gaps; found {numbers}")
    return found


def applied(client: Client) -> dict[int, str]:
    """version -> checksum of what is applied in the client's database, oldest first. Changes nothing."""
    ledger = f"SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = '{LEDGER}'"
    if not client.query(ledger).row_count:
        return {}
    rows = client.query(
        f"SELECT version, argMax(checksum, at), argMax(action, at) AS last FROM {LEDGER} "
        "GROUP BY version HAVING last = 'up' ORDER BY version"
    ).result_rows
    return {int(version): str(checksum) for version, checksum, _ in rows}


def database_id(client: Client) -> str:
    """Tells this database from one made again, or another server's: when its schema began, in microseconds.

    Empty before that. A backup that is restored keeps it, with the ledger.
    """
    if not applied(client):
        return ""
    began = f"SELECT toUnixTimestamp64Micro(max(at)) FROM {LEDGER} WHERE version = 1 AND action = 'up'"
    return str(client.query(began).result_rows[0][0])


def pending(client: Client, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """What is not applied yet, oldest first. Changes nothing.

    Raises MigrationError when an applied file was changed, or the database is newer than this version.
    """
    known = load() if migrations is None else list(migrations)
    done = applied(client)
    by_version = {m.version: m for m in known}
    for version, checksum in done.items():
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(
                f"the database has migration {version:04d}, this version of murmur ends at {len(known):04d}: "
                "install the newer murmur, or go back with its `murmur migrate --to`"
            )
        if migration.checksum != checksum:
            raise MigrationError(
                f"{migration.label}.sql was changed after it was applied (ledger {checksum[:12]}, file "
                f"{migration.checksum[:12]}): restore the file and put the change into a new migration"
            )
    return [m for m in known if m.version not in done]


def apply(
    client: Client,
    migrations: Sequence[Migration] | None = None,
    *,
    dry_run: bool = False,
    allow_dangerous: bool = False,
) -> list[Step]:
    """Runs everything pending and returns its statements; with `dry_run` only returns them."""
    todo = pending(client, migrations)
    steps = [Step(m, statement) for m in todo for statement in split(m.up)]
    if not allow_dangerous:
        _refuse_dangers(steps, "--allow-dangerous")
    if dry_run or not todo:
        return steps
    _run(client, _LEDGER_DDL, "the ledger")
    for migration in todo:
        for statement in split(migration.up):
            _run(client, statement, f"{migration.label}.sql")
        _record(client, migration, "up")
    return steps


def down(
    client: Client,
    *,
    to_version: int,
    migrations: Sequence[Migration] | None = None,
    dry_run: bool = False,
    allow_data_loss: bool = False,
) -> list[Step]:
    """Takes back everything above `to_version`, newest first. Dropping tables needs `allow_data_loss`."""
    known = load() if migrations is None else list(migrations)
    missing = {m.version for m in pending(client, known)}
    todo = [m for m in reversed(known) if m.version > to_version and m.version not in missing]
    steps = [Step(m, statement) for m in todo for statement in split(m.down)]
    if not allow_data_loss:
        _refuse_dangers(steps, "--allow-data-loss")
    if dry_run:
        return steps
    for migration in todo:
        for statement in split(migration.down):
            _run(client, statement, f"{migration.label}.down.sql")
        _record(client, migration, "down")
    return steps


def migrate(settings: Settings, *, dry_run: bool = False, allow_dangerous: bool = False) -> list[Step]:
    """Creates the configured database when it is missing and applies everything pending."""
    with_database = ensure_database(settings, dry_run=dry_run)
    if with_database is None:  # dry run on a database that does not exist yet: everything is pending
        return [Step(m, statement) for m in load() for statement in split(m.up)]
    try:
        return apply(with_database, dry_run=dry_run, allow_dangerous=allow_dangerous)
    finally:
        with_database.close()


def ensure_database(settings: Settings, *, dry_run: bool = False) -> Client | None:
    """A client on the configured database, which is created first where it is missing (not in a dry run)."""
    name = settings.clickhouse_database
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise MigrationError(f"MURMUR_CLICKHOUSE_DATABASE {name!r}: use letters, digits and _, starting with a letter")
    client = connect(settings, database="default")
    try:
        # The name passed the pattern above, so it cannot leave the quotes.
        if not client.query(f"SELECT 1 FROM system.databases WHERE name = '{name}'").row_count:
            if dry_run:
                return None
            _run(client, f"CREATE DATABASE IF NOT EXISTS `{name}`", f"database {name}")
    finally:
        client.close()
    return connect(settings)


def _refuse_dangers(steps: Sequence[Step], flag: str) -> None:
    for step in steps:
        reasons = dangers(step.statement)
        if reasons:
            raise MigrationError(
                f"{step.migration.label}: `{' '.join(step.statement.split())[:80]}` {' and '.join(reasons)}; "
                f"take a backup, then say {flag}"
            )


def _record(client: Client, migration: Migration, action: str) -> None:
    statement = (
        f"INSERT INTO {LEDGER} (version, name, checksum, action) VALUES "
        f"({migration.version}, '{migration.name}', '{migration.checksum}', '{action}')"
    )
    _run(client, statement, "the ledger")


def _run(client: Client, statement: str, where: str) -> None:
    try:
        client.command(statement)
    except (ClickHouseError, OSError) as error:
        problem = translate(error, where=f"migration {where}")
        raise (problem if isinstance(problem, SinkError) else MigrationError(str(problem))) from None
