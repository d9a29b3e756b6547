"""Brightness of a part of a picture, as all figures here see it: 0 to 1, whatever the format."""

import numpy as np

from gpen_video.colour import is_full_range, luma_weights, matrix_name, rgb_from_yuv
from gpen_video.faces.resample import Roi
from gpen_video.types import Float32, Picture


def luma(picture: Picture, roi: Roi) -> Float32:
    """(H, W) luma of a region, black 0 to white 1; samples outside of that range are kept.

    Only what is asked for is converted: the luma plane of Y'CbCr and gray, the weighted planes of R'G'B'.

    Raises:
        InputError: The colour matrix is not supported.
    """
    fmt, colour = picture.format, picture.colour
    if fmt.family != "rgb" and matrix_name(colour, fmt, picture.height) != "gbr":
        full, step = is_full_range(colour, fmt), 2 ** (fmt.bits - 8)
        black, span = (0, 2**fmt.bits - 1) if full else (16 * step, 219 * step)
        return (picture.planes[0][roi.slices].astype(np.float32) - np.float32(black)) / np.float32(span)
    to_rgb = rgb_from_yuv(colour, fmt, picture.height)
    weights = luma_weights(colour, fmt, picture.height)
    planes = np.dstack([plane[roi.slices] for plane in picture.planes[:3]]).astype(np.float32)
    return np.asarray(planes @ (weights @ to_rgb.matrix) + weights @ to_rgb.offset, np.float32)


def whole(picture: Picture) -> Roi:
    """All of a picture."""
    return Roi(0, 0, picture.width, picture.height)
