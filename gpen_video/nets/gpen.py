"""GPEN: a GAN prior embedded as the decoder of a U-shaped network (Yang et al., CVPR 2021).

::

    crop (B, 3, S, S)
      │ ecd0 1x1        ── feature S ──────────────┐ (both convolutions at S)
      │ ecd1 3x3 / 2    ── feature S/2 ─────────┐  │
      │ …                                       │  │      shallow features are the noise inputs: concatenated,
      │ ecd{L-2} 3x3 / 2 ─ feature 4 ────┐      │  │      so that they do not mix with the prior's own channels
      ▼                                  ▼      ▼  ▼
    final_linear ─ z ─ mapping ─ w ─►  4x4 ─► … S/2 ► S ── ToRGB sum ─► face (B, 3, S, S)
                                 deep features are the latent code: one w for all layers

A face depends on its crop alone: no random noise enters, so equal crops give equal faces.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from gpen_video.nets.ops import ConvLayer, EqualLinear, Form
from gpen_video.nets.stylegan2 import Generator, set_form, widths


@dataclass(frozen=True, slots=True)
class GpenConfig:
    """What decides the shapes of a GPEN; everything can be read off a state dict (`from_state`)."""

    size: int
    """Side of the crop and of the face, a power of two from 8."""
    channel_multiplier: int = 2
    """Width factor above 32 pixels."""
    narrow: float = 1.0
    """Width factor everywhere but in the style."""
    style_dim: int = 512
    mapping_layers: int = 8

    def levels(self) -> int:
        """How often 2 is a factor of the size.

        Raises:
            ValueError: The size is none that a network can have.
        """
        levels = int(math.log2(self.size))
        if self.size != 2**levels or levels < 3:
            raise ValueError(f"size {self.size} must be a power of two from 8")
        return levels

    def widths(self) -> dict[int, int]:
        """Channels at every resolution from 4 to the size."""
        return widths(self.size, self.channel_multiplier, self.narrow)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "GpenConfig":
        """Read the configuration off the shapes of a published or own state dict.

        Raises:
            ValueError: these are not the keys of a GPEN.
        """
        try:
            levels = 2 + sum(1 for key in state if key.startswith("ecd") and key.endswith(".0.kernel"))
            narrow = state["generator.input.input"].shape[1] / 512
            style_dim = state["final_linear.0.weight"].shape[0]
            mapping = sum(1 for key in state if key.startswith("generator.style.") and key.endswith(".weight"))
            multiplier = 2
            if levels >= 6:  # the multiplier acts above 32 pixels only
                at_64 = state[f"generator.convs.{2 * (6 - 3)}.conv.weight"].shape[1]
                multiplier = round(at_64 / (256 * narrow))
        except KeyError as missing:
            raise ValueError(f"no key {missing}: this is not a GPEN") from None
        return cls(2**levels, multiplier, narrow, style_dim, mapping)


class Encoding(NamedTuple):
    """What the encoder makes of a crop."""

    latent: Tensor
    """w, (B, D): the global look of the face."""
    features: tuple[Tensor, ...]
    """One a resolution from 4x4 upwards, (B, C(r), r, r): its detail."""


class Gpen(nn.Module):
    """The embedded network, with the published key names.

    Input and output are (B, 3, size, size) R'G'B' in [-1, 1]; the output is not clamped.
    """

    def __init__(self, config: GpenConfig) -> None:
        super().__init__()
        self.config = config
        levels, width = config.levels(), config.widths()
        self.generator = Generator(
            config.size,
            channel_multiplier=config.channel_multiplier,
            narrow=config.narrow,
            style_dim=config.style_dim,
            mapping_layers=config.mapping_layers,
        )
        self.depth = levels - 1  # encoder stages, from full size to 4x4
        self.ecd0 = nn.Sequential(ConvLayer(3, width[config.size], 1))
        for i in range(1, self.depth):
            side = config.size >> i
            self.add_module(f"ecd{i}", nn.Sequential(ConvLayer(width[2 * side], width[side], 3, downsample=True)))
        self.final_linear = nn.Sequential(EqualLinear(width[4] * 16, config.style_dim, activate=True))

    def use_form(self, form: Form) -> "Gpen":
        """Compute in the ``plain`` or the ``fast`` form from now on; the weights are the same."""
        set_form(self, form)
        return self

    def encode(self, crops: Tensor) -> Encoding:
        """(B, 3, S, S) in [-1, 1] -> latent w and features."""
        x = crops
        features: list[Tensor] = []
        for i in range(self.depth):
            x = self.get_submodule(f"ecd{i}")(x)
            features.append(x)
        z = self.final_linear(x.reshape(x.shape[0], -1))
        return Encoding(self.generator.style(z), tuple(reversed(features)))

    def decode(self, latent: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Latent w, (B, D) or (B, layers, D), and features from 4x4 upwards -> faces (B, 3, S, S)."""
        smallest, *larger = features
        noises = [smallest, *(feature for feature in larger for _ in range(2))]
        return self.generator.synthesise(latent, noises)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> restored faces, same shape and range, not clamped."""
        return self.decode(*self.encode(crops))
