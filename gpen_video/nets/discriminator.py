"""StyleGAN2's residual discriminator, under the published key names; used by training only."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from gpen_video.nets.ops import EPSILON, ConvLayer, EqualLinear
from gpen_video.nets.stylegan2 import widths


class ResBlock(nn.Module):
    """Two convolutions and a skip, both halved in size; (conv + skip) / sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(inputs, inputs, 3)
        self.conv2 = ConvLayer(inputs, outputs, 3, downsample=True)
        self.skip = ConvLayer(inputs, outputs, 1, downsample=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2)."""
        return cast(Tensor, self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2.0)


class Discriminator(nn.Module):
    """Tells real faces from made ones.

    Args:
        size: side of the image, a power of two.
        channel_multiplier: as in the generator.
        narrow: as in the generator (the released 256 discriminator is wider than its generator).
        group: samples over which the minibatch deviation is taken; `None` is the whole batch, as published since
            2022-08-25.
    """

    def __init__(
        self, size: int, *, channel_multiplier: int = 2, narrow: float = 1.0, group: int | None = None
    ) -> None:
        super().__init__()
        width = widths(size, channel_multiplier, narrow)
        sides = sorted(width, reverse=True)
        self.group = group
        self.convs = nn.Sequential(
            ConvLayer(3, width[size], 1),
            *(ResBlock(width[side], width[side // 2]) for side in sides[:-1]),
        )
        self.final_conv = ConvLayer(width[4] + 1, width[4], 3)
        self.final_linear = nn.Sequential(EqualLinear(width[4] * 16, width[4], activate=True), EqualLinear(width[4], 1))

    def features(self, x: Tensor) -> list[Tensor]:
        """The activations after each block, largest first: what feature matching compares."""
        found: list[Tensor] = []
        for block in self.convs:
            x = block(x)
            found.append(x)
        return found

    def judge(self, deepest: Tensor) -> Tensor:
        """(B, C, 4, 4), the last of `features` -> logits (B, 1)."""
        x = self.final_conv(torch.cat((deepest, self._deviation(deepest)), dim=1))
        return cast(Tensor, self.final_linear(x.reshape(x.shape[0], -1)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, size, size) in [-1, 1] -> logits (B, 1)."""
        return self.judge(self.features(x)[-1])

    def _deviation(self, x: Tensor) -> Tensor:
        """Mean standard deviation over the group, as one more channel: it tells a batch of too equal faces."""
        batch, channels, height, width = x.shape
        group = batch if self.group is None or batch % self.group else self.group
        y = x.reshape(group, batch // group, channels, height, width)
        y = torch.sqrt(y.var(dim=0, unbiased=False) + EPSILON).mean(dim=(1, 2, 3), keepdim=True)  # (B/group, 1, 1, 1)
        return y.repeat(group, 1, height, width)
