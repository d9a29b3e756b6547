"""The StyleGAN2 generator whose noise inputs are concatenated: the prior, and the decoder, of GPEN.

Every module exists in two forms of one set of weights, chosen by `set_form`:

``plain``
    As published: the weight of each convolution is modulated and demodulated for each sample, the batch is folded into
    the groups of one grouped convolution, and FIR resampling is upfirdn2d. The reference.
``fast``
    One shared weight for the whole batch: the style scales the activations, the demodulation scales the result, which
    is the same sum in another order (Karras et al. 2020, section 2.2). The gain of the activation, its bias and the
    demodulation become one multiply-add; FIR resampling is one depthwise convolution. Meant for `torch.channels_last`.
    For a single image the weight takes style, demodulation and gain wherever it is smaller than the activations.
    Without gradients, what depends on the weights alone is kept (`Kept`), one product gives the styles of all layers,
    and convolutions of many channels on few pixels go by way of Winograd (`winograd`).

Key names are those of the published checkpoints. Shapes are noted as B batch, C channels, D style width.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpen_video.nets import winograd
from gpen_video.nets.ops import (
    EPSILON,
    LEAKY_SLOPE,
    SQRT_2,
    Blur,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    Form,
    FusedLeakyReLU,
    Kept,
    PixelNorm,
    fir_kernel,
    upfirdn2d,
    upsample2,
)


def set_form(network: nn.Module, form: Form) -> None:
    """Choose the form in which all modulated convolutions of `network` compute."""
    for module in network.modules():
        if isinstance(module, (Blur, ConvLayer, EqualLinear, Generator, ModulatedConv2d, StyledConv, ToRGB, Upsample)):
            module.form = form
        # The weight's memory follows the activations'; its shape, and so the state dict, stays.
        if form == "fast" and isinstance(module, EqualConv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        if form == "fast" and isinstance(module, ModulatedConv2d):
            used = module.kernel().detach().contiguous(memory_format=torch.channels_last)
            module.weight.data = (used.transpose(0, 1) if module.upsample else used)[None]


def channels_at(resolution: int, channel_multiplier: int, narrow: float) -> int:
    """Width of the network at a resolution; encoder, decoder and discriminator share the table."""
    base = 512 if resolution <= 32 else channel_multiplier * 16384 // resolution
    return int(base * narrow)


def widths(size: int, channel_multiplier: int, narrow: float) -> dict[int, int]:
    """Width at every resolution of a network, from 4 to `size`, a power of two."""
    return {2**n: channels_at(2**n, channel_multiplier, narrow) for n in range(2, int(math.log2(size)) + 1)}


class Modulation(NamedTuple):
    """What a style does to one convolution of the fast form."""

    scale: Tensor
    """(B, C): factor of the channels that enter, the weight's own scale included."""
    gain: Tensor | None
    """(B, C'): the demodulation, a factor of the channels that leave; `None` without demodulation."""


