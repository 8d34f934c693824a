"""A gate's result for a build server: JUnit XML, Markdown for a summary page, JSON.

In: a Gate. Out: text. Never: an element that build servers do not know.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from xml.etree import ElementTree

from reports.compare.gate import EXIT_CODES, Gate
from reports.numbers import number
from reports.render.json import plain

_MARKS = {"pass": "✔", "pass, not proven": "✔", "worse": "✘", "not enough data": "?"}


def gate_junit(gate: Gate) -> str:
    """One test case a measure: worse is a failure, not enough data an error, a measure nobody has is skipped."""
    outcomes = [check.outcome for check in gate.checks]
    counts = {
        "tests": len(gate.checks) + len(gate.skipped),
        "failures": outcomes.count("worse"),
        "errors": outcomes.count("not enough data"),
        "skipped": len(gate.skipped),
    }
    attributes = {"name": f"{gate.candidate} against {gate.baseline}", **{k: str(v) for k, v in counts.items()}}
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", attributes)
    for check in gate.checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "murmur.gate", "name": check.metric})
        if check.outcome in {"worse", "not enough data"}:
            kind = "failure" if check.outcome == "worse" else "error"
            ElementTree.SubElement(case, kind, {"message": _xml(check.why), "type": check.outcome})
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(f"{check.outcome}: {check.why}")
    for name in gate.skipped:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "murmur.gate", "name": name})
        ElementTree.SubElement(case, "skipped", {"message": "measured on neither side"})
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def gate_markdown(gate: Gate) -> str:
    """A table for a job summary or a comment on a change."""
    word = {0: "passed", 1: "failed", 2: "could not decide"}[gate.exit_code]
    lines = [
        f"### Gate {word}: {_md(gate.candidate)} against {_md(gate.baseline)}",
        "",
        "| | measure | worsening | allowed | outcome | why |",
        "| --- | --- | ---: | ---: | --- | --- |",
    ]
    for check in gate.checks:
        size = "–" if check.worsening is None else number(check.worsening)
        if check.low is not None and check.high is not None:
            size += f" [{number(check.low)}, {number(check.high)}]"
        mark = _MARKS[check.outcome]
        cells = (mark, check.label, size, number(check.allow), check.outcome, check.why)
        lines.append("| " + " | ".join(map(_md, cells)) + " |")
    if gate.skipped:
        lines += ["", f"Measured on neither side, so not judged: {', '.join(gate.skipped)}."]
    return "\n".join(lines) + "\n"


def gate_json(gate: Gate) -> str:
    """Fields as in docs/comparing.md; `checks[].finding` is the comparison behind the outcome."""
    document: dict[str, Any] = {
        "schema_version": 1,
        "candidate": gate.candidate,
        "baseline": gate.baseline,
        "exit_code": gate.exit_code,
        "exit_codes": {"pass": 0, "worse": 1, "not enough data": EXIT_CODES["not enough data"]},
        "checks": [plain(dataclasses.asdict(check)) for check in gate.checks],
        "skipped": list(gate.skipped),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _xml(text: str) -> str:
    """XML 1.0 has no control characters."""
    return "".join(c if c >= " " or c in "\t\n" else "?" for c in text)


def _md(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
