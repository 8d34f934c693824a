"""The report as PDF that can be forwarded: tagged, with an outline, the same bytes for the same report.

In: a Report. Out: bytes. Never: the wall clock (the document's date is the report's), the network, markup taken from
data: texts reach the page as JSON strings.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from reports.render.document import Section, head_line, sections
from reports.render.environment import kept, rows_text
from reports.render.view import Report

INSTALL: Final = "pip install 'murmuration[pdf]', or from a checkout: pip install -e '.[server,pdf]'"
WIDE_FROM: Final = 7  # columns: a wider table gets smaller type


class PdfUnavailableError(RuntimeError):
    """The extra `pdf` is not installed; the message says how to install it."""


def require_pdf() -> None:
    """Raises PdfUnavailableError where PDF cannot be made, before anything else is done for it."""
    try:
        import typst  # noqa: F401 - looked for only
    except ImportError:
        raise PdfUnavailableError(f"PDF needs the extra `pdf`: {INSTALL}") from None


def render_pdf(report: Report) -> bytes:
    """A4 pages with page numbers; charts as vector graphics. Raises PdfUnavailableError without the extra.

    Tagged for screen readers, but not declared PDF/UA: under that standard the compiler embeds no vector charts.
    """
    require_pdf()
    import typst

    with tempfile.TemporaryDirectory(prefix="murmur-report-") as folder:
        root = Path(folder)
        made = typst.compile(
            write_source(report, root),
            root=root,
            timestamp=datetime.fromtimestamp(report.created_at_ms // 1000, UTC),
        )
    assert isinstance(made, bytes), "one document gives one file"
    return made


def write_source(report: Report, root: Path) -> Path:
    """Writes what the compiler reads into an empty folder: template, texts, charts; returns the template's path."""
    root.joinpath("report.json").write_text(json.dumps(_content(report, root)), encoding="utf-8")
    template = files("reports.render").joinpath("templates", "report.typ").read_bytes()
    root.joinpath("report.typ").write_bytes(template)
    return root / "report.typ"


def _content(report: Report, root: Path) -> dict[str, Any]:
    made = datetime.fromtimestamp(report.created_at_ms // 1000, UTC)
    return {
        "title": report.title,
        "kind": report.config.kind,
        "description": report.config.description,
        "head": head_line(report),
        "report_id": report.report_id,
        "date": [made.year, made.month, made.day, made.hour, made.minute, made.second],
        "sections": [_section(section, root) for section in sections(report)],
        "queries": [{"name": name, "rows": rows_text(q.rows)} for name, q in sorted(report.queries.items())],
    }


def _section(section: Section, root: Path) -> dict[str, Any]:
    tables = [
        {
            "title": table.title if table.title != section.title else "",
            "note": table.note,
            "wide": len(table.columns) >= WIDE_FROM,
            "columns": [{"label": c.label, "numeric": c.numeric} for c in table.columns],
            "rows": [[kept(cell) for cell in row] for row in table.rows],
        }
        for table in section.tables
    ]
    charts = [_chart(chart.name, chart.title, chart.description, chart.svg, root) for chart in section.charts]
    return {
        "title": section.title,
        "sentences": [kept(sentence) for sentence in section.sentences],
        "tables": tables,
        "charts": charts,
    }


def _chart(name: str, title: str, description: str, svg: str, root: Path) -> dict[str, str]:
    """The picture is written beside the document: text in it is set in the font that the converter carries."""
    import vl_convert

    root.joinpath(f"{name}.pdf").write_bytes(vl_convert.svg_to_pdf(svg))
    return {"file": f"{name}.pdf", "title": title, "description": description}
