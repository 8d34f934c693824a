"""Makes the roll-ups run now, as if their two minutes of quiet had passed.

In: a client on a migrated database. Out: rolled-up hours and days. Never: computes a roll-up itself.
"""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

# In the order in which a minute's turns build on each other.
ROLLING = ("roll_metric_hours", "roll_window_hours", "mark_rollups", "roll_window_days", "mark_rollups")


def let_an_hour_pass(client: Client) -> None:
    """Every mark and roll-up becomes an hour older: what was stored and rolled up lies that much further back."""
    back = ", ".join(
        f"{name} = if({name} = toDateTime64(0, 3, 'UTC'), {name}, {name} - toIntervalHour(1))"
        for name in ("stored_at", "rolled_at", "day_rolled_at")
    )
    client.command(f"ALTER TABLE rollup_marks UPDATE {back} WHERE 1 SETTINGS mutations_sync = 1")
    for table in ("metric_hours", "window_rollups"):  # a version column cannot be updated in its place
        client.command(f"CREATE TABLE aged AS {table}")
        client.command(f"INSERT INTO aged SELECT * REPLACE (as_of - toIntervalHour(1) AS as_of) FROM {table}")
        client.command(f"TRUNCATE TABLE {table}")
        client.command(f"INSERT INTO {table} SELECT * FROM aged")
        client.command("DROP TABLE aged SYNC")


def roll_up(client: Client) -> None:
    """Lets time pass and the database roll up what is due."""
    let_an_hour_pass(client)
    for view in ROLLING:
        client.command(f"SYSTEM REFRESH VIEW {view}")
        client.command(f"SYSTEM WAIT VIEW {view}")
