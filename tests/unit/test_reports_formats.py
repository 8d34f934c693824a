"""Text, CSV and PDF say what the other formats say, and data cannot become markup, control or formula in them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from models.clock import ManualClock
from reports.build import body, build_report, file_name, render
from reports.config import ReportConfig
from reports.render.csv import COLUMNS
from reports.render.document import sections
from reports.render.text import WIDTH
from reports.render.view import Report
from tests.golden.recorded import DAY_0_MS, DAY_MS, SWARMS, T0_MS, DailyReader, RecordedReader

KINDS = ("executive", "comparison", "technical", "trend", "final")
HOSTILE = "#[evil] $x$ *b* <script>alert(1)</script> \\x1b \x1b[31m"


def report(kind: str = "technical", **config: object) -> Report:
    values: dict[str, object] = {"kind": kind, "swarms": ("careful",) if kind in {"trend", "final"} else SWARMS}
    if kind == "trend":
        values |= {"period": "daily", "from_ms": DAY_0_MS, "to_ms": DAY_0_MS + 9 * DAY_MS}
    return build_report(
        DailyReader() if kind == "trend" else RecordedReader(),
        ReportConfig(**{**values, **config}),  # type: ignore[arg-type]  # pydantic checks them
        clock=ManualClock(T0_MS),
        report_id="e" * 32,
    )


def pdf_text(made: Report) -> str:
    import pypdf

    content = body(made, "pdf")
    assert isinstance(content, bytes)
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


@pytest.mark.parametrize("kind", KINDS)
def test_text_fits_a_terminal_of_80_columns(kind: str) -> None:
    too_wide = [line for line in render(report(kind), "text").splitlines() if len(line) > WIDTH]
    assert not too_wide


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_stands_in_every_text_form(kind: str) -> None:
    made = report(kind)
    told = [sentence.text for sentence in made.sentences]
    assert told
    flat = " ".join(render(made, "text").split())
    printed = " ".join(pdf_text(made).split())
    for text in told:
        assert text in flat
        assert "".join(text.split()) in "".join(printed.split())  # a line of the page may break anywhere


def test_control_characters_of_data_are_shown_in_text_and_not_obeyed() -> None:
    text = render(report(title=HOSTILE), "text")
    assert "\x1b" not in text
    assert "\\x1b[31m" in text


def test_csv_has_one_raw_number_a_line_with_its_unit_and_where_it_comes_from() -> None:
    made = report("comparison")
    lines = list(csv.DictReader(io.StringIO(render(made, "csv"))))
    assert tuple(lines[0]) == COLUMNS
    facts = {(line["subject"], line["measure"]): line for line in lines if line["section"] == "fact"}
    ratio = facts["hasty", "success_ratio"]
    assert (ratio["value"], ratio["unit"], ratio["n"], ratio["query"]) == ("0.75", "ratio", "40", "tasks")
    assert facts["hasty", "cache_read_tokens"]["value"] == ""
    (found,) = [line for line in lines if line["measure"] == "task_duration ratio a / b"]
    assert float(found["low"]) < float(found["value"]) < float(found["high"])
    assert found["verdict"] == "better"
    assert {line["query"] for line in lines} <= set(made.queries)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(start: str) -> None:
    made = report("comparison")
    agents = (replace(made.agents[0], agent_id=f'{start}HYPERLINK("x")'), *made.agents[1:])
    parts = {line["part"] for line in csv.DictReader(io.StringIO(render(replace(made, agents=agents), "csv")))}
    assert f'\'{start}HYPERLINK("x")' in parts


@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_is_the_same_bytes_for_the_same_report(kind: str) -> None:
    assert body(report(kind), "pdf") == body(report(kind), "pdf")


def test_a_pdf_carries_title_date_outline_tags_and_the_words_of_its_charts() -> None:
    import pypdf

    content = body(report(title="Careful or hasty?"), "pdf")
    assert isinstance(content, bytes)
    reader = pypdf.PdfReader(io.BytesIO(content))
    assert reader.metadata.title == "Careful or hasty?"
    assert reader.metadata.creation_date.isoformat() == "2026-03-01T12:00:00+00:00"
    titles = [entry.title for entry in _flat(reader.outline)]
    assert {"Careful or hasty?", "What these runs show", "Data quality"} <= set(titles)
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert "task duration (s)" in pdf_text(report())  # an axis: the charts are drawn, not photographed


def _flat(outline: list[object]) -> list[object]:
    return [entry for item in outline for entry in (_flat(item) if isinstance(item, list) else [item])]


def test_nothing_in_the_data_is_markup_of_a_pdf() -> None:
    text = pdf_text(report(title=HOSTILE, description=HOSTILE))
    assert text.count("#[evil] $x$ *b* <script>alert(1)</script>") == 2


def test_a_long_word_does_not_leave_its_page() -> None:
    made = report("comparison")
    name = "agent-" + "abcdefghi/" * 12
    text = pdf_text(replace(made, agents=(replace(made.agents[0], agent_id=name), *made.agents[1:])))
    assert name in "".join(text.replace("\u200b", "").split())


def test_files_end_in_what_they_are() -> None:
    made = report()
    assert [file_name(made, name) for name in ("text", "pdf", "csv")] == [
        "technical-eeeeeeeeeeee.txt",
        "technical-eeeeeeeeeeee.pdf",
        "technical-eeeeeeeeeeee.csv",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_leads_to_what_it_was_made_from(kind: str) -> None:
    made = report(kind)
    page = render(made, "html")
    for sentence in made.sentences:
        assert f'id="{sentence.anchor}"' in page, sentence.text
        assert not sentence.query or sentence.query in made.queries, sentence.text
        assert sentence.n or not sentence.query, sentence.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_links_to_its_sections_counts_its_pages_and_splits_no_short_table(kind: str) -> None:
    import pypdf

    made = report(kind)
    reader = pypdf.PdfReader(io.BytesIO(body(made, "pdf")))
    links = [note.get_object() for note in reader.pages[0].get("/Annots", [])]
    assert len({str(link["/Dest"] if "/Dest" in link else link["/A"]["/D"]) for link in links}) >= len(sections(made))
    texts = [page.extract_text() for page in reader.pages]
    for number, text in enumerate(texts, start=1):
        assert f"{number} / {len(texts)}" in text
    heads = [text for text in texts if "Work of each agent" in text]
    assert all(text.count(f"agent-{i}") for text in heads for i in range(4)), "rows stay beside their heading"
