"""Start the embedded network as the identity, so that it learns what to change and not first how to keep."""

import math

import torch
from torch import Tensor, nn

from gpen_video.nets.gpen import Gpen
from gpen_video.nets.ops import LEAKY_SLOPE
from gpen_video.nets.stylegan2 import ToRGB

_PASSED = 1 + LEAKY_SLOPE**2
"""f(x) - f(-x) of two leaky ReLUs in a row is this times x, exactly: that is how a colour gets through them."""


@torch.no_grad()
def pass_through(net: Gpen) -> None:
    """Set the weights so that faces equal crops exactly, whatever the other weights are.

    The first encoder stage holds each colour twice, positive and negative; the last convolution's injected half hands
    both to the last ToRGB, which takes their difference. Every other weight of every ToRGB starts at 0, as residual
    branches do.

    Args:
        net: written to; at least 6 channels wide at full size.

    Raises:
        ValueError: the network is too narrow.
    """
    width = net.generator.width[net.config.size]
    hold_colours(net)
    for module in net.modules():
        if isinstance(module, ToRGB):
            module.conv.weight.zero_()
    last_conv, last_rgb = net.generator.convs[-1], net.generator.to_rgbs[-1]
    _parameter(last_conv, "noise.weight").fill_(1)
    _parameter(last_conv, "activate.bias")[width : width + 6] = 0
    _parameter(last_rgb, "conv.modulation.weight").zero_()
    _parameter(last_rgb, "conv.modulation.bias").fill_(1)
    taken = _parameter(last_rgb, "conv.weight")  # (1, 3, 2C, 1, 1), acts as weight / sqrt(2C); two gains of sqrt(2)
    strength = math.sqrt(2 * width) / (2 * _PASSED)
    for colour in range(3):
        taken[0, colour, width + 2 * colour] = strength
        taken[0, colour, width + 2 * colour + 1] = -strength


@torch.no_grad()
def hold_colours(net: nn.Module) -> None:
    """Let the first encoder stage hold each colour twice, positive and negative, in its first six channels.

    Raises:
        ValueError: it has fewer.
    """
    first = net.get_parameter("ecd0.0.0.weight")  # (C, 3, 1, 1), acts as weight / sqrt(3)
    if len(first) < 6:
        raise ValueError(f"{len(first)} channels at full size: passing three colours through needs 6")
    first[:6] = 0
    for colour in range(3):
        first[2 * colour, colour] = math.sqrt(3)
        first[2 * colour + 1, colour] = -math.sqrt(3)
    net.get_parameter("ecd0.0.1.bias")[:6] = 0


def _parameter(module: nn.Module, name: str) -> Tensor:
    return module.get_parameter(name)
