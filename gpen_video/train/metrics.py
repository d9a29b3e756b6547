"""How close one face is to another: figures for reports."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gpen_video.colour import LUMA_BT601

Points = NDArray[np.floating]

_WINDOW_SIDE = 11
_WINDOW_SIGMA = 1.5
_NOISE_FLOOR = 1e-10
"""Keeps equal images at 100 dB."""


def psnr(made: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB; (B, 3, S, S) in [-1, 1], the made one clamped."""
    error = (made.clamp(-1, 1) - target).square().mean(dim=(1, 2, 3)) / 4
    return -10 * torch.log10(error + _NOISE_FLOOR)


def ssim(made: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each image, mean over the channels.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 13(4), 2004: an 11 x 11 Gaussian window of sigma 1.5 wherever it fits whole, K1 = 0.01, K2 = 0.03.

    Args:
        made: (B, C, H, W) in [-1, 1], clamped; H and W at least 11.
        target: the same shape.

    Returns:
        (B,), 1 for equal images.
    """
    a, b = made.clamp(-1, 1), target
    taps = torch.from_numpy(cv2.getGaussianKernel(_WINDOW_SIDE, _WINDOW_SIGMA, cv2.CV_64F)).flatten().to(a)
    across = taps.view(1, 1, 1, -1).expand(a.shape[1], -1, -1, -1)

    def average(x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, across, groups=x.shape[1]), across.transpose(2, 3), groups=x.shape[1])

    mean_a, mean_b = average(a), average(b)
    variance_a = average(a * a) - mean_a * mean_a
    variance_b = average(b * b) - mean_b * mean_b
    covariance = average(a * b) - mean_a * mean_b
    # Means are taken about black, as the paper has them: of x + 1, not of x. The range of levels is 2.
    mean_a, mean_b = mean_a + 1, mean_b + 1
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def sharpness(images: Tensor) -> Tensor:
    """Mean energy of the luma gradient (squared differences of neighbours) of each image.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        (B,). Noise counts as much as detail: read it beside the PSNR.
    """
    luma = (images * images.new_tensor(LUMA_BT601).view(1, 3, 1, 1)).sum(dim=1)
    across, down = luma.diff(dim=2), luma.diff(dim=1)
    return across.square().mean(dim=(1, 2)) + down.square().mean(dim=(1, 2))


def landmark_error(found_5xy: Points, true_5xy: Points) -> float:
    """Mean distance of five (5, 2) landmarks from the true ones, in true eye distances."""
    eye_distance = float(np.linalg.norm(true_5xy[1] - true_5xy[0]))
    return float(np.linalg.norm(found_5xy - true_5xy, axis=1).mean()) / max(eye_distance, 1e-6)
