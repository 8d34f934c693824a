"""Verdicts on findings, onto the topic `swarm.control`.

In: rows of `anomalies`, a policy. Out: records, each one acknowledged. Never: changes a row, acts itself, loses a
verdict: it is written before the offsets it rests on are committed, at least once and under the anomaly's id.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from models.control.advisory import verdicts
from models.control.policy import Policy, PolicyError, parse
from models.rows import ADVISORIES
from models.settings import Settings
from sinks.base import Batch, WriteResult
from sinks.kafka.sink import KafkaSink


def read_policy(path: Path) -> Policy:
    """The policy in a file. Raises PolicyError with every mistake."""
    try:
        return parse(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{path}: not UTF-8 text") from None


class ControlSink:
    """The `Sink` of anomalies that puts out what the policy says of them."""

    name = "control"
    tables = frozenset({"anomalies"})

    def __init__(self, settings: Settings, topic: str, policy: Policy) -> None:
        self._policy = policy
        self._kafka = KafkaSink(settings, {"advisories": topic})

    async def start(self) -> None:
        """Connects."""
        await self._kafka.start()

    async def health(self) -> None:
        """Returns when the broker answers."""
        await self._kafka.health()

    async def write(self, batch: Batch) -> WriteResult:
        """Sends the verdicts on these anomalies and awaits every acknowledgement."""
        rows = list(verdicts(batch["anomalies"].to_pylist(), self._policy)) if "anomalies" in batch else []
        if not rows:
            return WriteResult()
        return await self._kafka.write({"advisories": pa.Table.from_pylist(rows, schema=ADVISORIES)})

    async def close(self) -> None:
        """Disconnects."""
        await self._kafka.close()
