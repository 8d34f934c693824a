"""What a reader would stumble over, asked of a page in a browser: one complaint a line, none for a good page.

In: an open page. Out: complaints in words, with the text they are about. Never: a picture; those are in screens.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONTRAST_MIN: Final = 4.5  # WCAG 2.2, 1.4.3, for text of the usual size
TARGET_MIN_PX: Final = 24  # WCAG 2.2, 2.5.8; links within a sentence are exempt
OVERLAP_PX: Final = 1.5  # boxes of neighbouring words touch by a hair in some fonts
STOPS_MAX: Final = 400  # presses of Tab, more than any report has controls

_LAYOUT: Final = """([overlap]) => {
  const found = [], words = (e) => (e.textContent || e.tagName).trim().slice(0, 40);
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".visually-hidden, .skip");
  const width = document.documentElement.clientWidth;
  for (const e of document.querySelectorAll("body *")) {
    if (!shown(e) || e.closest("svg") && e.tagName !== "svg" && e.tagName !== "text") continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || !box.height || e.closest("thead") && style.clipPath !== "none") continue;
    const hidden = e.parentElement.closest(".cards thead");
    if (hidden && getComputedStyle(hidden).clipPath !== "none") continue;
    const scrolls = e.parentElement.closest(".scroll, pre");
    if (!scrolls && (box.right > width + 1 || box.left < -1))
      found.push(`wider than the screen: ${e.tagName} ${words(e)}`);
    if (style.overflowX === "hidden" && style.clipPath === "none" && e.scrollWidth > e.clientWidth + 1)
      found.push(`cut off: ${e.tagName} ${words(e)}`);
    if (e.tagName === "text") {
      const frame = e.closest("figure").getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(`cut off in a chart: ${words(e)}`);
    }
  }
  for (const svg of document.querySelectorAll("figure svg")) {
    const boxes = [...svg.querySelectorAll("text")].filter(shown).map((e) => [e, e.getBoundingClientRect()]);
    boxes.forEach(([e, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      // A line's box holds room above and below its letters: a third of it may be shared.
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > overlap && high > Math.min(a.height, b.height) / 3)
        found.push(`words over one another: ${words(e)} | ${words(other)}`);
    }));
  }
  return found;
}"""

_CONTRAST: Final = """([least]) => {
  const parts = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => {
    const [r, g, b] = c.map((n) => n / 255).map((n) => n <= 0.04045 ? n / 12.92 : Math.pow((n + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length && (c.length < 4 || c[3] > 0.99)) return c.slice(0, 3);
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (seen.has(e) || !walk.currentNode.textContent.trim()) continue;
    if (!e.checkVisibility({ visibilityProperty: true })) continue;
    if (e.closest(".visually-hidden, .skip, script, style, title, desc, :disabled")) continue;
    seen.add(e);
    const style = getComputedStyle(e);
    const ink = parts(e.closest("svg") ? style.fill : style.color).slice(0, 3);
    const [high, low] = [light(ink), light(ground(e))].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push(`contrast ${ratio.toFixed(2)}: ${walk.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return seen.size ? found : ["no text at all"];
}"""

_STRUCTURE: Final = """() => {
  const found = [], all = (selector) => [...document.querySelectorAll(selector)];
  if (!document.documentElement.lang) found.push("no language");
  const levels = all("h1, h2, h3, h4, h5, h6").map((e) => +e.tagName[1]);
  if (levels.filter((n) => n === 1).length !== 1 || levels[0] !== 1) found.push("not one h1, first");
  levels.forEach((n, i) => { if (i && n > levels[i - 1] + 1) found.push(`h${n} after h${levels[i - 1]}`); });
  for (const e of all("figure")) {
    if (!(e.querySelector("svg").getAttribute("aria-label") || "").trim()) found.push(`chart without a name: ${e.id}`);
    if (!e.querySelector("table")) found.push(`chart without a table: ${e.id}`);
  }
  for (const e of all("th")) if (!["col", "row"].includes(e.scope))
    found.push(`header without scope: ${e.textContent}`);
  for (const e of all("thead th")) if (!e.textContent.trim()) found.push("empty column header");
  for (const e of all("table")) if (!e.querySelector("thead th[scope=col]")) found.push("table without headers");
  for (const e of all("table")) if (!e.caption && !e.parentElement.getAttribute("aria-label"))
    found.push("table without a name");
  return found;
}"""

_TARGETS: Final = """([least]) => [...document.querySelectorAll("button, input, select, summary, nav a")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true })).map((e) => [e, e.getBoundingClientRect()])
  .filter(([, box]) => box.width < least || box.height < least)
  .map(([e, box]) => `small target ${box.width.toFixed(0)} x ${box.height.toFixed(0)}: `
    + `${e.tagName} ${e.textContent.trim().slice(0, 40)}`)"""

_CONTROLS: Final = """() => [...document.querySelectorAll(
  "a[href], button:not(:disabled), input, select, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true })).length"""

_FOCUSED: Final = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), first = !e.dataset.stopped;
  e.dataset.stopped = "1";
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return [first, seen, `${e.tagName} ${e.textContent.trim().slice(0, 40)}`];
}"""


def layout(page: Page) -> list[str]:
    """Wider than the screen, cut off, words over one another."""
    return _asked(page, _LAYOUT, OVERLAP_PX)


def contrast(page: Page) -> list[str]:
    """Text that is hard to tell from its ground in the theme that is on."""
    return _asked(page, _CONTRAST, CONTRAST_MIN)


def structure(page: Page) -> list[str]:
    """Language, headings, names and tables of charts, headers of tables."""
    return _asked(page, _STRUCTURE)


def targets(page: Page) -> list[str]:
    """Controls that a finger misses."""
    return _asked(page, _TARGETS, TARGET_MIN_PX)


def keyboard(page: Page) -> list[str]:
    """Controls that Tab does not reach, or that do not show that they are chosen."""
    expected, reached, found = int(page.evaluate(_CONTROLS)), 0, []
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUSED)
        if stop is None or not stop[0]:
            break
        reached += 1
        if not stop[1]:
            found.append(f"focus is not seen: {stop[2]}")
    return found + ([] if reached == expected else [f"Tab reaches {reached} of {expected} controls"])


def _asked(page: Page, question: str, *limits: Any) -> list[str]:
    return list(page.evaluate(question, list(limits)))
