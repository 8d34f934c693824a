"""What the report's page does with a script: values of a chart, zoom, sorted and filtered tables, by keyboard too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.clock import ManualClock
from reports.build import build_report, render
from reports.config import ReportConfig
from tests.golden.recorded import SWARMS, T0_MS, RecordedReader
from tests.support.browsers import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LINE = "#chart-time-task-duration"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("script")
    made = {}
    for kind, swarms in (("technical", SWARMS), ("final", SWARMS[:1])):
        config = ReportConfig(swarms=swarms, kind=kind)  # type: ignore[arg-type]  # one of the kinds
        report = build_report(RecordedReader(), config, clock=ManualClock(T0_MS), report_id="f" * 32)
        made[kind] = folder / f"{kind}.html"
        made[kind].write_text(render(report, "html"), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, files: dict[str, Path]) -> Iterator[Page]:
    """The technical report on a desk; whatever the page complains of fails the test that made it."""
    context = browser.new_context(viewport=DESKTOP, offline=True)  # type: ignore[arg-type]  # width and height
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(files["technical"].as_uri())
    yield opened
    context.close()
    assert complaints == []


def _at(page: Page, figure: str, share: float, *, panel: int = 0) -> tuple[float, float]:
    """A place inside a panel's frame, `share` of its width from the left, on the screen."""
    box = page.locator(f"{figure} .panel").nth(panel).get_attribute("data-box")
    assert box is not None
    left, top, width, height = map(float, box.split(","))
    svg = page.locator(f"{figure} svg")
    svg.scroll_into_view_if_needed()
    place = svg.evaluate(
        "(svg, [x, y]) => { const p = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM()); return [p.x, p.y]; }",
        [left + share * width, top + height / 2],
    )
    return place[0], place[1]


def _tip(page: Page, figure: str) -> Locator:
    return page.locator(f"{figure} .tip")


def _labels(page: Page) -> list[str]:
    return page.locator(f"{LINE} .x-axis").first.locator("text").all_text_contents()


def test_pointing_at_a_line_says_time_and_values_of_the_nearest_window(page: Page) -> None:
    page.mouse.move(*_at(page, LINE, 0.5, panel=1))
    said = _tip(page, LINE).inner_text().splitlines()
    assert said[0] in {"12:02:20 UTC", "12:02:30 UTC"}, "half of 290 s lies between two windows"
    assert {line.split(":")[0] for line in said[1:]} == {"mean", "p95"}
    row = page.locator(f"{LINE} table tr", has_text=said[0].removesuffix(" UTC")).filter(has_text="hasty")
    mean, p95 = (row.locator("td").nth(i).text_content() for i in (1, 2))
    for line in said[1:]:
        stated = float(re.findall(r"[\d.]+", line.split(":")[1])[0])
        assert f"{stated:.2g}" == f"{float((mean if line.startswith('mean') else p95 or '').split()[0]):.2g}"  # type: ignore[union-attr]


def test_pointing_at_an_anomaly_says_its_score_and_agent(page: Page) -> None:
    page.mouse.move(*_at(page, LINE, 180 / 290, panel=1))
    assert "anomaly: 5.12 s, score" in _tip(page, LINE).inner_text()
    assert "agent-2" in _tip(page, LINE).inner_text()


def test_the_share_at_any_value_of_a_distribution_is_said(page: Page) -> None:
    page.mouse.move(*_at(page, "#chart-durations", 0.99))
    said = _tip(page, "#chart-durations").inner_text().splitlines()
    assert said[0].endswith(" s")
    assert said[1] == "careful: 100 %"


@pytest.mark.parametrize("figure", ["ratios", "box", "scatter", "heatmap", "cost", "graph"])
def test_every_mark_of_the_other_charts_says_what_it_stands_for(page: Page, figure: str) -> None:
    mark = page.locator(f"#chart-{figure} [data-v]").first
    mark.scroll_into_view_if_needed()
    if figure == "graph":  # an arc is not in the middle of its box
        middle = """e => { const p = e.getPointAtLength(e.getTotalLength() / 2).matrixTransform(e.getScreenCTM());
            return [p.x, p.y]; }"""
        page.mouse.move(*mark.evaluate(middle))
    else:
        box = mark.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert _tip(page, f"#chart-{figure}").is_visible()
    words = set(page.locator(f"#chart-{figure} [data-v]").evaluate_all("all => all.map(e => e.dataset.v)"))
    assert _tip(page, f"#chart-{figure}").inner_text() in words


def test_arrow_keys_walk_along_a_line_and_escape_ends_it(page: Page) -> None:
    page.locator(f"{LINE} svg").focus()
    page.keyboard.press("ArrowRight")
    first = _tip(page, LINE).inner_text()
    assert first.startswith("12:00:00 UTC\n")
    page.keyboard.press("ArrowRight")
    assert _tip(page, LINE).inner_text().startswith("12:00:10 UTC\n")
    page.keyboard.press("End")
    assert _tip(page, LINE).inner_text().startswith("12:04:50 UTC\n")
    page.keyboard.press("ArrowDown")  # the other swarm at the same time
    page.keyboard.press("Home")
    assert _tip(page, LINE).inner_text() != first
    page.keyboard.press("Escape")
    assert not _tip(page, LINE).is_visible()


def test_arrow_keys_walk_over_the_marks_of_a_chart_without_lines(page: Page) -> None:
    page.locator("#chart-cost svg").focus()
    page.keyboard.press("ArrowRight")
    assert _tip(page, "#chart-cost").inner_text() == "careful, model-large: $0.610"
    page.keyboard.press("ArrowRight")
    assert _tip(page, "#chart-cost").inner_text() == "hasty, model-large: $0.440"


