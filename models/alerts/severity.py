"""How bad an alert is: one total order of names.

In: names. Out: ranks. Never: decides what happens at a severity; routes do.
"""

from __future__ import annotations

from typing import Final, Literal

Severity = Literal["info", "low", "medium", "warning", "high", "critical"]

# `warning` stands between medium and high: the rules that use it have high or critical as their next step.
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "low", "medium", "warning", "high", "critical")
ANOMALY_SEVERITIES: Final = ("low", "medium", "high", "critical")  # those an anomaly can have
_RANK: Final = {name: rank for rank, name in enumerate(SEVERITIES)}


def rank(severity: str) -> int:
    """0 (info) .. 5 (critical)."""
    return _RANK[severity]  # type: ignore[index]  # a name from outside: KeyError says which


def worse(severity: str) -> str:
    """The next severity upwards; critical stays critical."""
    return SEVERITIES[min(rank(severity) + 1, len(SEVERITIES) - 1)]
