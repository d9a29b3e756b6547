"""Small copies of a film's pictures, which are all that cuts, dissolves and damage are told from."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import rgb_from_yuv
from gpen_video.types import Float32, Picture

_LONG_SIDE = 256


def small_picture(picture: Picture) -> NDArray[np.uint8]:
    """(h, w, 3) B'G'R', 0 to 255; the longer side is 256 pixels, or the picture's own where that is less.

    Raises:
        InputError: The colour matrix is not supported.
    """
    size = _size_within(_LONG_SIDE, picture.width, picture.height)
    colour_planes = picture.planes[: len(picture.planes) - picture.format.has_alpha]
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32) for plane in colour_planes]
    to_rgb = rgb_from_yuv(picture.colour, picture.format, picture.height)
    to_bgr = np.column_stack([to_rgb.matrix, to_rgb.offset])[::-1] * np.float32(255)
    return np.clip(np.rint(cv2.transform(np.dstack(small), to_bgr)), 0, 255).astype(np.uint8)


def shrunk(small_hwc: NDArray[np.uint8], long_side: int) -> Float32:
    """(h, w, 3): a small picture as means of areas, smaller still; 0 to 255."""
    size = _size_within(long_side, small_hwc.shape[1], small_hwc.shape[0])
    return np.asarray(cv2.resize(small_hwc, size, interpolation=cv2.INTER_AREA), np.float32)


def _size_within(long_side: int, width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
