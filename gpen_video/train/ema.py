"""Averaged weights."""

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move `average` toward `network`, keeping `decay` of what it was; counters, which have no mean, are copied."""
    now = network.state_dict()
    for name, mean in average.state_dict().items():
        if mean.is_floating_point():
            mean.lerp_(now[name], 1 - decay)
        else:
            mean.copy_(now[name])


def decay_for(images: int, half_life: float) -> float:
    """The decay with which a weight's influence halves every `half_life` images, at one update every `images`."""
    return float(0.5 ** (images / max(half_life, 1e-8)))
