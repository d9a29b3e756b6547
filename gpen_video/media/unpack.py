"""From a decoded frame in any memory layout to one array a plane, sample for sample.

FFmpeg's scaler is not used for this: it rounds some of these layouts (15-bit RGB, palettes) and, at odd widths, others
(``p010le``, ``uyvy422``). What a layout is, its name says: the letters of ``rgb24``, ``bgra`` or ``yuyv422`` stand in
the order of the bytes in memory; ``rgb555`` and its kin are words whose letters stand from the highest bit down.
"""

import re
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from gpen_video.media import formats
from gpen_video.types import Plane

_PLANE_LETTERS = {"rgb": "gbra", "yuv": "yuva", "gray": "ya"}
_MSB_ALIGNED = re.compile(r"^(p[0124]\d\d|y2\d\d|xv36|.*msb)(le|be)$")


class _Words(NamedTuple):
    """Pixels that are machine words: letters from the highest bit down, bits of each."""

    letters: str
    bits: tuple[int, ...]


_WORDS = {
    "rgb444": _Words("xrgb", (4, 4, 4, 4)),
    "bgr444": _Words("xbgr", (4, 4, 4, 4)),
    "rgb555": _Words("xrgb", (1, 5, 5, 5)),
    "bgr555": _Words("xbgr", (1, 5, 5, 5)),
    "rgb565": _Words("rgb", (5, 6, 5)),
    "bgr565": _Words("bgr", (5, 6, 5)),
    "rgb8": _Words("rgb", (3, 3, 2)),
    "bgr8": _Words("bgr", (2, 3, 3)),
    "rgb4_byte": _Words("xrgb", (4, 1, 2, 1)),
    "bgr4_byte": _Words("xbgr", (4, 1, 2, 1)),
    "x2rgb10": _Words("xrgb", (2, 10, 10, 10)),
    "x2bgr10": _Words("xbgr", (2, 10, 10, 10)),
    "xv30": _Words("xvyu", (2, 10, 10, 10)),
    "v30x": _Words("vyux", (10, 10, 10, 2)),
}

# Letters in the order of memory, where the name does not spell them out. Several y: as many pixels share one chroma.
_ORDERS = {
    "yuyv422": "yuyv",
    "uyvy422": "uyvy",
    "yvyu422": "yvyu",
    "uyyvyy411": "uyyvyy",
    "y210": "yuyv",
    "y212": "yuyv",
    "y216": "yuyv",
    "ayuv": "ayuv",
    "ayuv64": "ayuv",
    "uyva": "uyva",
    "vuya": "vuya",
    "vuyx": "vuyx",
    "vyu444": "vyu",
    "xv36": "uyvx",
    "xv48": "uyvx",
}
_SPELLED_OUT = re.compile(r"^([rgba0]{3,4}?)(24|48|64)?$")
_CHROMA_SWAPPED = ("nv21", "nv42")


def unpack(frame: av.VideoFrame) -> tuple[Plane, ...]:
    """The planes of `frame` in the order of `formats.planar_equivalent`, read-only.

    Args:
        frame: In any format that `formats.planar_equivalent` accepts.

    Returns:
        One (H, W) array a plane, uint8 up to 8 bits, else uint16 with the samples at the right.

    Raises:
        ValueError: The layout is not supported.
    """
    name = frame.format.name
    planar = formats.pixel_format(formats.planar_equivalent(name))
    base = re.sub("(le|be)$", "", name)
    order = _byte_order(base)
    if name == "pal8":
        planes = _from_palette(frame)
    elif name in ("monow", "monob"):
        planes = [_from_bits(frame, white_is_zero=name == "monow")]
    elif base in _WORDS:
        planes = _from_words(frame, _WORDS[base], planar.family)
    elif order is not None:
        planes = _from_macropixels(frame, order, planar.family)
    elif len(frame.planes) == 2:
        planes = _from_two_planes(frame, swapped=name in _CHROMA_SWAPPED)
    elif frame.format.is_planar or planar.family == "gray":
        planes = [_samples(frame, index) for index in range(len(frame.planes))]
    else:
        raise ValueError(f"pixel format {name} is not supported")
    shift = 16 - planar.bits if _MSB_ALIGNED.match(name) else 0
    return tuple(_finished(plane, shift, np.uint8 if planar.bits == 8 else np.uint16) for plane in planes)


