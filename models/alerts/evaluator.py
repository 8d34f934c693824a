"""Rules over samples: the one evaluator that the stream and the back-test share.

In: samples and commands in log order, event time. Out: transitions. Never: I/O, a clock, a thread.

    evaluator.observe(sample)          # in any order within the rules' windows
    transitions = evaluator.advance(event_time_ms)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from models.alerts.command import Command
from models.alerts.condition import (
    Finding,
    Watch,
    collect,
    compose,
    due,
    evaluate,
    matches,
    row_window_ms,
    shape_of,
)
from models.alerts.machine import Machine, Transition
from models.alerts.rule import AbsenceRule, CompositeRule, Rule
from models.alerts.rule_file import RuleSet
from models.alerts.sample import AGENT, SWARM, Sample

EVALUATION_MS: Final = 10_000  # event time between two looks: the smallest default window
STEPS_MAX: Final = 360  # looks of one advance: an hour in full; a longer gap is walked in larger steps


class RulesUnfitError(ValueError):
    """A rule's window is no sum of the stream's windows; one line a rule."""


class EvaluatorState(msgspec.Struct):
    """Everything an evaluator knows, as plain values."""

    now_ms: int = 0  # the last look
    quiet_ms: int = 0  # the last look at silence
    first_ms: int = 0  # end of the first row ever seen: the first look is there
    watches: dict[str, Watch] = {}
    machine: Machine = msgspec.field(default_factory=Machine)
    late: int = 0  # samples that came after their window had been left


class Evaluator:
    """The rules of an installation, and their state."""

    def __init__(self, rules: RuleSet, sizes_ms: tuple[int, ...], state: EvaluatorState | None = None) -> None:
        self.rules = rules
        self.state = state or EvaluatorState()
        self._by_name = {rule.name: rule for rule in rules.rules}
        self._row_ms = _row_windows(rules, sizes_ms)
        self._routes: dict[str, list[Rule]] = {}
        self._any_metric = [r for r in rules.rules if getattr(r, "metric", "") == "*"]
        for rule in rules.rules:
            if not isinstance(rule, CompositeRule) and rule.metric != "*":
                self._routes.setdefault(rule.metric, []).append(rule)
        known = self.state.watches
        self.state.watches = {
            rule.name: known[rule.name]
            if rule.name in known and known[rule.name].shape == shape_of(rule)
            else Watch(shape_of(rule))
            for rule in rules.rules
        }

    def wants(self, metric: str) -> bool:
        """Whether any rule could look at this metric: most rows of a topic are of others."""
        return metric in self._routes

    @property
    def wants_agents(self) -> bool:
        """Whether any rule looks at single agents' windows."""
        return any(not isinstance(r, CompositeRule) and r.source == AGENT for r in self.rules.rules)

    def observe(self, sample: Sample) -> None:
        """Takes a sample; a version of a known one replaces it."""
        if self.state.now_ms == 0 and sample.source in (SWARM, AGENT):
            first_ms = sample.end_ms - sample.end_ms % EVALUATION_MS
            self.state.first_ms = min(self.state.first_ms or first_ms, first_ms)
        for rule in (*self._routes.get(sample.metric, ()), *self._any_metric):
            if not matches(rule, sample):
                continue
            windowed = sample.source in (SWARM, AGENT)
            if windowed and sample.end_ms - sample.start_ms != self._row_ms[rule.name]:
                continue
            if not collect(rule, self.state.watches[rule.name], sample):
                self.state.late += 1

    def advance(self, event_time_ms: int, quiet_ms: int = 0) -> list[Transition]:
        """Looks at every multiple of EVALUATION_MS up to `event_time_ms` that was not looked at yet.

        `quiet_ms` >= it: how far silence is known: absence and the passing of time are looked at up to there.
        """
        state = self.state
        target_ms = event_time_ms - event_time_ms % EVALUATION_MS
        if state.now_ms == 0 and target_ms > 0:
            state.now_ms = min(state.first_ms or target_ms, target_ms) - EVALUATION_MS
        made: list[Transition] = []
        for now_ms in _walk(state.now_ms, target_ms):
            state.now_ms = now_ms
            made += self._look(now_ms, quiet=False)
        quiet_ms -= quiet_ms % EVALUATION_MS
        state.quiet_ms = max(state.quiet_ms, state.now_ms)
        for now_ms in _walk(state.quiet_ms or quiet_ms - EVALUATION_MS, quiet_ms):
            state.quiet_ms = now_ms
            made += self._look(now_ms, quiet=True)
        return made

    def obey(self, command: Command) -> list[Transition]:
        """Carries out a command."""
        return self.state.machine.obey(command, self._by_name)

    def _look(self, now_ms: int, *, quiet: bool) -> list[Transition]:
        """One look. In a quiet one only what rests on there being no rows can have changed."""
        machine, watches = self.state.machine, self.state.watches
        known_before = not quiet and now_ms <= self.state.quiet_ms  # rows of a time whose silence was looked at
        made: list[Transition] = []
        for rule in self.rules.rules:
            watch = watches[rule.name]
            if isinstance(rule, CompositeRule):
                found = self._composite(rule)
            elif isinstance(rule, AbsenceRule) if known_before else quiet and not isinstance(rule, AbsenceRule):
                continue
            elif due(rule, watch, now_ms, self._row_ms[rule.name]):
                found = evaluate(rule, watch, now_ms, self._row_ms[rule.name])
            else:
                continue
            made += machine.step(rule, found, now_ms)
        return made if known_before else made + machine.keep_time(self._by_name, now_ms)

    def _composite(self, rule: CompositeRule) -> list[Finding]:
        watches = self.state.watches
        found = list(compose(rule, {name: watches[name].broken for name in rule.members}))
        there = {finding.labels for finding in found}
        return found + [
            Finding(labels, 0.0, None, "none of its rules is broken")
            for name, labels in self.state.machine.open
            if name == rule.name and labels not in there
        ]


def _walk(from_ms: int, to_ms: int) -> Iterator[int]:
    """The looks after `from_ms`, up to and including `to_ms`."""
    gap = max(0, to_ms - from_ms) // EVALUATION_MS
    step_ms = EVALUATION_MS * max(1, -(-gap // STEPS_MAX))
    while from_ms < to_ms:
        from_ms = min(from_ms + step_ms, to_ms)
        yield from_ms


def _row_windows(rules: RuleSet, sizes_ms: tuple[int, ...]) -> dict[str, int]:
    found, unfit = {}, []
    for rule in rules.rules:
        row_ms = row_window_ms(rule, sizes_ms)
        if row_ms is None:
            sizes = ", ".join(f"{size // 1000}s" for size in sizes_ms)
            unfit.append(
                f"rule {rule.name}: its window cannot be made of the stream's tumbling windows ({sizes}): percentiles "
                "need a window of exactly one of these, everything else a multiple. Change the rule or MURMUR_WINDOWS"
            )
        found[rule.name] = row_ms or EVALUATION_MS
    if unfit:
        raise RulesUnfitError("\n".join(unfit))
    return found
