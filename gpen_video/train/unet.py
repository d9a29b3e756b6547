"""The U-Net without a prior that GPEN is compared with: same encoder, same widths, same number of parameters.

::

    crop (B, 3, S, S)
      │ ecd0 1x1        ── feature S ─────────────┐ (both convolutions at S)
      │ ecd1 3x3 / 2    ── feature S/2 ────────┐  │
      │ …                                      │  │      concatenated behind every convolution, as GPEN
      │ ecd{L-2} 3x3 / 2 ─ feature 4 ───┐      │  │      takes its noise inputs
      ▼                                 ▼      ▼  ▼
    bottleneck, two 3x3 at 4x4 ──────► 4x4 ─► … S/2 ► S ── ToRGB sum ─► face (B, 3, S, S)

No latent code and no style: the decoder's convolutions are ordinary ones. The parameters that GPEN spends on mapping
and modulation widen the bottleneck, the place of its latent code, until both networks have the same number.

Ronneberger et al., "U-Net", MICCAI 2015; the comparison is that of Yang et al., CVPR 2021, section 4.3.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.ops import (
    LEAKY_SLOPE,
    SQRT_2,
    Blur,
    ConvLayer,
    EqualConv2d,
    Form,
    FusedLeakyReLU,
)
from gpen_video.nets.stylegan2 import Upsample, set_form
from gpen_video.train.passthrough import hold_colours


class UpConvLayer(nn.Module):
    """Doubles the size: transposed stride-2 convolution, FIR low-pass, bias and leaky ReLU, as GPEN does it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(inputs, outputs, 3)
        self.blur = Blur(pad=1, gain=4.0)
        self.activate = FusedLeakyReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        weight = (self.conv.weight * self.conv.scale).transpose(0, 1)
        return cast(Tensor, self.activate(self.blur(F.conv_transpose2d(x, weight, stride=2))))


class ReadRGB(nn.Module):
    """Reads an image out of the features by a 1x1 convolution and adds it to the smaller one so far."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(inputs, 3, 1)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Upsample()

    def forward(self, x: Tensor, smaller: Tensor | None = None) -> Tensor:
        """(B, C, H, W), (B, 3, H/2, W/2) -> (B, 3, H, W)."""
        rgb = cast(Tensor, self.conv(x)) + self.bias
        return rgb if smaller is None else rgb + self.upsample(smaller)


class UNet(nn.Module):
    """A U-Net of the shapes that a `GpenConfig` describes; style width and mapping only set its parameter count.

    Input and output are (B, 3, size, size) R'G'B' in [-1, 1]; the output is not clamped.
    """

    def __init__(self, config: GpenConfig) -> None:
        super().__init__()
        self.config = config
        levels = config.levels()
        self.width = width = config.widths()
        self.depth = levels - 1  # encoder stages, from full size to 4x4
        self.ecd0 = nn.Sequential(ConvLayer(3, width[config.size], 1))
        for i in range(1, self.depth):
            side = config.size >> i
            self.add_module(f"ecd{i}", nn.Sequential(ConvLayer(width[2 * side], width[side], 3, downsample=True)))
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList([ReadRGB(2 * width[4])])
        for n in range(3, levels + 1):
            before, here = width[2 ** (n - 1)], width[2**n]
            self.convs.append(UpConvLayer(2 * before, here))
            self.convs.append(ConvLayer(2 * here, here, 3))
            self.to_rgbs.append(ReadRGB(2 * here))
        spare = _gpen_parameters(config) - parameter_count(self)
        wide = max(1, round((spare - width[4]) / (2 * 9 * width[4] + 1)))
        self.bottleneck = nn.Sequential(ConvLayer(width[4], wide, 3), ConvLayer(wide, width[4], 3))

    def use_form(self, form: Form) -> "UNet":
        """Compute in the ``plain`` or the ``fast`` form from now on; the weights are the same."""
        set_form(self, form)
        return self

    @torch.no_grad()
    def pass_through(self) -> "UNet":
        """Set the weights so that faces equal crops exactly, as `passthrough.pass_through` does for GPEN.

        The first encoder stage holds each colour twice, positive and negative; the last reader takes their difference
        from the skip connection. All its other weights, and those of the readers before it, start at 0.

        Raises:
            ValueError: the network is too narrow, less than 6 channels at full size.
        """
        width = self.width[self.config.size]
        hold_colours(self)
        for parameter in self.to_rgbs.parameters():
            parameter.zero_()
        taken = self.to_rgbs[-1].get_parameter("conv.weight")  # (3, 2C, 1, 1), acts as weight / sqrt(2C)
        # f(x) - f(-x) of the one leaky ReLU on the way is sqrt(2) (1 + slope) x, exactly.
        strength = math.sqrt(2 * width) / (SQRT_2 * (1 + LEAKY_SLOPE))
        for colour in range(3):
            taken[colour, width + 2 * colour] = strength
            taken[colour, width + 2 * colour + 1] = -strength
        return self

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> restored faces, same shape and range, not clamped."""
        features: list[Tensor] = []
        x = crops
        for i in range(self.depth):
            x = self.get_submodule(f"ecd{i}")(x)
            features.append(x)
        feature = features.pop()
        x = torch.cat((self.bottleneck(x), feature), dim=1)
        rgb = self.to_rgbs[0](x)
        for level, to_rgb in enumerate(self.to_rgbs[1:]):
            feature = features.pop()
            x = torch.cat((self.convs[2 * level](x), feature), dim=1)
            x = torch.cat((self.convs[2 * level + 1](x), feature), dim=1)
            rgb = to_rgb(x, rgb)
        return cast(Tensor, rgb)


def parameter_count(net: nn.Module) -> int:
    """Trained values; fixed kernels do not count."""
    return sum(parameter.numel() for parameter in net.parameters())


def _gpen_parameters(config: GpenConfig) -> int:
    with torch.device("meta"):
        return parameter_count(Gpen(config))
