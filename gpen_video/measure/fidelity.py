"""How close a face is to the truth, where a reference tells it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpen_video.types import Float32

_WINDOW_SIDE, _WINDOW_SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
HIGHEST_PSNR = 100.0
"""Decibels that equal pictures are given."""


def squared_error(made_hw: Float32, true_hw: Float32, inside_hw: NDArray[np.bool_]) -> float:
    """Mean squared difference of luma inside the face."""
    return float(np.square((made_hw - true_hw)[inside_hw].astype(np.float64)).mean())


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB, of a range of 1; equal pictures have `HIGHEST_PSNR`."""
    return float(-10 * np.log10(max(mean_squared_error, 10 ** (-HIGHEST_PSNR / 10))))


def ssim(made_hw: Float32, true_hw: Float32, inside_hw: NDArray[np.bool_]) -> float | None:
    """Structural similarity of luma, mean over the pixels of the face; 1 for equal pictures.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004: Gaussian window of 11 x 11 and sigma 1.5 wherever it fits whole, K1 = 0.01,
    K2 = 0.03.

    Returns:
        `None` where the window fits around no pixel of the face.
    """
    margin = _WINDOW_SIDE // 2
    fitting = np.zeros_like(inside_hw)
    fitting[margin:-margin, margin:-margin] = inside_hw[margin:-margin, margin:-margin]
    if not fitting.any():
        return None

    def average(image: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(image, (_WINDOW_SIDE, _WINDOW_SIDE), _WINDOW_SIGMA), np.float64)

    made, true = made_hw.astype(np.float64), true_hw.astype(np.float64)
    mean_made, mean_true = average(made), average(true)
    covariance = average(made * true) - mean_made * mean_true
    variances = average(made * made) - mean_made**2 + average(true * true) - mean_true**2
    luminance = (2 * mean_made * mean_true + _C1) / (mean_made**2 + mean_true**2 + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return float((luminance * structure)[fitting].mean())
