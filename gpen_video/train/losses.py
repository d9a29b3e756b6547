"""Losses of the content stage."""

import torch
import torch.nn.functional as F
from torch import Tensor


def content_loss(made: Tensor, target: Tensor, *, detail: float = 1.0, octaves: int = 3) -> Tensor:
    """L1 (Yang et al. 2021, L_C) plus `detail` times the L1 of the band-passes, so that edges count.

    Args:
        made: (B, 3, S, S) in [-1, 1].
        target: the same.
        detail: weight of the Laplacian bands.
        octaves: bands, from the finest.

    Returns:
        (B,), one loss an image.
    """
    difference = made - target
    loss = difference.abs().mean((1, 2, 3))
    for _ in range(octaves):
        smaller = F.avg_pool2d(difference, 2)
        band = difference - F.interpolate(smaller, scale_factor=2.0, mode="bilinear", align_corners=False)
        loss = loss + detail * band.abs().mean((1, 2, 3))
        difference = smaller
    return loss


def relative_loss(made: Tensor, degraded: Tensor, target: Tensor, *, detail: float = 1.0) -> Tensor:
    """Mean of each image's content loss over that of doing nothing: 1 is the identity, 0 is perfect.

    A face that is beyond rescue loses many times what a grainy one loses, and teaches less; relative to its own
    degradation each counts alike.
    """
    with torch.no_grad():
        nothing = content_loss(degraded, target, detail=detail)
    return (content_loss(made, target, detail=detail) / (nothing + 0.01)).mean()


def psnr(made: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB; (B, 3, S, S) in [-1, 1], the made one clamped."""
    error = (made.clamp(-1, 1) - target).square().mean(dim=(1, 2, 3)) / 4
    return -10 * torch.log10(error + 1e-10)