class ModulatedConv2d(nn.Module):
    """Convolution whose weight is scaled per sample by a style (Karras et al. 2020, section 2.2).

    The style's affine layer starts at bias 1. Up-sampling is a transposed stride-2 convolution (p -> 2p + 1), then the
    FIR low-pass with gain 4 (-> 2p).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel_size, kernel_size))
        if upsample:
            self.blur = Blur(pad=1, gain=4.0)
        self.modulation = EqualLinear(style_dim, inputs, bias=1.0)
        self.scale = 1.0 / math.sqrt(inputs * kernel_size**2)
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.upsample = upsample
        self.form: Form = "plain"
        self._energy: Kept[Tensor] = Kept()
        self._winograd: Kept[Tensor] = Kept()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, H, W), (B, D) -> (B, C', H', W')."""
        return self._plain(x, style) if self.form == "plain" else self.fast(x, self.modulate(style))

    def _plain(self, x: Tensor, style: Tensor) -> Tensor:
        batch, inputs, height, width = x.shape
        outputs, kernel = self.weight.shape[1], self.weight.shape[-1]
        weight = self.weight * self.scale * self.modulation(style).view(batch, 1, inputs, 1, 1)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + EPSILON)
        x = x.reshape(1, batch * inputs, height, width)
        if self.upsample:
            weight = weight.transpose(1, 2).reshape(batch * inputs, outputs, kernel, kernel)
            x = F.conv_transpose2d(x, weight, stride=2, groups=batch)
        else:
            weight = weight.reshape(batch * outputs, inputs, kernel, kernel)
            x = F.conv2d(x, weight, padding=self.padding, groups=batch)
        x = x.reshape(batch, outputs, *x.shape[2:])
        return cast(Tensor, self.blur(x)) if self.upsample else x

    def modulate(self, style: Tensor) -> Modulation:
        """What `fast` needs to know of a style, (B, D)."""
        return self.demodulated(self.modulation(style) * self.scale)

    def demodulated(self, scale: Tensor) -> Modulation:
        """The factor of the channels that enter, (B, C), with what the demodulation makes of it."""
        if not self.demodulate:
            return Modulation(scale, None)
        return Modulation(scale, torch.rsqrt(scale.float().square() @ self.energy() + EPSILON))

    def energy(self) -> Tensor:
        """Sum over the kernel of the squared weight, (C, C')."""
        return self._energy.get(lambda: self.weight[0].float().square().sum((2, 3)).t().contiguous(), self.weight)

    def kernel(self) -> Tensor:
        """The weight without its leading 1, in the order that its convolution wants."""
        return self.weight[0].transpose(0, 1) if self.upsample else self.weight[0]

    def fast(self, x: Tensor, modulation: Modulation, bias: Tensor | None = None) -> Tensor:
        """Convolve, demodulate and add a (C',) bias: (B, C, H, W) -> (B, C', H', W')."""
        by_winograd = not self.upsample and winograd.pays(x, self.weight[0])
        if x.shape[0] == 1 and not by_winograd and self.weight.numel() < x.numel():
            return self._folded(x, modulation, bias)
        scale, gain = modulation
        x = x * scale[:, :, None, None].to(x.dtype)
        if by_winograd:
            y = winograd.convolve(x, self._winograd.get(lambda: winograd.transformed(self.weight[0]), self.weight))
        else:
            y = self._convolve(x, self.kernel())
        if gain is not None:
            gain = gain[:, :, None, None].to(y.dtype)
        if bias is not None:
            bias = bias[:, None, None].to(y.dtype)
            return y + bias if gain is None else torch.addcmul(bias, y, gain)
        return y if gain is None else y * gain

    def _folded(self, x: Tensor, modulation: Modulation, bias: Tensor | None) -> Tensor:
        # One style and more activations than weights: the weight takes both factors, the convolution the bias.
        scale, gain = modulation
        factor = scale if gain is None else gain.t() * scale  # (C' or 1, C)
        factor = factor.t() if self.upsample else factor
        return self._convolve(x, self.kernel() * factor[:, :, None, None], bias)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        weight = weight.to(x.dtype)
        bias = None if bias is None else bias.to(x.dtype)
        if self.upsample:
            return cast(Tensor, self.blur(F.conv_transpose2d(x, weight, stride=2), bias))
        return F.conv2d(x, weight, bias, padding=self.padding)


class NoiseInjection(nn.Module):
    """Appends a scaled second input as further channels, or, as StyleGAN2 does, adds it."""

    def __init__(self, *, concatenate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.concatenate = concatenate

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, 2C, H, W); when adding, the noise may have one channel and C stays."""
        if self.concatenate:
            return torch.cat((x, self.weight * noise), dim=1)
        return x + self.weight * noise


class StyledConv(nn.Module):
    """Modulated convolution, noise injection, bias and leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, style_dim: int, *, upsample: bool = False, concatenate: bool = True
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, style_dim, upsample=upsample)
        self.noise = NoiseInjection(concatenate=concatenate)
        self.activate = FusedLeakyReLU(outputs * 2 if concatenate else outputs)
        self.form: Form = "plain"
        self._scaled: Kept[tuple[Tensor, Tensor, Tensor]] = Kept()

    def forward(self, x: Tensor, style: Tensor | Modulation, noise: Tensor) -> Tensor:
        """(B, C, H, W), (B, D), (B, C', H', W') -> (B, 2C', H', W') when concatenating.

        The fast form also takes the modulation that a style leads to.
        """
        if self.form == "fast" and self.noise.concatenate:
            return self._fast(x, style if isinstance(style, Modulation) else self.conv.modulate(style), noise)
        return cast(Tensor, self.activate(self.noise(self.conv(x, style), noise)))

    def _fast(self, x: Tensor, modulation: Modulation, noise: Tensor) -> Tensor:
        # sqrt(2) lrelu(z) = lrelu(sqrt(2) z): the gain goes into factor and bias, and each half is one multiply-add.
        scale, gain = modulation
        assert gain is not None
        bias, noise_bias, noise_weight = self._scaled.get(self._scale, self.activate.bias, self.noise.weight)
        y = self.conv.fast(x, Modulation(scale, gain * SQRT_2), bias)
        e = torch.addcmul(noise_bias.to(y.dtype), noise, noise_weight.to(y.dtype))
        return F.leaky_relu(torch.cat((y, e), dim=1), LEAKY_SLOPE, inplace=not torch.is_grad_enabled())

    def _scale(self) -> tuple[Tensor, Tensor, Tensor]:
        bias, noise_bias = (self.activate.bias * SQRT_2).chunk(2)
        return bias, noise_bias.view(1, -1, 1, 1), (self.noise.weight * SQRT_2).view(1, 1, 1, 1)


