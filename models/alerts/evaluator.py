"""Rules over samples: the one evaluator that the stream and the back-test share.

In: samples and commands in log order, event time. Out: transitions. Never: I/O, a clock, a thread.

    evaluator.observe(sample)          # in any order within the rules' windows
    transitions = evaluator.advance(event_time_ms)
"""

from __future__ import annotations

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
from models.alerts.rule import CompositeRule, Rule
from models.alerts.rule_file import RuleSet
from models.alerts.sample import AGENT, SWARM, Sample

EVALUATION_MS: Final = 10_000  # event time between two looks: the smallest default window
STEPS_MAX: Final = 360  # looks of one advance: an hour in full; a longer gap is walked in larger steps


class RulesUnfitError(ValueError):
    """A rule's window is no sum of the stream's windows; one line a rule."""


class EvaluatorState(msgspec.Struct):
    """Everything an evaluator knows, as plain values."""

    now_ms: int = 0  # the last look
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
        for rule in (*self._routes.get(sample.metric, ()), *self._any_metric):
            if not matches(rule, sample):
                continue
            windowed = sample.source in (SWARM, AGENT)
            if windowed and sample.end_ms - sample.start_ms != self._row_ms[rule.name]:
                continue
            if not collect(rule, self.state.watches[rule.name], sample):
                self.state.late += 1

    def advance(self, event_time_ms: int) -> list[Transition]:
        """Looks at every multiple of EVALUATION_MS up to `event_time_ms` that was not looked at yet."""
        target_ms = event_time_ms - event_time_ms % EVALUATION_MS
        if self.state.now_ms == 0:
            self.state.now_ms = target_ms - EVALUATION_MS
        made: list[Transition] = []
        gap = (target_ms - self.state.now_ms) // EVALUATION_MS
        step_ms = EVALUATION_MS * max(1, -(-gap // STEPS_MAX))
        while self.state.now_ms < target_ms:
            self.state.now_ms = min(self.state.now_ms + step_ms, target_ms)
            made += self._look(self.state.now_ms)
        return made

    def obey(self, command: Command) -> list[Transition]:
        """Carries out a command."""
        return self.state.machine.obey(command, self._by_name)

    def _look(self, now_ms: int) -> list[Transition]:
        machine, watches = self.state.machine, self.state.watches
        made: list[Transition] = []
        for rule in self.rules.rules:
            watch = watches[rule.name]
            if isinstance(rule, CompositeRule):
                found = list(compose(rule, {name: watches[name].broken for name in rule.members}))
                there = {finding.labels for finding in found}
                found += [
                    Finding(alert.labels, 0.0, None, "none of its rules is broken")
                    for (name, labels), alert in machine.open.items()
                    if name == rule.name and labels not in there
                ]
            elif due(rule, watch, now_ms, self._row_ms[rule.name]):
                found = evaluate(rule, watch, now_ms, self._row_ms[rule.name])
            else:
                continue
            made += machine.step(rule, found, now_ms)
        return made + machine.keep_time(self._by_name, now_ms)


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