def _byte_order(base: str) -> str | None:
    if base in _ORDERS:
        return _ORDERS[base]
    spelled = _SPELLED_OUT.match(base)
    return spelled.group(1) if spelled else None


def _finished(plane: NDArray[Any], shift: int, dtype: type[np.generic]) -> Plane:
    done: Plane = np.array(plane >> shift if shift else plane, dtype, order="C")  # a copy: the decoder reuses its own
    done.flags.writeable = False
    return done


def _rows(frame: av.VideoFrame, index: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The plane as (H, all samples of a line with its padding)."""
    plane = frame.planes[index]
    data = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
    rows: NDArray[Any] = data[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
    return rows.view(dtype)


def _sample_dtype(frame: av.VideoFrame) -> np.dtype[Any]:
    if max(part.bits for part in frame.format.components) <= 8:
        return np.dtype(np.uint8)
    return np.dtype(">u2" if frame.format.is_big_endian else "<u2")


def _samples(frame: av.VideoFrame, index: int) -> NDArray[Any]:
    return _rows(frame, index, _sample_dtype(frame))[:, : frame.planes[index].width]


def _from_two_planes(frame: av.VideoFrame, *, swapped: bool) -> list[NDArray[Any]]:
    width = formats.describe(frame.format.name).chroma_width(frame.width)
    both = _rows(frame, 1, _sample_dtype(frame))[:, : 2 * width]
    first, second = both[:, 0::2], both[:, 1::2]
    return [_samples(frame, 0), second, first] if swapped else [_samples(frame, 0), first, second]


def _from_macropixels(frame: av.VideoFrame, order: str, family: str) -> list[NDArray[Any]]:
    pixels = max(1, order.count("y"))  # pixels in one repetition of the letters
    count = -(-frame.width // pixels)
    rows = _rows(frame, 0, _sample_dtype(frame))
    missing = count * len(order) - rows.shape[1]
    if missing > 0:  # a line may break off inside the last repetition
        rows = np.pad(rows, ((0, 0), (0, missing)))
    cells = rows[:, : count * len(order)].reshape(frame.height, count, len(order))
    planes = []
    for letter in _PLANE_LETTERS[family]:
        places = [place for place, have in enumerate(order) if have == letter]
        if places:
            plane = cells[:, :, places].reshape(frame.height, -1)
            planes.append(plane[:, : frame.width] if len(places) == pixels else plane)
    return planes


def _from_words(frame: av.VideoFrame, words: _Words, family: str) -> list[NDArray[Any]]:
    size = sum(words.bits) // 8
    dtype = np.dtype(f"{'>' if frame.format.is_big_endian else '<'}u{size}")
    pixels = _rows(frame, 0, dtype)[:, : frame.width].astype(np.uint32)
    planes = []
    for letter in _PLANE_LETTERS[family]:
        place = words.letters.find(letter)
        if place >= 0:
            bits = words.bits[place]
            values = (pixels >> sum(words.bits[place + 1 :])) & (2**bits - 1)
            # Fewer than 8 bits are spread over 0 to 255: rounding to nearest keeps the values apart.
            planes.append(values if bits >= 8 else (values * 255 * 2 + 2**bits - 1) // (2 * (2**bits - 1)))
    return planes


def _from_palette(frame: av.VideoFrame) -> list[NDArray[Any]]:
    colours = np.frombuffer(frame.planes[1], np.uint32, 256)  # type: ignore[call-overload]
    pixels = colours[_rows(frame, 0, np.dtype(np.uint8))[:, : frame.width]]  # each 0xAARRGGBB in native order
    return [(pixels >> place) & 255 for place in (8, 0, 16, 24)]


def _from_bits(frame: av.VideoFrame, *, white_is_zero: bool) -> NDArray[Any]:
    bits = np.unpackbits(_rows(frame, 0, np.dtype(np.uint8)), axis=1)[:, : frame.width]
    return ((bits ^ 1) if white_is_zero else bits) * 255
