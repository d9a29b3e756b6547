"""What all degradations share: the kind of image they take, its luma, noise with a stated spread.

An image is (H, W, 3) float32 R'G'B' in 0..1. Lengths are pixels of a face of `REFERENCE_SIDE` pixels and scale with the
image's shorter side, unless a function says that it counts samples of the raster that it works on.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.colour import LUMA_BT601

Image = NDArray[np.float32]
Rng = np.random.Generator
Range = tuple[float, float]
"""Lowest and highest value of a uniform distribution; twice the same value fixes it."""
Step = Callable[[Image, Rng], Image]
"""One degradation with its ranges chosen."""

REFERENCE_SIDE = 512

# ITU-R BT.601-7, 2.5.1 and 2.5.2: luma 0..1, colour differences -0.5..0.5.
_LUMA = np.array([LUMA_BT601])
_YCC_FROM_RGB = np.vstack([_LUMA, (np.eye(3)[2:] - _LUMA) / 1.772, (np.eye(3)[:1] - _LUMA) / 1.402])
_RGB_FROM_YCC = np.linalg.inv(_YCC_FROM_RGB)


def scale_of(image: Image) -> float:
    """Pixels of this image for one pixel of a reference face."""
    height, width = image.shape[:2]
    return float(min(height, width) / REFERENCE_SIDE)


def clip(image: NDArray[np.floating]) -> Image:
    """Back into 0..1, as float32."""
    return np.asarray(np.clip(image, 0, 1), np.float32)


def luma(image: Image) -> Image:
    """(H, W) Y' of BT.601."""
    return np.asarray(cv2.transform(image, _LUMA), np.float32).reshape(image.shape[:2])


def ycc_from_rgb(image: Image) -> Image:
    """(H, W, 3) Y' in 0..1, Cb and Cr in -0.5..0.5, BT.601."""
    return np.asarray(cv2.transform(image, _YCC_FROM_RGB), np.float32)


def rgb_from_ycc(ycc_hwc: Image) -> Image:
    """The inverse of `ycc_from_rgb`, not clipped."""
    return np.asarray(cv2.transform(ycc_hwc, _RGB_FROM_YCC), np.float32)


def is_neutral(image: Image) -> bool:
    """True for a black-and-white image."""
    red, green, blue = image[:, :, 0], image[:, :, 1], image[:, :, 2]
    return bool(np.allclose(red, green, atol=1e-6) and np.allclose(green, blue, atol=1e-6))


def gaussian_taps(sigma: float, centre: float = 0.0) -> NDArray[np.float64]:
    """(2 r + 1, 1) normalised samples of a Gaussian about `centre`, far enough out on both sides."""
    radius = int(np.ceil(3 * sigma + abs(centre)))
    offset = np.arange(-radius, radius + 1)[:, None] - centre
    taps = np.exp(-0.5 * np.square(offset / max(sigma, 1e-3)))
    return np.asarray(taps / taps.sum(), np.float64)


def filter_separably(image: Image, across: NDArray[np.float64], down: NDArray[np.float64]) -> Image:
    """Correlate rows with `across` and columns with `down`; the image goes on mirrored beyond its border."""
    # OpenCV correlates: a kernel that delays has to be turned round.
    soft = cv2.sepFilter2D(image, -1, across[::-1], down[::-1], borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(soft, np.float32).reshape(image.shape)


def correlated_noise(shape: tuple[int, ...], rng: Rng, sigma_x: float, sigma_y: float | None = None) -> Image:
    """Gaussian noise of unit variance whose autocorrelation is a Gaussian.

    White noise filtered with taps k has the variance sum(k^2); dividing by its root needs no measuring, so that the
    strength of one frame does not depend on what was drawn.

    Args:
        shape: (H, W) or (H, W, channels), independent in each channel.
        rng: draws the white noise.
        sigma_x: of the filter, in pixels; the autocorrelation has sqrt(2) times as much.
        sigma_y: the same downwards; as across when left out.
    """
    across, down = gaussian_taps(sigma_x), gaussian_taps(sigma_x if sigma_y is None else sigma_y)
    white = rng.standard_normal(shape, np.float32)
    loss = np.sqrt(np.square(across).sum() * np.square(down).sum())
    return filter_separably(white, across / loss, down)
