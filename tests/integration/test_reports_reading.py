"""What a reader would stumble over in any kind of report: in every theme and size, with and without a mouse.

Each question is asked of a page that was broken on purpose, too: a check that tells nothing is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.build import render
from reports.render.chart import render_chart
from tests.golden.kinds import KINDS, report_of
from tests.support import reading
from tests.support.browsers import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK: dict[str, Any] = {**DESKTOP, "color_scheme": "dark"}
PAGES = (*KINDS, "chart")
OPEN_ALL = "document.querySelectorAll('details').forEach(e => { e.open = true; })"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reading")
    made = {kind: render(report_of(kind), "html") for kind in KINDS}
    report = report_of("comparison")
    made["chart"] = render_chart(report.charts[2], [report.queries["windows"]], theme="auto", about="careful, hasty")
    for name, text in made.items():
        folder.joinpath(f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def _open(browser: Browser, file: Path, device: dict[str, Any], css: str = "") -> Page:
    page = browser.new_context(offline=True, **device).new_page()
    page.goto(file.as_uri())
    if css:
        page.add_style_tag(content=css)
    return page


@pytest.mark.parametrize("device", [DESKTOP, PHONE, DARK], ids=["desktop", "phone", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_runs_out_of_the_page_lies_over_another_or_is_hard_to_read(
    browser: Browser, files: dict[str, Path], name: str, device: dict[str, Any]
) -> None:
    page = _open(browser, files[name], device)
    page.evaluate(OPEN_ALL)
    assert reading.layout(page) + reading.contrast(page) == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_order_names_and_tables_for_who_cannot_see_it(
    browser: Browser, files: dict[str, Path], name: str
) -> None:
    page = _open(browser, files[name], DESKTOP)
    assert reading.structure(page) == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_every_control_and_each_shows_it(
    browser: Browser, files: dict[str, Path], name: str
) -> None:
    page = _open(browser, files[name], DESKTOP)
    assert reading.keyboard(page) == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_finger_hits_every_control_on_a_phone(browser: Browser, files: dict[str, Path], name: str) -> None:
    page = _open(browser, files[name], PHONE)
    page.evaluate(OPEN_ALL)
    assert reading.targets(page) == []
    page.context.close()


def test_who_wants_no_motion_gets_none(browser: Browser, files: dict[str, Path]) -> None:
    ways = {}
    for wish in ("no-preference", "reduce"):
        page = _open(browser, files["technical"], {**DESKTOP, "reduced_motion": wish})
        ways[wish] = page.evaluate("getComputedStyle(document.documentElement).scrollBehavior")
        page.context.close()
    assert ways == {"no-preference": "smooth", "reduce": "auto"}


def test_a_drag_over_midnight_keeps_the_date_on_the_axis(browser: Browser, files: dict[str, Path]) -> None:
    page = _open(browser, files["chart"], DESKTOP)
    panel = page.locator(".panel").first
    kind, low, high, rest = (panel.get_attribute("data-x") or "").split(",", 3)
    shift_ms = 43_200_000 - (float(high) - float(low)) / 2  # noon plus this: the middle is midnight
    moved = (
        files["chart"]
        .read_text("utf-8")
        .replace(f"{kind},{low},{high},{rest}", f"{kind},{float(low) + shift_ms},{float(high) + shift_ms},{rest}")
    )
    page.set_content(moved)
    page.locator("figure svg").focus()
    page.keyboard.press("+")
    labels = page.locator(".x-axis").first.locator("text").all_text_contents()
    assert labels[0].startswith("Mar 1 23:5")
    assert [label for label in labels if label.startswith("Mar 2")] == ["Mar 2 00:00:00"]
    assert reading.layout(page) == []
    page.context.close()


@pytest.mark.parametrize(
    ("question", "device", "broken", "told"),
    [
        (reading.layout, PHONE, ".sentences li { width: 500px; }", "wider than the screen: LI"),
        (reading.layout, DESKTOP, "h1 { overflow: hidden; white-space: nowrap; width: 3rem; }", "cut off: H1"),
        (reading.layout, DESKTOP, ".x-axis text { letter-spacing: 2em; }", "words over one another: "),
        (reading.layout, DESKTOP, ".chart text { font-size: 90px; }", "cut off in a chart: "),
        (reading.contrast, DARK, ":root { --ink: #1f2328 !important; }", "contrast 1."),
        (reading.contrast, DESKTOP, ".chart text { fill: #cccccc !important; }", "contrast 1."),
        (reading.contrast, DESKTOP, ".note { color: #999999; }", "contrast 2."),
        (reading.targets, PHONE, ".tools button { padding: 0; line-height: 1; }", "small target "),
        (reading.keyboard, DESKTOP, "summary:focus-visible { outline: none; }", "focus is not seen: SUMMARY"),
    ],
)
def test_a_page_that_is_broken_on_purpose_is_told(
    browser: Browser,
    files: dict[str, Path],
    question: Callable[[Page], list[str]],
    device: dict[str, Any],
    broken: str,
    told: str,
) -> None:
    page = _open(browser, files["comparison"], device, broken)
    assert any(line.startswith(told) for line in question(page))
    page.context.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("document.documentElement.lang = ''", "no language"),
        ("document.querySelector('h2').outerHTML = '<h4>x</h4>'", "h4 after h1"),
        ("document.querySelector('figure table').remove()", "chart without a table: chart-ratios"),
        ("document.querySelector('figure svg').removeAttribute('aria-label')", "chart without a name: chart-ratios"),
        ("document.querySelector('thead th').removeAttribute('scope')", "header without scope: "),
        ("document.querySelector('thead th').textContent = ''", "empty column header"),
        ("document.querySelector('h1').remove()", "not one h1, first"),
    ],
)
def test_a_page_without_its_structure_is_told(browser: Browser, files: dict[str, Path], change: str, told: str) -> None:
    page = _open(browser, files["comparison"], DESKTOP)
    page.evaluate(change)
    assert any(line.startswith(told) for line in reading.structure(page))
    page.context.close()
