"""Contact sheets: all tracks of a film on pages to print, each with its number, shot and frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gpen_video.errors import OutputError
from gpen_video.pipeline.observe import Track
from gpen_video.pipeline.portraits import Rgb, portrait_name

DPI = 150
PAGE_WH = (1754, 1240)
"""A4, lying; a page that is not full is less high."""

_MARGIN = 70
_TOP, _BOTTOM = 168, 60
_GAP = 26
"""Least space between tiles."""
_GRIDS = ((4, 2, 22), (6, 3, 18), (7, 4, 16))
"""Columns, rows and size of the type; the first that holds all tracks, else pages of the last."""
_PAPER = (198, 198, 198)  # a neutral grey: neither dark nor bright faces are judged wrongly on it
_INK, _PALE_INK = (24, 24, 24), (72, 72, 72)
_FRAME = (90, 90, 90)
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class SheetTitle:
    """What stands on top of every page, a line each."""

    film: str
    summary: str
    """In words: frames, shots, tracks."""


def sheet_names(tracks: int) -> tuple[str, ...]:
    """Of the pages: ``contact-sheet.png``, or ``contact-sheet_01.png`` and so on where there are several."""
    columns, rows, _ = _GRIDS[-1]
    pages = max(1, -(-tracks // (columns * rows)))
    digits = max(2, len(str(pages)))
    if pages == 1:
        return ("contact-sheet.png",)
    return tuple(f"contact-sheet_{page:0{digits}d}.png" for page in range(1, pages + 1))


def write_contact_sheets(folder: Path, title: SheetTitle, tracks: Sequence[Track]) -> tuple[str, ...]:
    """Draw the pages from the tracks' pictures, which are in the same folder; one page at a time is in memory.

    A track without a picture is drawn as an empty frame.

    Returns:
        The names of the pages.

    Raises:
        OutputError: A page cannot be written.
    """
    names = sheet_names(len(tracks))
    for name, page in zip(names, contact_sheets(folder, title, tracks), strict=True):
        try:
            Image.fromarray(page).save(folder / name, dpi=(DPI, DPI))
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written to: {error.strerror}") from error
    return names


def contact_sheets(folder: Path, title: SheetTitle, tracks: Sequence[Track]) -> Iterator[Rgb]:
    """The pages, one after the other; at least one.

    Yields:
        (H, W, 3) R'G'B', of `PAGE_WH` at most.
    """
    grid = next((grid for grid in _GRIDS if grid[0] * grid[1] >= len(tracks)), _GRIDS[-1])
    a_page = grid[0] * grid[1]
    pages = max(1, -(-len(tracks) // a_page))
    for page in range(pages):
        yield _page(folder, title, tracks[page * a_page : (page + 1) * a_page], grid, f"page {page + 1} of {pages}")


def _page(folder: Path, title: SheetTitle, tracks: Sequence[Track], grid: tuple[int, int, int], place: str) -> Rgb:
    columns, rows, type_size = grid
    row_height = (PAGE_WH[1] - _TOP - _BOTTOM) // rows
    filled = max(1, -(-len(tracks) // columns))
    page = Image.new("RGB", (PAGE_WH[0], _TOP + filled * row_height + _BOTTOM), _PAPER)
    draw = ImageDraw.Draw(page)
    right = PAGE_WH[0] - _MARGIN
    draw.text((right, 64), place, _PALE_INK, _font(22), anchor="rs")
    room = right - _MARGIN - draw.textlength(place, _font(22)) - _GAP
    draw.text(
        (_MARGIN, 64), _shortened(title.film, _font(34, bold=True), room), _INK, _font(34, bold=True), anchor="ls"
    )
    draw.text((_MARGIN, 104), title.summary, _PALE_INK, _font(22), anchor="ls")
    draw.line((_MARGIN, 128, right, 128), _FRAME, 2)
    if not tracks:
        draw.text((_MARGIN, _TOP + 22), "No faces were found.", _INK, _font(22), anchor="ls")
    caption = round(3.9 * type_size)
    side = min(row_height - caption - _GAP // 2, (right - _MARGIN + _GAP) // columns - _GAP)
    pitch = (right - _MARGIN - side) // (columns - 1)
    for index, track in enumerate(tracks):
        corner = _MARGIN + index % columns * pitch, _TOP + index // columns * row_height
        _tile(page, draw, folder, track, corner, side, pitch - _GAP, type_size)
    return np.asarray(page)


def _tile(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    folder: Path,
    track: Track,
    corner: tuple[int, int],
    side: int,
    width: int,
    type_size: int,
) -> None:
    """One picture and what is known of it."""
    left, top = corner
    if (path := folder / portrait_name(track.track_id)).exists():
        with Image.open(path) as picture:
            page.paste(picture.resize((side, side), Image.Resampling.LANCZOS), corner)
    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=_FRAME)
    bold, plain = _font(type_size, bold=True), _font(type_size - 3)
    line = round(1.25 * type_size)
    base = top + side + line
    draw.text((left, base), f"track {track.track_id}", _INK, bold, anchor="ls")
    draw.text((left + side, base), f"shot {track.shot}", _INK, plain, anchor="rs")
    frames = f"frames {track.first_frame} to {track.last_frame}"
    draw.text((left, base + line), _shortened(frames, plain, width), _PALE_INK, plain, anchor="ls")
    seen = f"{track.faces} faces, {track.mean_face_size:.0f} px"
    draw.text((left, base + 2 * line), _shortened(seen, plain, width), _PALE_INK, plain, anchor="ls")


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """As much of a text as fits; its middle goes first, since names begin and end with what tells them apart."""
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 0:
        head, tail = (kept + 1) // 2, kept // 2
        shorter = text[:head] + _ELLIPSIS + text[len(text) - tail :]
        if font.getlength(shorter) <= width:
            return shorter
        kept -= 1
    return _ELLIPSIS


@lru_cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: Latin, Greek and Cyrillic."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
