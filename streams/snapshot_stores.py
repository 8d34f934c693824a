"""Which snapshot store an installation uses.

In: settings. Out: what opens the store of one place. Never: opens a file or a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from models.settings import Settings
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshots import SnapshotHeader, SnapshotStore

OpenSnapshots: TypeAlias = Callable[[SnapshotHeader], SnapshotStore]


def snapshot_stores(settings: Settings) -> OpenSnapshots:
    """The store `snapshot_store` names."""
    if settings.snapshot_store == "kafka":
        # Imported here: workers with a directory need no second Kafka client.
        from streams.snapshot_topic import TopicSnapshots

        return lambda header: TopicSnapshots(settings, header, kept=settings.snapshots_kept)
    return lambda header: DirectorySnapshots(settings.state_dir, header, kept=settings.snapshots_kept)
