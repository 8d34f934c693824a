"""A rule file: YAML in, rules out, or every mistake at once with its line and what to write instead.

In: text of a file, its name. Out: `RuleSet`. Raises RuleFileError. Never: opens a file, stops at the first mistake.

The file is a mapping with one key, `rules`, a list. Positions come from the YAML nodes: a mistake names its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from models.alerts.rule import KINDS, CompositeRule, Filters, Rule
from models.broken_rule import rule_of

RULES_MAX: Final = 500  # of one file: each looks at every series once in 10 s
TEXT_BYTES_MAX: Final = 1_000_000  # 500 rules of 2 KB
DEFAULT_FILE: Final = "default_rules.yaml"


class RuleFileError(ValueError):
    """Every mistake of a rule file, one a line: file, line, rule, field, the rule it breaks, what to write."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Valid rules in the order of the file, composites after their members."""

    rules: tuple[Rule, ...]

    def named(self, name: str) -> Rule | None:
        """The rule of this name, or None."""
        return next((rule for rule in self.rules if rule.name == name), None)


def default_text() -> str:
    """The rules that come with the product, as YAML with their reasons."""
    return files("models.alerts").joinpath(DEFAULT_FILE).read_text(encoding="utf-8")


def default_rules() -> RuleSet:
    """The rules that come with the product."""
    return parse(default_text(), where=DEFAULT_FILE)


def parse(text: str, *, where: str) -> RuleSet:
    """The rules in this text. Raises RuleFileError with every mistake."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise RuleFileError(f"{where}: more than {TEXT_BYTES_MAX} bytes: split the rules over several installations")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise RuleFileError(f"{where}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list) or set(data) != {"rules"}:
        raise RuleFileError(f"{where}:1: the file must hold `rules:` with a list of rules, and nothing beside it")
    reader = _Reader(where, _Lines(node))
    rules = [rule for index, item in enumerate(data["rules"]) if (rule := reader.rule(index, item)) is not None]
    if len(data["rules"]) > RULES_MAX:
        reader.mistakes.append(f"{where}: {len(data['rules'])} rules, the limit is {RULES_MAX}")
    reader.check_composites([r for r in rules if isinstance(r, CompositeRule)])
    if reader.mistakes:
        raise RuleFileError("\n".join(reader.mistakes))
    return RuleSet((*_without(rules, CompositeRule), *(r for r in rules if isinstance(r, CompositeRule))))


def _without(rules: Sequence[Rule], kind: type) -> Iterator[Rule]:
    return (rule for rule in rules if not isinstance(rule, kind))


class _Lines:
    """Line numbers of a YAML tree by path."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def of(self, path: Iterable[str | int]) -> int:
        """1-based line of the deepest node of the path that exists."""
        node: Any = self._node
        line: int = node.start_mark.line + 1
        for step in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == step:
                        line, found = key.start_mark.line + 1, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                found = node.value[step]
                line = found.start_mark.line + 1
            if found is None:
                return line
            node = found
        return line


class _Reader:
    """Collects rules and mistakes."""

    def __init__(self, where: str, lines: _Lines) -> None:
        self.where = where
        self.lines = lines
        self.mistakes: list[str] = []
        self.known: dict[str, int] = {}  # name of a rule, valid or not -> its line

    def rule(self, index: int, item: Any) -> Rule | None:
        """The rule, or None after its mistakes were noted."""
        path = ("rules", index)
        if not isinstance(item, Mapping):
            self._note(path, f"rule {index + 1}", "a rule is a mapping with kind, name, ...")
            return None
        name = str(item.get("name") or f"rule {index + 1}")
        line = self.lines.of(path)
        if name in self.known:
            self._note((*path, "name"), name, f"name: used before in line {self.known[name]}; names are unique")
        self.known.setdefault(name, line)
        kind = self._kind(path, name, item)
        if kind is None:
            return None
        try:
            return KINDS[kind].model_validate({**item, "kind": kind})  # type: ignore[return-value]  # KINDS: those of Rule
        except ValidationError as error:
            for problem in error.errors():
                self._problem(path, name, KINDS[kind], problem)
            return None

    def _kind(self, path: Sequence[str | int], name: str, item: Mapping[str, Any]) -> str | None:
        """The rule's kind. After a slip of the pen the one it meant, so that its other mistakes are told as well."""
        kind = item.get("kind")
        if isinstance(kind, str) and kind in KINDS:
            return kind
        self._note(
            (*path, "kind"), name, f"kind: {kind!r} is not one of {', '.join(KINDS)}{_did_you_mean(kind, KINDS)}"
        )
        return next(iter(difflib.get_close_matches(str(kind), list(KINDS), n=1)), None)

    def check_composites(self, rules: Sequence[CompositeRule]) -> None:
        """Members exist, and are no composites: a chain of those could be a circle."""
        composites = {rule.name for rule in rules}
        for rule in rules:
            for member in rule.members:
                if member in composites:
                    problem = f"{member} is a composite itself: name the rules it is made of"
                elif member not in self.known:
                    problem = f"there is no rule {member!r}{_did_you_mean(member, self.known)}"
                else:
                    continue
                self.mistakes.append(f"{self.where}:{self.known[rule.name]}: rule {rule.name}: {problem}")

    def _problem(self, path: tuple[str | int, ...], name: str, model: type[BaseModel], problem: Any) -> None:
        place = tuple(step for step in problem["loc"] if not (isinstance(step, str) and step.startswith("function-")))
        field = ".".join(str(step) for step in place)
        if problem["type"] == "extra_forbidden":
            known = Filters.model_fields if place[0] == "filters" else _fields(model)
            text = f"there is no field {place[-1]!r} here{_did_you_mean(place[-1], known)}"
        elif problem["type"] == "missing":
            text = f"{field}: missing; {_HINTS.get(field, 'write it')}"
        elif problem["type"] == "literal_error":
            choices = _choices(problem)
            near = _did_you_mean(problem["input"], choices)
            text = f"{field}: {problem['input']!r} is not one of {', '.join(choices)}{near}"
        else:
            said = rule_of(str(problem["msg"]))
            hint = f"; {_HINTS[field]}" if field in _HINTS and problem["type"] != "value_error" else ""
            text = f"{field}: {said}{hint}" if field else f"{said}"
        self._note((*path, *place), name, text)

    def _note(self, path: Sequence[str | int], name: str, text: str) -> None:
        who = name if name.startswith("rule ") else f"rule {name}"
        self.mistakes.append(f"{self.where}:{self.lines.of(path)}: {who}: {text}")


_HINTS: Final = {
    "name": "lower-case letters, digits and dashes, for example error-rate",
    "description": "one sentence: what is wrong when it fires",
    "action": "one sentence: what the person who gets it should do",
    "metric": "for example error_rate",
    "window": "for example 5m",
    "aggregation": "for example mean",
    "objective": "a share between 0 and 1, for example 0.95",
    "baseline": "for example 24h",
}


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _choices(problem: Any) -> list[str]:
    expected = str(problem.get("ctx", {}).get("expected", ""))
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",") if part.strip()]


def _did_you_mean(word: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
