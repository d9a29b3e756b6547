"""How sharp a face is already, as far as its network and its frame can show it, and how grainy."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import LUMA_BT601

Float32 = NDArray[np.float32]

_LUMA = np.array([LUMA_BT601], np.float32)
_SIGMAS = (0.8, 1.6, 3.2)
"""Blurs, in pixels, between which a band lies; the fine band is what the first takes away."""
_FACE_YX = ((0.22, 0.82), (0.25, 0.75))
"""Part of the crop, from brows to chin, that is looked at."""
_MARGIN = 12
"""Pixels around it that the blurs reach."""
_BLOCKS = 32
"""Blocks along the crop's side."""
_STRUCTURED = 0.25
"""Of the blocks, the part with the most coarse detail."""
_FLAT = (0.05, 0.33)
"""Of the blocks, those between these shares are flat; still flatter ones are clipped, or background."""
_SMALLEST = 40
"""Side to which a crop is at most scaled down."""
_NORMAL = 0.6745
"""Median of the absolute value of a normal distribution of deviation 1."""
_UNSEEN = 0.5 / 255
"""Detail below this is rounding."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Of one crop; detail is a standard deviation of luma."""

    detail: float
    """Fine detail as a part of coarse, 0 (blurred) to about 1. Clean faces 0.26 to 0.6 (5th and 95th of 100 of them);
    degraded ones, with grain or without, 0 to 0.2."""
    grain: float
    """Fine detail of flat areas as a part of coarse detail: clean 0.03 to 0.25, film 0.1 to 0.5."""


def sharpness(rgb_hwc: Float32, frame_pixels: float) -> Sharpness:
    """Measure a crop at the coarser of its own scale and its frame's, where detail has a meaning.

    Grain is told from detail in two ways: fine detail counts where coarse detail is, at eyes, mouth and edges, and
    there only as far as it is not spread evenly. Of noise, the square of the median deviation explains the whole
    variance; edges are sparse, so that they exceed it (D. L. Donoho, "De-noising by soft-thresholding", IEEE Trans.
    Information Theory 41(3), 1995, for the median as an estimate of noise).

    Args:
        rgb_hwc: (S, S, 3) R'G'B', an aligned crop.
        frame_pixels: Pixels of the frame in one of the crop, along a side.
    """
    fine, coarse = (_in_blocks(band) for band in _bands(_luma(rgb_hwc, frame_pixels)))
    power = np.square(coarse).mean(axis=1)
    order = np.argsort(power, kind="stable")
    count = len(order)
    structured = order[-max(1, round(_STRUCTURED * count)) :]
    flat = order[int(_FLAT[0] * count) : max(1, round(_FLAT[1] * count))]
    whole = float(power[structured].mean())
    evenly = (float(np.median(np.abs(fine[structured]))) / _NORMAL) ** 2
    uneven = max(0.0, float(np.square(fine[structured]).mean()) - evenly)
    grain = float(np.median(np.square(fine[flat]).mean(axis=1)))
    floor = _UNSEEN**2
    return Sharpness(float(np.sqrt(uneven / (whole + floor))), float(np.sqrt(grain / (whole + floor))))


def _luma(rgb_hwc: Float32, frame_pixels: float) -> Float32:
    luma = cv2.transform(rgb_hwc, _LUMA)
    side = len(luma)
    if frame_pixels >= 1 or side <= _SMALLEST:
        return np.asarray(luma, np.float32)
    side = max(_SMALLEST, round(side * frame_pixels))
    return np.asarray(cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _bands(luma_hw: Float32) -> tuple[Float32, Float32]:
    """The fine and the coarse band of the face's part of a crop."""
    side = len(luma_hw)
    inner = tuple(slice(int(low * side), max(int(high * side), int(low * side) + 2)) for low, high in _FACE_YX)
    outer = tuple(slice(max(0, part.start - _MARGIN), min(side, part.stop + _MARGIN)) for part in inner)
    face = luma_hw[outer]
    finest, middle, coarsest = (cv2.GaussianBlur(face, (0, 0), s, borderType=cv2.BORDER_REFLECT_101) for s in _SIGMAS)
    window = tuple(
        slice(i.start - o.start, i.start - o.start + i.stop - i.start) for i, o in zip(inner, outer, strict=True)
    )
    return (face - finest)[window], (middle - coarsest)[window]


def _in_blocks(band_hw: Float32) -> Float32:
    """(N, pixels) of the whole square blocks of an image that is 0.6 by 0.5 of a crop."""
    side = max(2, round(2 * band_hw.shape[1] / _BLOCKS))
    down, across = (length // side for length in band_hw.shape)
    blocks = band_hw[: down * side, : across * side].reshape(down, side, across, side)
    return np.asarray(blocks.transpose(0, 2, 1, 3).reshape(down * across, side * side), np.float32)
