"""Small grey pictures of a page's parts, which survive another font and still lose a chart that is gone.

In: a page in a browser, or PNG files of whole sheets. Out: one picture a page, a row of cells for each part; the share
of the ink that two pictures do not have in common. Never: pixels of single letters, which no two machines share.

A part (a heading's section, a chart) is scaled to the same small number of cells whatever its height, because another
font wraps lines elsewhere and moves everything below.
"""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

Grid = np.ndarray[Any, np.dtype[np.uint8]]
CELLS_ACROSS: Final = 40
CELLS_DOWN: Final = 24
PARTS: Final = "header, nav, main > section, figure"
LEVELS: Final = 16  # of grey: enough to see ink, few enough to pack well
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_SMALL = """async ([address, across, down]) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const wide = document.createElement("canvas");
  [wide.width, wide.height] = [image.width, image.height];
  const ink = wide.getContext("2d", { willReadFrequently: true });
  ink.drawImage(image, 0, 0);
  const pixels = ink.getImageData(0, 0, image.width, image.height).data;
  const sums = new Float64Array(across * down), counts = new Float64Array(across * down);
  for (let y = 0; y < image.height; y++) for (let x = 0; x < image.width; x++) {
    const cell = Math.floor(y * down / image.height) * across + Math.floor(x * across / image.width);
    const at = 4 * (y * image.width + x);
    sums[cell] += 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
    counts[cell]++;
  }
  return [...sums].map((sum, i) => counts[i] ? Math.round(sum / counts[i]) : 255);
}"""


def parts_of(page: Page, blank: Page) -> tuple[list[str], Grid]:
    """The names of the page's visible parts, top to bottom, and their pictures under one another.

    `blank` is a page that scales: it must be away from the one that is looked at.
    """
    names, grids = [], []
    for part in page.locator(PARTS).all():
        if not part.is_visible():
            continue
        names.append(part.evaluate("e => e.id || e.tagName.toLowerCase()"))
        grids.append(grid_of(part.screenshot(animations="disabled"), blank))
    return names, np.concatenate(grids)


def grid_of(png: bytes, blank: Page) -> Grid:
    """A picture in CELLS_ACROSS x CELLS_DOWN cells, each the mean grey under it."""
    address = "data:image/png;base64," + base64.b64encode(png).decode()
    cells = blank.evaluate(_SMALL, [address, CELLS_ACROSS, CELLS_DOWN])
    step = 255 / (LEVELS - 1)
    grey = np.round(np.array(cells) / step) * step
    return grey.astype(np.uint8).reshape(CELLS_DOWN, CELLS_ACROSS)


def differences(seen: Grid, kept: Grid) -> list[float]:
    """Of each part: the ink that is in one picture alone, over all ink of both; 0 the same, 1 nothing in common."""
    assert seen.shape == kept.shape, f"{len(seen) // CELLS_DOWN} parts instead of {len(kept) // CELLS_DOWN}"
    found = []
    for top in range(0, len(kept), CELLS_DOWN):
        inks = [_ink(grid[top : top + CELLS_DOWN]) for grid in (seen, kept)]
        both = float(sum(ink.sum() for ink in inks)) or 1.0
        found.append(float(np.abs(inks[0] - inks[1]).sum()) / both)
    return found


def _ink(part: Grid) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far each cell is from the ground (the most frequent grey), softened over its neighbours."""
    values, counts = np.unique(part, return_counts=True)
    ink = np.abs(part.astype(np.float64) - float(values[counts.argmax()]))
    wide = np.pad(ink, 2, mode="edge")
    rows, columns = ink.shape
    return np.asarray(sum(wide[y : y + rows, x : x + columns] for y in range(5) for x in range(5)) / 25)


def write_grid(path: Path, grid: Grid) -> None:
    """A grey PNG with rows that are not filtered."""
    rows, columns = grid.shape
    lines = b"".join(b"\0" + grid[y].tobytes() for y in range(rows))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    made = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(_SIGNATURE + b"".join(made))


def read_grid(path: Path) -> Grid:
    """What `write_grid` wrote. Raises FileNotFoundError."""
    data, at, packed, shape = path.read_bytes(), len(_SIGNATURE), b"", (0, 0)
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            columns, rows = struct.unpack(">II", body[:8])
            shape = (rows, columns + 1)
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    return np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(shape)[:, 1:].copy()
