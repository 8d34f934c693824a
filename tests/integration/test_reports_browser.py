"""The HTML report as a reader meets it: in a real browser, offline, without JavaScript, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.clock import ManualClock
from reports.build import build_report, render
from reports.config import ReportConfig
from tests.golden.recorded import DAY_0_MS, DAY_MS, SWARMS, T0_MS, DailyReader, RecordedReader
from tests.support.browsers import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


PAGES: dict[str, tuple[type[RecordedReader], ReportConfig]] = {
    "comparison": (RecordedReader, ReportConfig(swarms=SWARMS)),
    "technical": (RecordedReader, ReportConfig(swarms=SWARMS, kind="technical")),
    "trend": (
        DailyReader,
        ReportConfig(swarms=SWARMS[:1], kind="trend", period="daily", from_ms=DAY_0_MS, to_ms=DAY_0_MS + 9 * DAY_MS),
    ),
}


@pytest.fixture(scope="module", params=PAGES)
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    reader, config = PAGES[request.param]
    report = build_report(reader(), config, clock=ManualClock(T0_MS), report_id="f" * 32)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(report, "html"), encoding="utf-8")
    return path


def test_the_file_loads_nothing_and_its_one_script_asks_nobody(page_file: Path) -> None:
    page = page_file.read_text("utf-8")
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert page.count("<script>") == 1
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|sendBeacon|import\s*\(|eval|localStorage|cookie", script)
    assert not re.search(r"<(link|iframe|img|object|embed|base)\b", page)
    assert not re.search(r"\s(?:src|href|action|data)\s*=\s*[\"'](?!#)", page)
    assert not re.search(r"@import|url\((?!#)", page)
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, "names of XML, never loaded"
    assert len(page.encode()) < 2_000_000


def test_no_id_stands_twice_and_every_inner_link_has_its_target(page_file: Path) -> None:
    page = page_file.read_text("utf-8")
    ids = re.findall(r"\bid=\"([^\"]+)\"", page)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", page))
    assert targets <= set(ids)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def _open(browser: Browser, path: Path, viewport: dict[str, int], *, scheme: str = "light") -> tuple[Page, list[str]]:
    context = browser.new_context(
        viewport=viewport,  # type: ignore[arg-type]  # width and height
        java_script_enabled=False,
        color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
        offline=True,
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, asked


@pytest.mark.browser
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_opens_offline_without_javascript_and_never_scrolls_sideways(
    browser: Browser, page_file: Path, viewport: dict[str, int]
) -> None:
    page, asked = _open(browser, page_file, viewport)
    assert asked == [page_file.as_uri()]
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    for selector in ("h1", ".sentences li", "table.cards", "figure", "footer"):
        found = page.locator(selector).first.bounding_box()
        assert found is not None, selector
        assert found["x"] + found["width"] <= viewport["width"] + 1, selector
    page.context.close()


@pytest.mark.browser
def test_no_word_of_a_chart_is_cut_off_at_its_edge(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, DESKTOP)
    cut = page.evaluate(
        """() => [...document.querySelectorAll("figure svg text")].filter(text => {
            const word = text.getBoundingClientRect(), figure = text.closest("figure").getBoundingClientRect();
            return word.width && (word.left < figure.left - 0.5 || word.right > figure.right + 0.5);
        }).map(text => text.textContent)"""
    )
    assert cut == []
    assert page.locator("figure svg text").count() > 20
    page.context.close()


@pytest.mark.browser
def test_evidence_opens_by_keyboard_alone(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, DESKTOP)
    first = page.locator("tr.evidence details").first
    assert not first.locator("dl").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.locator("dl").is_visible()
    assert "provenance" in first.inner_text()
    page.context.close()


@pytest.mark.browser
def test_landmarks_headings_and_pictures_have_names_for_a_screen_reader(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, DESKTOP)
    tree = page.locator("body").aria_snapshot()
    for expected in (
        'navigation "Sections"',
        "main",
        'heading "What these runs show"',
        "contentinfo",
        "banner",
    ):
        assert expected in tree, expected
    assert page.locator("figure svg[aria-label]").count() == page.locator("figure svg").count() > 0
    assert page.locator("table").count() == page.locator("table:has(th[scope=col])").count()
    page.context.close()


@pytest.mark.browser
def test_the_levels_of_headings_leave_none_out_and_links_say_where_they_lead(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, DESKTOP)
    levels = [int(tag[1]) for tag in page.locator("h1, h2, h3").evaluate_all("all => all.map(e => e.tagName)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator(".sentences a").count() == page.locator(".sentences a[aria-label]").count() > 0
    page.context.close()


@pytest.mark.browser
def test_on_a_phone_every_number_of_a_detail_table_has_its_name_beside_it(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, PHONE)
    cells = page.locator("table.cards tr.row td")
    for i in range(cells.count()):
        box = cells.nth(i).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"] + 1
    unnamed = page.locator("table.cards tr.row td:not([data-label])")
    assert unnamed.count() == page.locator("table.cards tr.row td:not([data-label]) .badge").count()  # says it itself
    page.context.close()


@pytest.mark.browser
def test_printed_it_has_no_menu_and_no_table_is_cut(browser: Browser, page_file: Path) -> None:
    page, _ = _open(browser, page_file, DESKTOP)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    clipped = page.locator(".scroll").evaluate_all(
        "all => all.filter(e => getComputedStyle(e).overflowX != 'visible').length"
    )
    assert clipped == 0
    page.context.close()


@pytest.mark.browser
def test_dark_mode_turns_the_page_and_the_ink_of_the_charts(browser: Browser, page_file: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        page, _ = _open(browser, page_file, DESKTOP, scheme=scheme)
        label = page.locator("figure svg text").first
        seen[scheme] = (
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            page.evaluate("getComputedStyle(document.body).color"),
            label.evaluate("element => getComputedStyle(element).fill"),
        )
        page.context.close()
    assert seen["light"][0] == "rgb(255, 255, 255)"
    assert seen["dark"][0] == "rgb(13, 17, 23)"
    assert seen["dark"][1] == "rgb(230, 237, 243)"
    assert seen["light"][2] != seen["dark"][2]
