"""Rule files from the command line: read, print, check.

In: a path or the settings. Out: rules, or exit code 2 with every mistake on a line of its own. Never: changes a file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.cli.output import EXIT_USAGE, fail, print_error

if TYPE_CHECKING:
    from models.alerts.rule_file import RuleSet

COLUMNS = ("rule", "kind", "metric", "condition", "window", "for", "by", "severity", "action")


def read_rules(path: Path | None) -> RuleSet:
    """The rules of a file; the built-in ones for None."""
    from models.alerts.rule_file import RuleFileError, default_rules, parse

    if path is None:
        return default_rules()
    try:
        return parse(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}", code=EXIT_USAGE)
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text", code=EXIT_USAGE)
    except RuleFileError as error:
        for line in str(error).splitlines():
            print_error(line)
        sys.exit(EXIT_USAGE)


def rule_rows(rules: RuleSet) -> list[dict[str, object]]:
    """One row a rule."""
    from models.alerts.duration import show_ms

    rows = []
    for rule in rules.rules:
        window = getattr(rule, "window", 0)
        values = (
            rule.name,
            getattr(rule, "kind", ""),
            getattr(rule, "metric", ""),
            _condition(rule),
            show_ms(window) if window else "",
            show_ms(rule.for_) if rule.for_ else "",
            " ".join(rule.by),
            " ".join(getattr(rule, "levels", {})) or rule.severity,
            rule.action,
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _condition(rule: object) -> str:
    from models.alerts import rule as kinds
    from models.alerts.duration import show_ms

    if isinstance(rule, kinds.ThresholdRule | kinds.RateRule):
        sign = ">" if rule.above is not None or (rule.levels and rule.direction == "above") else "<"
        limit = rule.above if rule.above is not None else rule.below
        limits = " / ".join(f"{value:g}" for value in rule.levels.values()) or f"{limit:g}"
        times = f" times that of {show_ms(rule.baseline)}" if isinstance(rule, kinds.RateRule) else ""
        return f"{rule.aggregation} {sign} {limits}{times}"
    if isinstance(rule, kinds.AbsenceRule):
        return "no event"
    if isinstance(rule, kinds.AnomalyRule):
        return f">= {rule.at_least} anomalies, {rule.min_severity} or worse"
    if isinstance(rule, kinds.SlaRule):
        return f"burn rate > {rule.burn_rate:g} of objective {rule.objective:g}"
    assert isinstance(rule, kinds.CompositeRule)
    return f"{'all' if rule.all else 'any'} of {', '.join(rule.members)}"