class Upsample(nn.Module):
    """Doubles an image with the FIR low-pass (gain 4)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain=4.0))
        self.form: Form = "plain"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        if self.form == "plain":
            return upfirdn2d(x, self.kernel, up=2, pad=(2, 1))
        return upsample2(x, self.kernel)


class ToRGB(nn.Module):
    """Reads an image out of the features, 1x1 and without demodulation, and adds it to the smaller one so far."""

    def __init__(self, inputs: int, style_dim: int, *, upsample: bool = True) -> None:
        super().__init__()
        if upsample:
            self.upsample = Upsample()
        self.conv = ModulatedConv2d(inputs, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.form: Form = "plain"

    def forward(self, x: Tensor, style: Tensor | Modulation, smaller: Tensor | None = None) -> Tensor:
        """(B, C, H, W), (B, D), (B, 3, H/2, W/2) -> (B, 3, H, W); the fast form also takes a modulation."""
        if self.form == "fast":
            rgb = self._fast(x, style if isinstance(style, Modulation) else self.conv.modulate(style))
        else:
            rgb = self.conv(x, style) + self.bias.to(x.dtype)
        return rgb if smaller is None else rgb + self.upsample(smaller)

    def _fast(self, x: Tensor, modulation: Modulation) -> Tensor:
        # Three outputs only: a weight per sample is smaller than scaled activations would be.
        batch, channels, height, width = x.shape
        weight = self.conv.weight.view(1, 3, channels) * modulation.scale[:, None, :]  # (B, 3, C)
        weight = weight.to(x.dtype)
        bias = self.bias.to(x.dtype)
        if batch == 1:
            return F.conv2d(x, weight.view(3, channels, 1, 1), bias.view(3))
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)  # a view in channels_last
        rgb = torch.bmm(pixels, weight.transpose(1, 2))  # (B, HW, 3)
        return rgb.reshape(batch, height, width, 3).permute(0, 3, 1, 2) + bias


class ConstantInput(nn.Module):
    """The learned (1, C, 4, 4) start of the synthesis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        """-> (B, C, 4, 4)."""
        return self.input.expand(batch, -1, -1, -1)


