"""Counters claude-flow keeps about itself: performance, agent-metrics, token-usage. All `declared`.

In: a decoded document. Out: metric events. Never: an event without a time the file itself names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from interfaces.importers.chunk import Event
from interfaces.importers.fields import as_mapping, as_number, as_text, as_time_ms
from interfaces.importers.identity import ContentIds
from interfaces.importers.issues import Issues

_PERFORMANCE = ("totalTasks", "successfulTasks", "failedTasks", "neuralEvents")  # the agent counts are never filled
_AGENT = ("total", "successful", "failed", "totalDuration")
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def performance(document: Any, swarm: str, path: str, issues: Issues) -> Iterator[Event]:
    """`performance.json`: counters since `startTime`, as of `lastActivity` where the version writes it."""
    fields = as_mapping(document)
    at_ms = as_time_ms(fields.get("lastActivity")) or as_time_ms(fields.get("startTime"))
    if at_ms is None:
        issues.add(path, 0, "neither lastActivity nor startTime is a time", kind="no timestamp")
        return
    yield from _counters(fields, _PERFORMANCE, swarm, at_ms, "", path, issues)


def agent_metrics(document: Any, swarm: str, path: str, issues: Issues) -> Iterator[Event]:
    """`agent-metrics.json`: totals per agent type, as of the newest action listed with them."""
    for agent_type, value in as_mapping(document).items():
        fields = as_mapping(value)
        actions = fields.get("actions")
        times = [
            at_ms
            for action in (actions if isinstance(actions, list) else [])
            if (at_ms := as_time_ms(as_mapping(action).get("timestamp"))) is not None
        ]
        if times:
            yield from _counters(fields, _AGENT, swarm, max(times), as_text(agent_type), path, issues)
        else:
            issues.add(
                path, 0, f"{agent_type}: no action with a timestamp, so its totals have no time", kind="no timestamp"
            )


def token_usage(document: Any, swarm: str, path: str, issues: Issues) -> Iterator[Event]:
    """`token-usage.json`: one entry of `history` a command."""
    history = as_mapping(document).get("history")
    ids = ContentIds("cf")
    for number, value in enumerate(history if isinstance(history, list) else [], 1):
        entry = as_mapping(value)
        at_ms = as_time_ms(entry.get("timestamp"))
        if at_ms is None:
            issues.add(f"{path} history {number}", 0, "timestamp is not a time", kind="no timestamp")
            continue
        agent, command = as_text(entry.get("agentType")), as_text(entry.get("command"))
        for key, metric in (("inputTokens", "input_tokens"), ("outputTokens", "output_tokens")):
            tokens = as_number(entry.get(key))
            if tokens is None or tokens < 0:
                issues.add(
                    f"{path} history {number}", 0, f"{key} {entry.get(key)!r} is not a number", kind="wrong value"
                )
                continue
            yield {
                "id": ids.of(swarm, metric, at_ms, tokens, agent, command, as_text(entry.get("sessionId"))),
                "swarm_id": swarm,
                "agent_id": agent[:256],
                "run_id": as_text(entry.get("sessionId"))[:256],
                "metric": metric,
                "timestamp": at_ms,
                "value": tokens,
                "unit": "tokens",
                "provenance": "declared",
                "tags": {"source": "claude-flow", "command": command},
            }


def _counters(
    fields: Mapping[str, Any], names: tuple[str, ...], swarm: str, at_ms: int, agent: str, path: str, issues: Issues
) -> Iterator[Event]:
    ids = ContentIds("cf")
    for name in names:
        value = as_number(fields.get(name))
        if value is None:
            if fields.get(name) is not None:
                issues.add(path, 0, f"{name} {fields[name]!r} is not a finite number", kind="wrong value")
            continue
        metric = "claude_flow." + _CAMEL.sub(r"_\1", name).lower()
        yield {
            "id": ids.of(swarm, agent, metric, at_ms, value),
            "swarm_id": swarm,
            "agent_id": agent[:256],
            "metric": metric,
            "timestamp": at_ms,
            "value": value,
            "unit": "ms" if name == "totalDuration" else "count",
            "provenance": "declared",
            "tags": {"source": "claude-flow"},
        }
