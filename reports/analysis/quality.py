"""What a reader must know about the data before believing any of it.

In: summaries, findings, dead letters. Out: `QualityNote`. Never: silence about a gap.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.facts import QualityNote, SwarmSummary
from reports.compare.finding import Finding
from reports.queries.port import DeadLetterRow


def quality_notes(
    summaries: Sequence[SwarmSummary], findings: Sequence[Finding], dead_letters: Sequence[DeadLetterRow]
) -> tuple[QualityNote, ...]:
    """What a reader must know before believing the numbers: dead letters, then each swarm, then each finding."""
    notes: list[QualityNote] = []
    total = sum(row.dead_letters for row in dead_letters)
    if total:
        codes = ", ".join(f"{row.error_code} {row.dead_letters:,}" for row in dead_letters)
        text = f"{total:,} dead letters in the whole installation ({codes}); they name no swarm"
        notes.append(QualityNote(text, "warning", "dead_letters"))
    else:
        notes.append(QualityNote("No dead letters: everything that arrived could be read.", "ok", "dead_letters"))
    for summary in summaries:
        if summary.first_ms is None:
            notes.append(QualityNote(f"{summary.swarm_id} has no event in this time range", "warning", "swarms"))
            continue
        if summary.not_measured:
            text = f"{summary.swarm_id}: not measured: {', '.join(summary.not_measured)}"
            notes.append(QualityNote(text, "note", "activities"))
        for fact in summary.facts:
            if fact.note:
                notes.append(QualityNote(f"{summary.swarm_id}: {fact.label}: {fact.note}", "note", fact.query))
            if "estimated" in fact.provenance:
                text = f"{summary.swarm_id}: {fact.label} is estimated (price book), not billed"
                notes.append(QualityNote(text, "note", fact.query))
    for finding in findings:
        for warning in finding.warnings:
            text = f"{finding.a} against {finding.b}, {finding.label}: {warning}"
            notes.append(QualityNote(text, "note", finding.query))
    if findings:
        notes.append(
            QualityNote(
                "These runs were observed, not randomised: a difference says what happened in them, not why.",
                "note",
                "",
            )
        )
    return tuple(dict.fromkeys(notes))
