"""Averaged weights."""

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, images: int, half_life: float) -> None:
    """Move `average` toward `network` so that a weight's influence halves every `half_life` images."""
    decay = 0.5 ** (images / max(half_life, 1e-8))
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
