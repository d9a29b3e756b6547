"""Adaptive discriminator augmentation: what lets a GAN learn from thousands of faces instead of seventy thousand.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020: real and made images go
through the same random alterations before the discriminator sees them, each with probability p, and p is steered so
that the discriminator does not learn the training images by heart. The set is the paper's choice for faces: pixel
blitting, geometry and colour (its "bgc"). Unlike there, geometry resamples bilinearly, without wavelet filtering.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA_AXIS = 1 / math.sqrt(3)


class Adaptation:
    """Steers the strength p of the augmentation.

    The paper's overfitting heuristic r_t = E[sign(D(real))] is held at `target`: above it p rises, below it falls, by
    so much that p would go from 0 to 1 in `images`.

    Args:
        target: of r_t, 0 to 1; the paper's choice is 0.6.
        images: real images over which p can move by 1; the paper's is 500,000.
        every: steps between adjustments.
    """

    def __init__(self, *, target: float = 0.6, images: int = 500_000, every: int = 4) -> None:
        self.strength = 0.0
        """p, 0 to 1."""
        self._target, self._images, self._every = target, images, every
        self._signs: Tensor | None = None
        self._observed = 0
        self._seen = 0

    def observe(self, real_logits: Tensor, batch: int) -> None:
        """Take in the discriminator's logits on augmented real images; `batch` is their number over all processes."""
        sign = real_logits.detach().sign().mean()
        self._signs = sign if self._signs is None else self._signs + sign
        self._observed += 1
        self._seen += batch

    def adjust(self, step: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Move p, every so many steps; `mean` averages over the processes."""
        if (step + 1) % self._every or self._signs is None:
            return
        overfitting = mean(self._signs / self._observed).item()
        self.strength += math.copysign(self._seen / self._images, overfitting - self._target)
        self.strength = min(max(self.strength, 0.0), 1.0)
        self._signs, self._observed, self._seen = None, 0, 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        signs = 0.0 if self._signs is None else self._signs.item()
        return {"strength": self.strength, "signs": signs, "observed": self._observed, "seen": self._seen}

    def load(self, state: Mapping[str, float]) -> None:
        """Go on from `state`."""
        self.strength = state["strength"]
        self._observed, self._seen = int(state["observed"]), int(state["seen"])
        self._signs = torch.tensor(state["signs"]) if self._observed else None


def augment(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Alter each image at random; differentiable once.

    Args:
        images: (B, 3, S, S) in [-1, 1].
        strength: p, the probability of each alteration.
        generator: on the images' device; equal states alter equally.

    Returns:
        (B, 3, S, S), values may leave [-1, 1].
    """
    if strength <= 0:
        return images
    draw = _Draw(images.shape[0], strength, generator, images.device)
    side = images.shape[-1]
    grid = F.affine_grid(_geometry(draw, side)[:, :2], list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    colour = _colour(draw)
    recoloured = torch.einsum("bij,bjhw->bihw", colour[:, :3, :3], moved) + colour[:, :3, 3, None, None]
    return recoloured.contiguous(memory_format=torch.channels_last)


class _Draw:
    """Random numbers for a batch: each alteration is drawn for all images and undone where it does not fall."""

    def __init__(self, batch: int, strength: float, generator: torch.Generator, device: torch.device) -> None:
        self.batch, self.strength, self._generator, self.device = batch, strength, generator, device

    def uniform(self) -> Tensor:
        """(B,) in 0..1."""
        return torch.rand(self.batch, generator=self._generator, device=self.device)

    def normal(self) -> Tensor:
        """(B,) of N(0, 1)."""
        return torch.randn(self.batch, generator=self._generator, device=self.device)

    def sometimes(self, value: Tensor, otherwise: float, probability: float | None = None) -> Tensor:
        """`value` with the probability, by default p, else `otherwise`."""
        falls = self.uniform() < (self.strength if probability is None else probability)
        return torch.where(falls, value, torch.full_like(value, otherwise))


def _geometry(draw: _Draw, side: int) -> Tensor:
    """(B, 3, 3): input point from output point in [-1, 1] coordinates; the paper's pixel blitting, then geometry."""
    mirror = draw.sometimes((draw.uniform() * 2).floor() * 2 - 1, 1.0)
    matrix = _scaling(mirror, torch.ones_like(mirror))
    matrix = matrix @ _turning(draw.sometimes((draw.uniform() * 4).floor() * (math.pi / 2), 0.0))
    whole_pixels = [((draw.uniform() * 2 - 1) * 0.125 * side).round() * (2 / side) for _ in range(2)]
    matrix = matrix @ _shifting(*(draw.sometimes(shift, 0.0) for shift in whole_pixels))

    even = torch.exp2(draw.normal() * 0.2)
    even = draw.sometimes(even, 1.0)
    matrix = matrix @ _scaling(even, even)
    turns = 1 - math.sqrt(1 - draw.strength)  # two chances to turn, together p
    matrix = matrix @ _turning(draw.sometimes((draw.uniform() * 2 - 1) * math.pi, 0.0, turns))
    stretch = draw.sometimes(torch.exp2(draw.normal() * 0.2), 1.0)
    matrix = matrix @ _scaling(stretch, 1 / stretch)
    matrix = matrix @ _turning(draw.sometimes((draw.uniform() * 2 - 1) * math.pi, 0.0, turns))
    return matrix @ _shifting(*(draw.sometimes(draw.normal() * 0.25, 0.0) for _ in range(2)))


def _colour(draw: _Draw) -> Tensor:
    """(B, 4, 4) on homogeneous R'G'B' in [-1, 1]: brightness, contrast, inversion of luma, hue, saturation."""
    identity = torch.eye(4, device=draw.device)
    axis = torch.tensor([_LUMA_AXIS, _LUMA_AXIS, _LUMA_AXIS, 0.0], device=draw.device)
    along = torch.outer(axis, axis)

    matrix = identity.repeat(draw.batch, 1, 1)
    matrix[:, :3, 3] = draw.sometimes(draw.normal() * 0.2, 0.0)[:, None]
    contrast = draw.sometimes(torch.exp2(draw.normal() * 0.5), 1.0)
    matrix = torch.diag_embed(torch.stack([contrast, contrast, contrast, torch.ones_like(contrast)], 1)) @ matrix
    flip = draw.sometimes((draw.uniform() * 2).floor(), 0.0)
    matrix = (identity - 2 * along * flip[:, None, None]) @ matrix
    matrix = _turning_about_luma(draw.sometimes((draw.uniform() * 2 - 1) * math.pi, 0.0)) @ matrix
    saturation = draw.sometimes(torch.exp2(draw.normal()), 1.0)
    return (along + (identity - along) * _but_last(saturation)) @ matrix


def _but_last(factor: Tensor) -> Tensor:
    """(B, 4, 1): a factor for the colours, none for the homogeneous one."""
    return torch.stack([factor, factor, factor, torch.ones_like(factor)], 1)[:, :, None]


def _turning_about_luma(angle: Tensor) -> Tensor:
    """(B, 4, 4), Rodrigues' formula about the grey axis."""
    u = _LUMA_AXIS
    cross = torch.tensor([[0, -u, u, 0], [u, 0, -u, 0], [-u, u, 0, 0], [0, 0, 0, 0]], device=angle.device)
    identity = torch.eye(4, device=angle.device)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return identity + sine * cross + (1 - cosine) * (cross @ cross)


def _rows(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows((1 / x, zero, zero), (zero, 1 / y, zero), (zero, zero, one))


def _turning(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    sine, cosine = angle.sin(), angle.cos()
    return _rows((cosine, -sine, zero), (sine, cosine, zero), (zero, zero, one))


def _shifting(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows((one, zero, -x), (zero, one, -y), (zero, zero, one))
