"""Losses of the prior and of the restoring network, each named as in its paper."""

from collections.abc import Sequence

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
    for _ in range(octaves if detail else 0):
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


def log_error_loss(made: Tensor, target: Tensor) -> Tensor:
    """Mean logarithm of each image's squared error: but for a factor its PSNR, so that all decibels count alike."""
    return torch.log((made - target).square().mean((1, 2, 3)) + 1e-4).mean()


def made_is_real(logits: Tensor) -> Tensor:
    """Non-saturating logistic loss of whoever made the image (Goodfellow et al. 2014)."""
    return F.softplus(-logits).mean()


def tells_apart(real_logits: Tensor, made_logits: Tensor) -> Tensor:
    """Logistic loss of the discriminator."""
    return F.softplus(-real_logits).mean() + F.softplus(made_logits).mean()


def feature_matching(made: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of the discriminator's features, summed over its layers (Yang et al. 2021, L_F)."""
    return torch.stack([(a - b.detach()).float().square().mean() for a, b in zip(made, target, strict=True)]).sum()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """R1: mean squared norm of the discriminator's gradient at real images (Mescheder et al. 2018)."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(images: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
    """How far each image moves with its latent, in a random direction (Karras et al. 2020, section 3.2).

    Args:
        images: (B, 3, S, S) made from `latents`.
        latents: w for each layer, (B, L, D), in the graph.
        noise: N(0, 1) in the shape of the images.

    Returns:
        (B,), root mean square over the layers.
    """
    (gradient,) = torch.autograd.grad((images * noise).sum() / images.shape[-1], latents, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def steadiness(made: Tensor, target: Tensor, to_next: Tensor) -> Tensor:
    """What neighbouring restored frames differ in beyond what their targets do, along the motion.

    The error of each frame is moved onto the next frame and compared with that one's error: a fault that stays in
    place on the face costs nothing here, one that comes and goes does.

    Args:
        made: (B, T, 3, S, S) restored.
        target: the same.
        to_next: (B, T - 1, 2, 3), frame t's point from frame t + 1's point, in [-1, 1] coordinates (`F.affine_grid`).

    Returns:
        Scalar L1.
    """
    error = made - target
    before, after = error[:, :-1].flatten(0, 1), error[:, 1:].flatten(0, 1)
    grid = F.affine_grid(to_next.flatten(0, 1), list(before.shape), align_corners=False)
    moved = F.grid_sample(before, grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside = (grid.abs() < 1).all(-1)[:, None]
    return ((moved - after).abs() * inside).mean()