def test_a_drag_shows_that_stretch_of_both_panels_and_show_all_goes_back(page: Page) -> None:
    whole = _labels(page)
    drawn = page.locator(f"{LINE} .line").first.get_attribute("d")
    page.mouse.move(*_at(page, LINE, 0.55))
    page.mouse.down()
    page.mouse.move(*_at(page, LINE, 0.65), steps=4)
    page.mouse.move(*_at(page, LINE, 0.75), steps=4)
    page.mouse.up()
    zoomed = _labels(page)
    assert zoomed != whole
    assert all("12:02:30" <= label <= "12:03:45" for label in zoomed)
    assert page.locator(f"{LINE} .x-axis").nth(1).locator("text").all_text_contents() == zoomed
    page.mouse.move(*_at(page, LINE, 0.0))
    assert "12:02:3" <= _tip(page, LINE).inner_text()[:7] <= "12:02:5", "the value under the pointer follows the zoom"
    page.get_by_role("button", name="Show all: Task duration over time").click()
    assert _labels(page) == whole
    again = page.locator(f"{LINE} .line").first.get_attribute("d")
    assert [round(float(n)) for n in re.findall(r"[\d.]+", again or "")] == [
        round(float(n)) for n in re.findall(r"[\d.]+", drawn or "")
    ]


def test_zoom_works_by_keys_and_by_buttons_alone(page: Page) -> None:
    whole = _labels(page)
    svg = page.locator(f"{LINE} svg")
    svg.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    closer = _labels(page)
    assert closer != whole
    page.keyboard.press("Shift+ArrowRight")
    assert _labels(page) != closer
    page.keyboard.press("0")
    assert _labels(page) == whole
    button = page.get_by_role("button", name="Zoom in: Task duration over time")
    button.focus()
    page.keyboard.press("Enter")
    assert _labels(page) != whole


def test_a_column_sorts_by_its_values_with_their_units_and_back(page: Page) -> None:
    table = page.locator("#agents table")
    column = table.locator("thead th").nth(5)  # task p50
    column.get_by_role("button").click()
    assert column.get_attribute("aria-sort") == "ascending"
    up = table.locator("tbody tr td:nth-child(6)").all_inner_texts()
    assert up == sorted(up, key=lambda text: float(text.split()[0]))
    column.get_by_role("button").press("Enter")
    assert column.get_attribute("aria-sort") == "descending"
    assert table.locator("tbody tr td:nth-child(6)").all_inner_texts() == up[::-1]


def test_seconds_sort_above_milliseconds_and_what_is_missing_stays_last(page: Page) -> None:
    table = page.locator("section#comparison table").first
    column = table.locator("thead th").nth(1)
    for way in ("ascending", "descending"):
        column.get_by_role("button").click()
        assert column.get_attribute("aria-sort") == way
        names = table.locator("tbody tr.row th").all_inner_texts()
        ahead, behind = ("Tool call duration", "Task duration")  # 152 ms and 1.01 s
        assert (names.index(ahead) < names.index(behind)) == (way == "ascending")
    rows = table.locator("tbody tr")
    kinds = rows.evaluate_all("all => all.map(e => e.className)")
    assert kinds == ["row", "evidence"] * (len(kinds) // 2), "a line keeps its evidence"


def test_a_filter_shows_the_rows_with_all_its_words_and_says_how_many(page: Page) -> None:
    box = page.get_by_role("searchbox", name="Filter rows: Agents")
    box.fill("hasty agent-2")
    shown = page.locator("#agents tbody tr:not([hidden])")
    assert shown.count() == 1
    assert "agent-2" in shown.inner_text()
    assert "1 of 8 rows" in page.locator("#agents .tools").inner_text()
    box.fill("")
    assert page.locator("#agents tbody tr:not([hidden])").count() == 8


@pytest.mark.parametrize("kind", ["technical", "final"])
def test_on_a_phone_nothing_is_wider_than_the_screen_and_tables_sort_by_a_list(
    browser: Browser, files: dict[str, Path], kind: str
) -> None:
    context = browser.new_context(viewport=PHONE, offline=True, has_touch=True)  # type: ignore[arg-type]  # width and height
    page = context.new_page()
    page.goto(files[kind].as_uri())
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    smallest = page.locator("figure svg text").evaluate_all(
        "all => Math.min(...all.map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a))"
    )
    assert smallest >= 9, "pixels of the smallest word"
    if kind == "technical":
        page.get_by_label("Sort by").locator("visible=true").last.select_option("3")
    context.close()


def test_without_javascript_every_chart_has_its_numbers_as_a_table(browser: Browser, files: dict[str, Path]) -> None:
    context = browser.new_context(viewport=DESKTOP, offline=True, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(files["technical"].as_uri())
    for figure in page.locator("figure").all():
        figure.locator("summary", has_text="As a table").click()
        assert figure.locator("tbody tr").first.is_visible()
        assert figure.locator("svg").get_attribute("role") == "img"
        assert figure.locator("svg > title").count() == figure.locator("svg > desc").count() == 1
    assert page.locator("button, input").count() == 0, "no control that does nothing"
    context.close()


def test_words_have_enough_contrast_in_both_themes(browser: Browser, files: dict[str, Path]) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=DESKTOP, offline=True, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(files["technical"].as_uri())
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        inks = set(page.locator("figure svg text").evaluate_all("all => all.map(e => getComputedStyle(e).fill)"))
        inks |= {page.locator(s).first.evaluate("e => getComputedStyle(e).color") for s in (".note", ".meta", "a", "p")}
        assert len(inks) > 2
        for ink in inks:
            assert _contrast(ink, ground) >= 4.5, (scheme, ink)
        context.close()


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two `rgb(r, g, b)`."""

    def luminance(colour: str) -> float:
        parts = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
