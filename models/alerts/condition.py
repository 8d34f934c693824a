"""Whether a rule is broken at a moment: from the rows of its series to values and severities.

In: a rule, samples, a moment of event time. Out: what was found for each label set. Never: remembers alerts.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from models.alerts.duration import show_ms
from models.alerts.rule import (
    PARTS_MAX,
    AbsenceRule,
    AnomalyRule,
    CompositeRule,
    RateRule,
    Rule,
    SlaRule,
    ThresholdRule,
)
from models.alerts.sample import PERCENTILES, Sample
from models.alerts.series import Series, aggregate
from models.alerts.severity import rank

SERIES_MAX: Final = 20_000  # of one rule; the longest-silent leaves first, and is counted
SERIES_IDLE_MS: Final = 2 * 86_400_000  # nothing of it can matter any more: twice the longest window
BASELINE_WINDOWS_MIN: Final = 3  # with fewer, "twice the usual" compares with chance
ADDITIVE: Final = (
    "count",
    "sum",
    "rate",
)  # of no events these are 0, and 0 ends an alert; a mean of nothing is nothing
SLA_SHORT_SHARE: Final = 12  # the second window of a burn rate (Google SRE workbook, chapter 5): it ends the alert soon


LabelSet: TypeAlias = tuple[tuple[str, str], ...]  # sorted by name


class Finding(NamedTuple):
    """What a rule found for one label set. `severity` None: measured, and within the limits."""

    labels: LabelSet
    value: float
    severity: str | None
    reason: str


class Watch(msgspec.Struct):
    """State of one rule: its series by label text. `shape`: what the rows were collected for."""

    shape: str
    series: dict[str, Series] = {}
    broken: list[LabelSet] = []  # label sets beyond a limit at the last look
    looked_ms: int = 0  # end of the last span looked at
    evicted: int = 0

    def forget(self, now_ms: int) -> None:
        """Lets go of series that have been silent for too long, and of the longest-silent beyond SERIES_MAX."""
        for key in [k for k, s in self.series.items() if s.seen_ms < now_ms - SERIES_IDLE_MS]:
            del self.series[key]
        over = len(self.series) - SERIES_MAX
        if over > 0:
            for key in sorted(self.series, key=lambda k: self.series[k].seen_ms)[:over]:
                del self.series[key]
            self.evicted += over


def shape_of(rule: Rule) -> str:
    """Names what is collected for a rule: rows collected for another shape are not used."""
    if isinstance(rule, CompositeRule):
        return ""
    fields = (rule.source, rule.metric, rule.window, rule.by, rule.filters.model_dump(), getattr(rule, "baseline", 0))
    return repr((*fields, getattr(rule, "min_severity", "")))


def matches(rule: Rule, sample: Sample) -> bool:
    """Whether the rule looks at this sample."""
    if isinstance(rule, CompositeRule) or sample.source != rule.source or rule.metric not in (sample.metric, "*"):
        return False
    if isinstance(rule, AnomalyRule) and rank(sample.labels["severity"]) < rank(rule.min_severity):
        return False
    filters = rule.filters
    return all(
        pattern == "*" or fnmatch.fnmatchcase(sample.labels.get(name, ""), pattern)
        for name, pattern in (
            ("swarm", filters.swarm),
            ("agent", filters.agent),
            ("role", filters.role),
            ("model", filters.model),
        )
    ) and all(fnmatch.fnmatchcase(sample.tags.get(k, "\0"), pattern) for k, pattern in filters.tags.items())


def row_window_ms(rule: Rule, sizes_ms: tuple[int, ...]) -> int | None:
    """Which of the stream's tumbling windows a rule adds up; None: none fits. 0: it needs none.

    Percentiles do not add up, so these need a window of the rule's own size; else the smallest that keeps a window
    below PARTS_MAX rows.
    """
    if isinstance(rule, CompositeRule) or rule.source not in ("swarm", "agent"):
        return 0
    if getattr(rule, "aggregation", "") in PERCENTILES:
        return rule.window if rule.window in sizes_ms else None
    span_ms = rule.window // SLA_SHORT_SHARE if isinstance(rule, SlaRule) else rule.window
    fitting = [size for size in sorted(sizes_ms) if span_ms % size == 0]
    return next((s for s in fitting if rule.window <= s * PARTS_MAX), fitting[-1] if fitting else None)


def label_set(rule: Rule, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels an alert of this rule is told by; an anomaly is also told by its metric."""
    found: dict[str, str] = {name: labels.get(name, "") for name in rule.by}
    if isinstance(rule, AnomalyRule):
        found["metric"] = labels.get("metric", "")
    return found


def collect(rule: Rule, watch: Watch, sample: Sample) -> bool:
    """Adds a matching sample to its series; False when it came too late."""
    labels = label_set(rule, sample.labels)
    key = "\0".join(labels.values())  # no identifier holds a NUL
    series = watch.series.get(key)
    if series is None:
        series = watch.series[key] = Series(labels)
    return series.add(sample)