class Generator(nn.Module):
    """StyleGAN2 skip generator: mapping network (`style`) and synthesis.

    Args:
        size: side of the image, a power of two from 8.
        channel_multiplier: width factor above 32 pixels (2 in the large models).
        narrow: width factor of everything but the style.
        style_dim: D.
        mapping_layers: depth of the mapping network.
        concatenate: noise appended (GPEN) rather than added (StyleGAN2).
    """

    def __init__(
        self,
        size: int,
        *,
        channel_multiplier: int = 2,
        narrow: float = 1.0,
        style_dim: int = 512,
        mapping_layers: int = 8,
        concatenate: bool = True,
    ) -> None:
        super().__init__()
        self.size = size
        self.style_dim = style_dim
        self.levels = int(math.log2(size))
        self.concatenate = concatenate
        self.form: Form = "plain"
        self._affine: Kept[tuple[Tensor, Tensor]] = Kept()
        self.width = width = widths(size, channel_multiplier, narrow)
        seen = 2 if concatenate else 1  # channels that the next layer sees, per channel that a convolution makes

        self.style = nn.Sequential(
            PixelNorm(),
            *(EqualLinear(style_dim, style_dim, lr_mul=0.01, activate=True) for _ in range(mapping_layers)),
        )
        self.input = ConstantInput(width[4])
        self.conv1 = StyledConv(width[4], width[4], style_dim, concatenate=concatenate)
        self.to_rgb1 = ToRGB(seen * width[4], style_dim, upsample=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for n in range(3, self.levels + 1):
            before, here = width[2 ** (n - 1)], width[2**n]
            self.convs.append(StyledConv(seen * before, here, style_dim, upsample=True, concatenate=concatenate))
            self.convs.append(StyledConv(seen * here, here, style_dim, concatenate=concatenate))
            self.to_rgbs.append(ToRGB(seen * here, style_dim))

    @property
    def layer_count(self) -> int:
        """Places where a latent enters: 2 log2(size) - 2."""
        return 2 * self.levels - 2

    def noise_shapes(self, batch: int) -> list[tuple[int, int, int, int]]:
        """Shape of the noise input of each styled convolution: one at 4x4, then two a resolution."""
        sides = [4, *(2**n for n in range(3, self.levels + 1) for _ in range(2))]
        return [(batch, self.width[side] if self.concatenate else 1, side, side) for side in sides]

    def synthesise(self, latent: Tensor, noises: Sequence[Tensor]) -> Tensor:
        """Make images of latents.

        Args:
            latent: w, (B, D), or one for each layer, (B, layer_count, D).
            noises: 2 log2(size) - 3 tensors of `noise_shapes`, from 4x4 upwards.

        Returns:
            (B, 3, size, size), nominally in [-1, 1], not clamped.
        """
        styles, rgb_styles = self._styles(latent)
        x = self.input(latent.shape[0]).to(noises[0].dtype)
        x = self.conv1(x, styles[0], noises[0])
        rgb = self.to_rgb1(x, rgb_styles[0])
        for q, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * q](x, styles[2 * q + 1], noises[2 * q + 1])
            x = self.convs[2 * q + 1](x, styles[2 * q + 2], noises[2 * q + 2])
            rgb = to_rgb(x, rgb_styles[q + 1], rgb)
        return cast(Tensor, rgb)

    def _styles(self, latent: Tensor) -> tuple[Sequence[Tensor | Modulation], Sequence[Tensor | Modulation]]:
        """What each styled convolution and each ToRGB takes, from 4x4 upwards."""
        if latent.ndim == 2 and self.form == "fast" and not torch.is_grad_enabled():
            return self._modulations(latent)
        w = latent if latent.ndim == 3 else latent[:, None].expand(-1, self.layer_count, -1)
        return [w[:, k] for k in range(self.layer_count - 1)], [w[:, k] for k in range(1, self.layer_count, 2)]

    def _modulations(self, latent: Tensor) -> tuple[Sequence[Modulation], Sequence[Modulation]]:
        """The modulations that one w for all layers leads to: one product, not one a layer."""
        styled = [layer.conv for layer in (self.conv1, *cast(list[StyledConv], [*self.convs]))]
        to_rgb = [layer.conv for layer in (self.to_rgb1, *cast(list[ToRGB], [*self.to_rgbs]))]
        layers = [*styled, *to_rgb]
        weight, bias = self._affine.get(
            lambda: (
                torch.cat([layer.modulation.weight * (layer.modulation.scale * layer.scale) for layer in layers]),
                torch.cat([layer.modulation.bias * (layer.modulation.lr_mul * layer.scale) for layer in layers]),
            ),
            *(parameter for layer in layers for parameter in layer.modulation.parameters()),
        )
        scales = torch.split(F.linear(latent, weight, bias), [layer.modulation.bias.numel() for layer in layers], dim=1)
        all_layers = [layer.demodulated(scale) for layer, scale in zip(layers, scales, strict=True)]
        return all_layers[: len(styled)], all_layers[len(styled) :]

    def forward(self, z: Tensor, noises: Sequence[Tensor]) -> Tensor:
        """Latent z, (B, D), and noises -> (B, 3, size, size)."""
        return self.synthesise(self.style(z), noises)
