"""Which sinks an installation writes to.

In: settings, the names of the result topics. Out: sinks that are not started yet. Never: opens a connection.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.settings import Settings
from sinks.base import Sink


def build(settings: Settings, topics: Mapping[str, str]) -> list[Sink]:
    """ClickHouse, then Kafka: who reads `swarm.anomalies` finds the rows already queryable.

    `topics` maps result tables (windows, anomalies, dead_letters) to full topic names; empty: no Kafka output.
    """
    # Imported here: the drivers take a second to load, and a dry run needs neither.
    from sinks.clickhouse.sink import ClickHouseSink

    sinks: list[Sink] = [ClickHouseSink(settings)]
    if topics:
        from sinks.kafka.sink import KafkaSink

        sinks.append(KafkaSink(settings, topics))
    return sinks