def due(rule: Rule, watch: Watch, now_ms: int, row_ms: int) -> bool:
    """Whether a look at `now_ms` can find anything new: rows come once a row window, silence grows all the time."""
    return isinstance(rule, AbsenceRule | CompositeRule) or now_ms - now_ms % max(row_ms, 1) > watch.looked_ms


def evaluate(rule: Rule, watch: Watch, now_ms: int, row_ms: int) -> list[Finding]:
    """What the rule finds at `now_ms`, one finding a label set that has data. Spans end where a row ends."""
    assert not isinstance(rule, CompositeRule)
    to_ms = now_ms - now_ms % max(row_ms, 1)
    baseline_ms = rule.baseline if isinstance(rule, RateRule) else 0
    findings = []
    for series in watch.series.values():
        found = _look(rule, series, now_ms if isinstance(rule, AbsenceRule) else to_ms)
        if found is not None:
            value, reason = found
            findings.append(Finding(tuple(sorted(series.labels.items())), value, rule.severity_of(value), reason))
        series.settle(to_ms - rule.window, rule.window, baseline_ms)
    watch.forget(now_ms)
    watch.looked_ms = to_ms
    watch.broken = [finding.labels for finding in findings if finding.severity is not None]
    return findings


def compose(rule: CompositeRule, broken: Mapping[str, Collection[LabelSet]]) -> Iterator[Finding]:
    """A composite's findings: its members that are broken now, compared on its own labels."""
    count: dict[LabelSet, set[str]] = {}
    for member in rule.members:
        for labels in broken.get(member, ()):
            own = tuple(pair for pair in labels if pair[0] in rule.by)
            count.setdefault(own, set()).add(member)
    for own, members in sorted(count.items()):
        value = float(len(members))
        yield Finding(own, value, rule.severity_of(value), f"broken at once: {', '.join(sorted(members))}")


def _look(rule: Rule, series: Series, now_ms: int) -> tuple[float, str] | None:
    """(value, reason) of one series; None: no data."""
    assert not isinstance(rule, CompositeRule)
    if isinstance(rule, AbsenceRule):
        silent_ms = now_ms - series.seen_ms
        if silent_ms > rule.forget_after:
            return None
        return float(silent_ms), f"no {rule.metric} for {silent_ms / 1000:.0f} s"
    parts = series.within(now_ms - rule.window, now_ms)
    span = show_ms(rule.window)
    if isinstance(rule, AnomalyRule):
        worst = max((part.max for part in parts), default=0.0)
        return float(len(parts)), f"{len(parts)} anomalies in {span}, highest score {worst:.4f}"
    if isinstance(rule, SlaRule):
        return _burn(rule, series, now_ms)
    if not parts and rule.aggregation in ADDITIVE and rule.severity_of(0.0) is None:
        return 0.0, f"no {rule.metric} in {span}"
    if sum(part.count for part in parts) < rule.min_events:
        return None
    value = aggregate(parts, rule.aggregation, rule.window)
    if value is None:
        return None
    if isinstance(rule, ThresholdRule):
        return value, f"{rule.aggregation} of {rule.metric} over {span} is {value:.6g}"
    usual = _baseline(rule, series, now_ms)
    if usual is None:
        return None
    return (
        value / usual,
        f"{rule.aggregation} of {rule.metric} over {span} is {value:.6g}, {value / usual:.3g} times {usual:.6g}",
    )


def _baseline(rule: RateRule, series: Series, now_ms: int) -> float | None:
    """Mean over the earlier windows that had events; None: too few of them, or a mean of 0."""
    totals = [t for start, t in series.totals.items() if start + rule.window <= now_ms - rule.window]
    if len(totals) < BASELINE_WINDOWS_MIN:
        return None
    values = {
        "count": [t.count for t in totals],
        "sum": [t.sum for t in totals],
        "mean": [t.sum / t.count for t in totals],
        "max": [t.max for t in totals],
    }[rule.aggregation]
    usual = sum(values) / len(values)
    return usual if usual > 0 else None


def _burn(rule: SlaRule, series: Series, now_ms: int) -> tuple[float, str] | None:
    rates: list[float] = []
    for span_ms in (rule.window, rule.window // SLA_SHORT_SHARE):
        parts = series.within(now_ms - span_ms, now_ms)
        share = aggregate(parts, "mean", span_ms)
        if share is None:
            return (0.0, "no events in the last twelfth of the window") if rates else None
        if not rates and sum(part.count for part in parts) < rule.min_events:
            return None
        bad = 1 - share if rule.good else share
        rates.append(bad / (1 - rule.objective))
    value = min(rates)
    return value, (
        f"{rule.metric} burns its error budget {value:.3g} times as fast as an objective of {rule.objective:g} allows"
    )
