"""Runs, tasks and tool calls as `with` blocks, timed by the monotonic clock.

In: a block of the agent's code. Out: its activities: running, then completed, failed or cancelled.
Never: swallows the block's exception; takes a duration from the wall clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from murmur.clock import monotonic_s, now_ms
from murmur.ids import new_id
from murmur.validate import TAG_KEY_LENGTH_MAX, TEXT_LENGTH_MAX

if TYPE_CHECKING:
    from murmur.emitting import Emitter

HASH_BYTES = 16  # 128 bits of BLAKE2b: no two inputs of a swarm collide by chance
CANCELLATIONS = frozenset({"KeyboardInterrupt", "CancelledError", "GeneratorExit"})


class _Span:
    """One activity with a beginning and an end."""

    kind = ""
    announced = True  # a record at the start too, so that what is running can be seen

    def __init__(self, publisher: Emitter, fields: Mapping[str, Any]) -> None:
        self.id = new_id()
        self._publisher = publisher
        self._fields: dict[str, Any] = dict(fields)
        self._status = ""
        self._started_at_ms = 0
        self._started_s = 0.0

    def set(self, **fields: Any) -> None:
        """Fields of the activity that become known on the way, such as output_tokens or quality_ratio."""
        self._fields.update(fields)

    def fail(self, error_type: str) -> None:
        """The block ends normally, but what it did failed."""
        self._status = "failed"
        self._fields["error_type"] = error_type

    def cancel(self) -> None:
        """The block ends normally, but what it did was given up."""
        self._status = "cancelled"

    def __enter__(self) -> Any:
        self._started_at_ms, self._started_s = now_ms(), monotonic_s()
        if self.announced:
            self._publish("running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        duration_ms = (monotonic_s() - self._started_s) * 1000.0
        status = self._status or "completed"
        if kind is not None:
            status = "cancelled" if kind.__name__ in CANCELLATIONS else "failed"
            self._fields["error_type"] = kind.__name__
        fields = {
            # From the start and the duration: the wall clock may have been set back in between.
            "ended_at": self._started_at_ms + round(duration_ms),
            "duration_ms": duration_ms,
            "success": {"completed": True, "failed": False}.get(status),
        }
        self._fields = {**fields, **self._fields}
        self._publish(status)

    def _publish(self, status: str) -> None:
        self._publisher.activity(
            id=self.id, kind=self.kind, status=status, started_at=self._started_at_ms, **self._fields
        )


class ToolCall(_Span):
    """One tool call; published once, at its end."""

    kind = "tool_call"
    announced = False


class ModelCall(_Span):
    """One model call; published once, at its end. Set its five token counts with `set`."""

    kind = "model_call"
    announced = False


class Task(_Span):
    """One task of an agent."""

    kind = "task"

    def __init__(self, publisher: Emitter, name: str, task_id: str, fields: Mapping[str, Any]) -> None:
        tags = {"name": name, **fields.get("tags", {})}
        super().__init__(publisher, {**fields, "task_id": task_id, "tags": tags})
        self.task_id = task_id

    def tool(self, name: str, *, input: object = None, **fields: Any) -> ToolCall:
        """`with task.tool("grep", input={...}) as call:`; equal inputs give equal input_hash."""
        return ToolCall(self._publisher, {**self._child(), "tool": name, "input_hash": hash_of(input), **fields})

    def model_call(self, model: str, **fields: Any) -> ModelCall:
        """`with task.model_call("model-name") as call: ... call.set(output_tokens=...)`."""
        return ModelCall(self._publisher, {**self._child(), "model": model, **fields})

    def _child(self) -> dict[str, Any]:
        inherited = ("agent_id", "parent_agent_id", "role", "phase", "pattern", "workflow")
        return {"task_id": self.task_id, **{k: self._fields[k] for k in inherited if k in self._fields}}


class Run(_Span):
    """One session of a swarm. Its tags are the configuration that comparisons are made by."""

    kind = "session"

    def __init__(
        self, publisher: Emitter, run_id: str, configuration: Mapping[str, object], fields: Mapping[str, Any]
    ) -> None:
        super().__init__(publisher, {**fields, "run_id": run_id, "tags": as_tags(configuration)})
        self.run_id = run_id
        self._outer_run_id = ""

    def __enter__(self) -> Any:
        self._outer_run_id, self._publisher.run_id = self._publisher.run_id, self.run_id
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._publisher.run_id = self._outer_run_id


def as_tags(configuration: Mapping[str, object]) -> dict[str, str]:
    """Settings of any JSON type as string tags, cut to the rule's length."""
    return {
        str(key)[:TAG_KEY_LENGTH_MAX]: (value if isinstance(value, str) else json.dumps(value, default=str))[
            :TEXT_LENGTH_MAX
        ]
        for key, value in configuration.items()
    }


def hash_of(value: object) -> str:
    """A stable hash of a JSON-like value; '' for None."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=HASH_BYTES).hexdigest()
