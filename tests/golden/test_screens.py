"""Every kind of report looks as it did: on a desk, on a phone, in the dark, printed, and as PDF.

`pytest tests/golden --update-golden` writes the pictures anew. They are coarse on purpose: see
tests/support/screens.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reports.build import render
from reports.render.pdf import write_source
from tests.golden.kinds import KINDS, report_of
from tests.support.browsers import chromium
from tests.support.screens import Grid, differences, grid_of, parts_of, read_grid, write_grid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
KEPT = Path(__file__).parent / "screens"
KEPT_BYTES_MAX = 400_000  # of the repository
MODES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "print": {"viewport": {"width": 794, "height": 1123}},  # A4 at 96 dots an inch
}
# Measured with four other fonts on the technical and the trend report: a chart differs by at most 0.12 in the three
# worst parts of each, text by 0.37 on a desk, and by 0.61 on a phone, where every line wraps elsewhere. A chart that is
# gone differs by 0.38 to 0.85, a table that is gone by 0.41 to 0.81.
CHART_TOLERANCE = 0.25
TEXT_TOLERANCE = 0.4
PHONE_TEXT_TOLERANCE = 0.65
PAGES_PER_INCH = 40  # of the PDF: more than its cells need


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Page:
    return browser.new_page()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("screens")
    for kind in KINDS:
        folder.joinpath(f"{kind}.html").write_text(render(report_of(kind), "html"), encoding="utf-8")
    return {kind: folder / f"{kind}.html" for kind in KINDS}


def _open(browser: Browser, file: Path, mode: str, css: str = "") -> Page:
    page = browser.new_context(offline=True, **MODES[mode]).new_page()
    if mode == "print":
        page.emulate_media(media="print")
    page.goto(file.as_uri())
    if css:
        page.add_style_tag(content=css)
    return page


def _differing(names: list[str], seen: Grid, kept: Grid, mode: str) -> list[str]:
    text = PHONE_TEXT_TOLERANCE if mode == "phone" else TEXT_TOLERANCE
    told = zip(names, differences(seen, kept), strict=True)
    return [
        f"{name} differs by {share:.2f}"
        for name, share in told
        if share > (CHART_TOLERANCE if name.startswith("chart-") else text)
    ]


@pytest.fixture
def updating(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_looks_as_it_did(
    browser: Browser, blank: Page, files: dict[str, Path], kind: str, mode: str, updating: bool
) -> None:
    page = _open(browser, files[kind], mode)
    names, seen = parts_of(page, blank)
    page.context.close()
    path = KEPT / f"{kind}-{mode}.png"
    if updating:
        write_grid(path, seen)
    assert _differing(names, seen, read_grid(path), mode) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_of_a_pdf_look_as_they_did(blank: Page, kind: str, updating: bool) -> None:
    import typst

    with tempfile.TemporaryDirectory() as folder:
        source = write_source(report_of(kind), Path(folder))
        made = typst.compile(source, root=folder, format="png", ppi=PAGES_PER_INCH)
    sheets = made if isinstance(made, list) else [made]
    seen = np.concatenate([grid_of(sheet, blank) for sheet in sheets if sheet])
    path = KEPT / f"{kind}-pdf.png"
    if updating:
        write_grid(path, seen)
    names = [f"page {number}" for number in range(1, len(sheets) + 1)]
    assert _differing(names, seen, read_grid(path), "pdf") == []


def test_another_font_is_no_difference(browser: Browser, blank: Page, files: dict[str, Path]) -> None:
    page = _open(browser, files["technical"], "desktop", "* { font-family: 'DejaVu Serif', serif !important; }")
    names, seen = parts_of(page, blank)
    page.context.close()
    assert _differing(names, seen, read_grid(KEPT / "technical-desktop.png"), "desktop") == []


@pytest.mark.parametrize(
    ("css", "gone"),
    [
        (".chart { visibility: hidden; }", {"chart-ratios", "chart-durations", "chart-time-task-duration"}),
        ("#swarms table { visibility: hidden; }", {"swarms"}),
    ],
)
def test_what_is_gone_from_a_page_is_told_by_name(
    browser: Browser, blank: Page, files: dict[str, Path], css: str, gone: set[str]
) -> None:
    page = _open(browser, files["comparison"], "desktop", css)
    names, seen = parts_of(page, blank)
    page.context.close()
    told = _differing(names, seen, read_grid(KEPT / "comparison-desktop.png"), "desktop")
    assert gone <= {line.split()[0] for line in told}


def test_the_kept_pictures_stay_small() -> None:
    assert sum(path.stat().st_size for path in KEPT.glob("*.png")) < KEPT_BYTES_MAX
    assert len(list(KEPT.glob("*.png"))) == len(KINDS) * (len(MODES) + 1)
