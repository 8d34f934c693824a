"""What both publishers share: the calls an agent makes.

In: measurements and activities. Out: tuples and dicts in the bounded buffers. Never: waits, sends, or raises for
anything but a broken rule under strict=True.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from murmur.buffer import Buffer
from murmur.clock import now_ms, now_ns
from murmur.ids import new_id
from murmur.options import Options
from murmur.validate import InvalidEventError

if TYPE_CHECKING:
    from murmur.contexts import Run, Task
    from murmur.stats import Stats

_NO_TAGS: tuple[tuple[str, str], ...] = ()


class ActivityFields(TypedDict, total=False):
    """The optional fields of an activity; what is not given is unknown, never zero."""

    ended_at: int | None
    swarm_id: str
    agent_id: str
    run_id: str
    parent_agent_id: str
    role: str
    model: str
    provider: str
    phase: str
    pattern: str
    workflow: str
    task_id: str
    task_hash: str
    tool: str
    input_hash: str
    from_agent_id: str
    to_agent_id: str
    message_type: str
    duration_ms: float | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    cost_provenance: str
    error_type: str
    retries: int | None
    conflicts: int | None
    quality_ratio: float | None
    test_coverage_ratio: float | None
    security_findings: int | None
    files_touched: int | None
    success: bool | None
    provenance: str
    tags: Mapping[str, str]


class Emitter:
    """The two buffers and the calls that fill them. Safe from any thread."""

    def __init__(self, options: Options) -> None:
        self.swarm_id = options.swarm_id
        self.agent_id = options.agent_id
        self.run_id = options.run_id
        self._options = options
        self._strict = options.strict
        self._reset()

    def emit(
        self,
        metric: str,
        value: float | Mapping[str, Any],
        *,
        unit: str = "",
        tags: Mapping[str, str] | None = None,
        agent_id: str | None = None,
        timestamp_ms: int | None = None,
        priority: str = "medium",
        category: str = "",
        source: str = "agent",
        provenance: str = "measured",
    ) -> None:
        """One measurement. `value` may be an object: one event per numeric leaf, named `metric.leaf`."""
        try:
            items: Any = tuple(tags.items()) if tags else _NO_TAGS
        except Exception:  # no mapping: refused by the rules, with a count, away from the agent's thread
            items = tags
        raw = (
            metric,
            value,
            timestamp_ms if timestamp_ms is not None else now_ns() // 1_000_000,
            agent_id if agent_id is not None else self.agent_id,
            self.run_id,
            unit,
            items,
            priority,
            category,
            source,
            provenance,
        )
        if self._strict:
            self._check_metric(raw)
        self._append(raw)
        if len(self._items) >= self._mark:
            self._on_mark(self._metrics)

    def activity(
        self,
        *,
        kind: str,
        status: str,
        started_at: int | None = None,
        id: str = "",
        **fields: Unpack[ActivityFields],
    ) -> str:
        """One thing an agent did; returns its id. Published again under the same id, the newest wins.

        Times are epoch milliseconds; `started_at` is now when it is not given.
        """
        activity: dict[str, Any] = {
            "id": id or new_id(),
            "kind": kind,
            "status": status,
            "started_at": now_ms() if started_at is None else started_at,
            "swarm_id": self.swarm_id,
            "agent_id": self.agent_id,
            "run_id": self.run_id,
            **fields,
        }
        if self._strict:
            self._check_activity(activity)
        self._activities.append(activity)
        if len(self._activities) >= self._activities_mark:
            self._on_mark(self._activities)
        return str(activity["id"])

    def run(self, *, configuration: Mapping[str, object] | None = None, run_id: str = "", **fields: Any) -> Run:
        """`with pub.run(configuration={...}) as run:` -- a session, running until the block ends."""
        from murmur.contexts import Run

        return Run(self, run_id or self.run_id or new_id(), configuration or {}, fields)

    def task(self, name: str, *, task_id: str = "", **fields: Any) -> Task:
        """`with pub.task("summarise", task_id=...) as task:` -- completed, or failed when the block raises."""
        from murmur.contexts import Task

        return Task(self, name, task_id or new_id(), fields)

    def _reset(self) -> None:
        self._closed = False
        self._metrics: Buffer[Any] = Buffer(self._options.buffer_events_max)
        self._activities: Buffer[Any] = Buffer(self._options.buffer_activities_max)
        self._append = self._metrics.append
        self._items = self._metrics.items
        self._mark = self._activities_mark = 0  # the first event takes the slow path, which starts the delivery

    def _on_mark(self, buffer: Buffer[Any]) -> None:
        """A full batch, a full buffer, a first event, or a closed door."""
        if self._closed:
            buffer.refuse_newest()
            return
        if len(buffer) > buffer.bound:
            buffer.trim()
        if self._wake():
            self._mark = min(self._options.batch_events_max, self._metrics.bound + 1)
            self._activities_mark = min(self._options.batch_events_max, self._activities.bound + 1)

    def _close_door(self) -> None:
        self._closed = True
        self._mark = self._activities_mark = 0

    def _wake(self) -> bool:
        """Starts the delivery or tells it that a batch is full; False while it cannot start yet."""
        raise NotImplementedError

    def _check_metric(self, raw: tuple[Any, ...]) -> None:
        from murmur.encoder import Encoder, RawMetric

        if (reason := Encoder(self._options).check(RawMetric(*raw))) is not None:
            raise InvalidEventError(reason)

    def _check_activity(self, activity: Mapping[str, object]) -> None:
        from murmur.validate import check_activity

        if (reason := check_activity(activity)) is not None:
            raise InvalidEventError(f"activity {reason}")

    def _stats_before_delivery(self) -> Stats:
        from murmur.stats import Stats

        metrics, metrics_waiting, metrics_dropped, metrics_refused = self._metrics.counts()
        activities, activities_waiting, activities_dropped, activities_refused = self._activities.counts()
        return Stats(
            emitted=metrics + activities,
            buffered=metrics_waiting + activities_waiting,
            dropped_buffer_full=metrics_dropped + activities_dropped,
            dropped_closed=metrics_refused + activities_refused,
        )
