"""Warping a part of an image, filtered against aliasing; the rest of the image is not touched, nor converted."""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.geometry import apply, compose, corners, full_from_resized, hull_box, invert, scaling

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_CUBIC_REACH = 2
_GAUSSIAN_REACH = 3.0
"""In standard deviations."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A rectangle of whole pixels: first included, last excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height; not positive where the rectangle is empty."""
        return self.right - self.left, self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an (H, W) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlaps(self, other: "Roi") -> bool:
        """Whether the two share a pixel."""
        return (
            max(self.left, other.left) < min(self.right, other.right)
            and max(self.top, other.top) < min(self.bottom, other.bottom)
        )  # fmt: skip

    def union(self, other: "Roi") -> "Roi":
        """The smallest rectangle around both."""
        return Roi(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def within(self, outer: "Roi") -> "Roi":
        """The same pixels, counted from the corner of `outer`."""
        return Roi(self.left - outer.left, self.top - outer.top, self.right - outer.left, self.bottom - outer.top)


def roi_around(points_nxy: Float64, margin: float, image_wh: tuple[int, int]) -> Roi:
    """The pixels within `margin` of the hull box of points, as far as they lie in an image; may be empty."""
    left, top, right, bottom = hull_box(points_nxy)
    width, height = image_wh
    return Roi(
        max(0, floor(left - margin)),
        max(0, floor(top - margin)),
        min(width, ceil(right + margin) + 1),
        min(height, ceil(bottom + margin) + 1),
    )


def resample(images: tuple[NDArray[Any], ...], image_from_out: Float64, out_wh: tuple[int, int]) -> Float32:
    """Warp with bicubic interpolation, smoothed first where the image is finer than the output.

    Smoothing is Gaussian with the deviation that takes a unit pixel to the size of an output pixel, seen along each
    axis; it fades out continuously as the scale nears 1. Above a scale of 4, means of whole blocks come first, for
    speed. Beyond its edge the image is continued by its edge samples.

    Args:
        images: (H, W) or (H, W, C) arrays of one size, any depth.
        image_from_out: (2, 3).
        out_wh: Width and height of the output.

    Returns:
        (height, width, channels of all images), in the units of the input.
    """
    footprint = np.maximum(1.0, np.linalg.norm(image_from_out[:, :2], axis=1))
    block = np.maximum(1, np.floor(footprint / 2)).astype(int)
    roi = _source_roi(images[0], image_from_out, out_wh, footprint, block)
    part = np.asarray(cv2.merge([image[roi.slices].astype(np.float32) for image in images]), np.float32)
    image_from_part = scaling(1, 1, roi.left, roi.top)
    if block.max() > 1:
        blocks_wh = (ceil(roi.size_wh[0] / block[0]), ceil(roi.size_wh[1] / block[1]))
        part = np.asarray(cv2.resize(part, blocks_wh, interpolation=cv2.INTER_AREA), np.float32)
        image_from_part = compose(image_from_part, full_from_resized(roi.size_wh, blocks_wh))
    part = _smooth(part, footprint / block)
    warped = cv2.warpAffine(
        part,
        compose(invert(image_from_part), image_from_out),
        out_wh,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32).reshape(out_wh[1], out_wh[0], -1)


def resample_linear(image_hw: Float32, image_from_out: Float64, out_wh: tuple[int, int]) -> Float32:
    """Warp one smooth plane bilinearly, with 0 beyond its edge: no output is outside the range of its inputs."""
    warped = cv2.warpAffine(
        image_hw,
        image_from_out,
        out_wh,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(warped, np.float32)


def _source_roi(
    image: NDArray[Any], image_from_out: Float64, out_wh: tuple[int, int], footprint: Float64, block: NDArray[np.int_]
) -> Roi:
    """All pixels that the output depends on, in whole blocks where the image allows; never empty."""
    height, width = image.shape[:2]
    outline = apply(image_from_out, corners(np.array([0.0, 0.0, out_wh[0] - 1, out_wh[1] - 1])))
    reach = block * (_CUBIC_REACH + 1) + _GAUSSIAN_REACH * footprint
    low = np.floor(outline.min(axis=0) - reach)
    high = np.ceil(outline.max(axis=0) + reach) + 1
    high += -(high - low) % block
    left, top = np.clip(low, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(high, [left + 1, top + 1], [width, height]).astype(int)
    return Roi(int(left), int(top), int(right), int(bottom))


def _smooth(part: Float32, footprint: Float64) -> Float32:
    """Gaussian that takes a deviation of half a pixel to half a footprint: its variance is (footprint**2 - 1) / 4."""
    sigma_x, sigma_y = np.sqrt(np.square(footprint) - 1) / 2
    kernel_wh = (2 * ceil(_GAUSSIAN_REACH * sigma_x) + 1, 2 * ceil(_GAUSSIAN_REACH * sigma_y) + 1)
    if kernel_wh == (1, 1):
        return part
    blurred = cv2.GaussianBlur(part, kernel_wh, float(sigma_x), sigmaY=float(sigma_y), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)
