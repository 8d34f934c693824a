"""Which sinks an installation writes to.

In: settings, the names of the result topics. Out: sinks that are not started yet. Never: opens a connection.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.settings import Settings
from sinks.base import Sink


def build(settings: Settings, topics: Mapping[str, str]) -> list[Sink]:
    """ClickHouse, then Kafka, then verdicts: who reads `swarm.anomalies` finds the rows already queryable.

    `topics` maps result tables (windows, anomalies, dead_letters, advisories) to full topic names; empty: no Kafka
    output. Raises PolicyError when the settings name a policy that is not one.
    """
    # Imported here: the drivers take a second to load, and a dry run needs neither.
    from sinks.clickhouse.sink import ClickHouseSink

    sinks: list[Sink] = [ClickHouseSink(settings)]
    if topics:
        from sinks.kafka.sink import KafkaSink

        sinks.append(KafkaSink(settings, {table: topic for table, topic in topics.items() if table != "advisories"}))
        if settings.control_policy_file is not None and "advisories" in topics:
            from sinks.control import ControlSink, read_policy

            policy = read_policy(settings.control_policy_file)
            sinks.append(ControlSink(settings, topics["advisories"], policy))
    return sinks
