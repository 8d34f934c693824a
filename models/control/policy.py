"""The policy of advisories: which findings may propose an action, and which only say that they would have.

In: YAML text. Out: `Policy`. Raises PolicyError with every mistake. Never: allows what the file does not name: without
a file, and without a rule for a detector, nothing is proposed.
"""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from models.alerts.duration import parse_ms
from models.alerts.severity import rank
from models.broken_rule import rule_of
from models.detect.catalogue import NAMES, SPECS

RULES_MAX: Final = 200  # each finding is held against all of them
TEXT_BYTES_MAX: Final = 200_000
EXPIRY_MS_MIN, EXPIRY_MS_MAX = 1_000, 86_400_000  # shorter is over before it is read; a day later it is another matter
Action = Literal["pause", "pause_spawning", "break_wait", "restart", "reroute", "notify"]
ACTIONS: Final[dict[str, str]] = {spec.name: spec.action or "notify" for spec in SPECS}


class PolicyError(ValueError):
    """Every mistake of a policy file, one a line: file, rule, field, what to write."""


class Rule(BaseModel):
    """One line of the policy. The first rule that names the detector and fits the swarm decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    mode: Literal["off", "observe", "advise"] = "off"
    swarms: tuple[str, ...] = Field(("*",), min_length=1, max_length=100)
    min_severity: Literal["low", "medium", "high", "critical"] = "medium"
    action: Action | None = None  # None: the detector's own
    expires_after: Annotated[int, BeforeValidator(parse_ms), Field(ge=EXPIRY_MS_MIN, le=EXPIRY_MS_MAX)] = 600_000

    @field_validator("detector")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(NAMES)}"
            raise ValueError(f"{name!r} is not a detector{hint}")
        return name

    def fits(self, detector: str, swarm_id: str) -> bool:
        """Whether this rule is about such a finding."""
        return self.detector == detector and any(fnmatchcase(swarm_id, pattern) for pattern in self.swarms)

    def allows(self, severity: str) -> bool:
        """Whether a finding of this severity is bad enough."""
        return rank(severity) >= rank(self.min_severity)

    @property
    def proposes(self) -> str:
        """The action of an advisory under this rule."""
        return self.action or ACTIONS[self.detector]


class Policy(BaseModel):
    """The rules in the order of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    advisories: tuple[Rule, ...] = Field(max_length=RULES_MAX)

    def rule_for(self, detector: str, swarm_id: str) -> Rule | None:
        """The first rule about such a finding, or None."""
        return next((rule for rule in self.advisories if rule.fits(detector, swarm_id)), None)


def parse(text: str, *, where: str) -> Policy:
    """The policy in this text. Raises PolicyError with every mistake."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise PolicyError(f"{where}: more than {TEXT_BYTES_MAX} bytes; a policy is a short list of rules")
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise PolicyError(f"{where}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(data, dict):
        raise PolicyError(f"{where}: the file must hold `advisories:` with a list of rules")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        raise PolicyError("\n".join(f"{where}: {_mistake(found)}" for found in error.errors())) from None


def _mistake(found: Any) -> str:
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in found["loc"])
    message = rule_of(found["msg"])
    if found["type"] == "extra_forbidden":
        known = Rule.model_fields if len(found["loc"]) > 1 else Policy.model_fields
        near = difflib.get_close_matches(str(found["loc"][-1]), known, n=1)
        message = "unknown field" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}")
    return f"{place}: {message}"
