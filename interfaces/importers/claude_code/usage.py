"""Token usage of one API call from the several lines that repeat it.

In: `usage` objects. Out: per-key maxima, the five disjoint counts. Never: sums lines, turns a missing count into 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interfaces.importers.fields import as_count, as_mapping

_KEYS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_WRITE_5M = "ephemeral_5m_input_tokens"
_WRITE_1H = "ephemeral_1h_input_tokens"


class Usage:
    """The maximum of each count over the lines seen; a key no line carried stays absent."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, usage: Mapping[str, Any]) -> list[str]:
        """Takes one line's usage in. Returns the names of the counts that are not whole numbers >= 0."""
        wrong: list[str] = []
        nested = as_mapping(usage.get("cache_creation"))
        for source, keys in ((usage, _KEYS), (nested, (_WRITE_5M, _WRITE_1H))):
            for key in keys:
                value = source.get(key)
                if value is None:
                    continue
                count = as_count(value)
                if count is None:
                    wrong.append(key)
                else:
                    self._counts[key] = max(count, self._counts.get(key, 0))
        return wrong

    def token_counts(self) -> dict[str, int | None]:
        """The five disjoint counts of an ActivityEvent; None where the transcript does not say.

        Cache writes without a split by lifetime count as five-minute writes, which is the API's default lifetime.
        """
        return {
            "input_tokens": self._counts.get("input_tokens"),
            "cache_read_tokens": self._counts.get("cache_read_input_tokens"),
            **self._cache_writes(),
            "output_tokens": self._counts.get("output_tokens"),
        }

    def _cache_writes(self) -> dict[str, int | None]:
        total = self._counts.get("cache_creation_input_tokens")
        if total is None and _WRITE_5M not in self._counts and _WRITE_1H not in self._counts:
            return {"cache_write_5m_tokens": None, "cache_write_1h_tokens": None}
        write_1h = self._counts.get(_WRITE_1H, 0)
        write_5m = self._counts.get(_WRITE_5M, 0)
        unsplit = max((total or 0) - write_5m - write_1h, 0)
        return {"cache_write_5m_tokens": write_5m + unsplit, "cache_write_1h_tokens": write_1h}
