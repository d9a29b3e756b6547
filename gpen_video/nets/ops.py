"""StyleGAN2's primitive operations in plain torch: nothing is compiled, every device and double backward work.

Tensors are NCHW in shape; the fast forms expect, and keep, `torch.channels_last` memory.

Sources: Karras et al., "Progressive Growing of GANs", ICLR 2018 (equalised learning rate, pixel norm); "Analyzing and
Improving the Image Quality of StyleGAN", CVPR 2020 (FIR resampling, modulated convolution).
"""

import math
from collections.abc import Callable
from typing import Generic, Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Form = Literal["plain", "fast"]
"""As published and easy to check, or the same sums in a quicker order; see `stylegan2`."""

SQRT_2 = math.sqrt(2.0)
LEAKY_SLOPE = 0.2
EPSILON = 1e-8


Value = TypeVar("Value")


class Kept(Generic[Value]):
    """A value made of parameters alone, kept from call to call while gradients are off and the parameters stand still.

    A change that bypasses the parameter's version counter, as one through `.data` does, is not seen.
    """

    def __init__(self) -> None:
        self._state: tuple[tuple[int, int, torch.dtype], ...] = ()
        self._value: Value | None = None

    def __reduce__(self) -> tuple[type["Kept[Value]"], tuple[()]]:
        return type(self), ()  # a copied or pickled network starts with nothing kept

    def get(self, make: Callable[[], Value], *parameters: Tensor) -> Value:
        """What `make()` returns; it is called anew with gradients on and after a change of any of `parameters`."""
        if torch.is_grad_enabled() or any(parameter.is_inference() for parameter in parameters):
            return make()  # inference tensors do not count their changes
        state = tuple((parameter._version, parameter.data_ptr(), parameter.dtype) for parameter in parameters)
        if self._value is None or state != self._state:
            self._state, self._value = state, make()
        return self._value


def fir_kernel(gain: float = 1.0) -> Tensor:
    """The (4, 4) binomial low-pass [1, 3, 3, 1] x [1, 3, 3, 1] / 64, which sums to `gain`."""
    taps = (1.0, 3.0, 3.0, 1.0)
    return torch.tensor([[row * column * gain / 64.0 for column in taps] for row in taps])


def upfirdn2d(x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Up-sample with zeros, pad, filter, down-sample: the reference form.

    Args:
        x: (B, C, H, W).
        kernel: (KH, KW), applied as a true convolution (flipped).
        up: factor of zero insertion; a sample stays at the first place of its `up` x `up` cell.
        down: keeps every `down`-th sample.
        pad: zeros before and after, on both axes; negative values crop.

    Returns:
        (B, C, OH, OW) with O = (in * up + pad[0] + pad[1] - K) // down + 1.
    """
    batch, channels, height, width = x.shape
    if up > 1:
        x = x.reshape(batch, channels, height, 1, width, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(batch, channels, height * up, width * up)
    x = F.pad(x, (*pad, *pad))
    x = depthwise(x, kernel.flip(0, 1))
    return x[:, :, ::down, ::down]


def depthwise(x: Tensor, kernel: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Cross-correlate each channel of (B, C, H, W) with the same (KH, KW) kernel, and add a (C,) bias."""
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, *kernel.shape)
    return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=channels)


def upsample2(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the size: `upfirdn2d` with up=2, pad=(2, 1) and a symmetric (4, 4) kernel, without inserted zeros."""
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, *kernel.shape)
    return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=channels)


def fused_leaky_relu(x: Tensor, bias: Tensor) -> Tensor:
    """sqrt(2) * leaky_relu(x + bias, 0.2), the bias on dimension 1."""
    return F.leaky_relu(x + bias.view(1, -1, *([1] * (x.ndim - 2))), LEAKY_SLOPE) * SQRT_2


class FusedLeakyReLU(nn.Module):
    """`fused_leaky_relu` with a learned bias of `channels` values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, …) -> the same shape."""
        return fused_leaky_relu(x, self.bias)


class PixelNorm(nn.Module):
    """Scales each vector of channels to unit root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, …) -> the same shape."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate.

    The stored weight is N(0, 1) / `lr_mul`; it acts as weight * lr_mul / sqrt(in), the bias as bias * lr_mul.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, lr_mul: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        weight = torch.randn(outputs, inputs)
        # A shape without memory has nothing to scale, and arithmetic on it makes torch import its compiler: 3 seconds.
        self.weight = nn.Parameter(weight if weight.is_meta else weight / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.lr_mul = lr_mul
        self.scale = lr_mul / math.sqrt(inputs)
        self.activate = activate
        self.form: Form = "plain"
        self._scaled: Kept[tuple[Tensor, Tensor]] = Kept()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, out)."""
        if self.form == "fast" and not torch.is_grad_enabled():
            y = F.linear(x, *self.scaled())
            return F.leaky_relu(y, LEAKY_SLOPE, inplace=True) if self.activate else y
        if self.activate:
            return fused_leaky_relu(F.linear(x, self.weight * self.scale), self.bias * self.lr_mul)
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as they act, with the gain of the activation: sqrt(2) lrelu(z) = lrelu(sqrt(2) z)."""
        gain = SQRT_2 if self.activate else 1.0
        return self._scaled.get(
            lambda: (self.weight * (self.scale * gain), self.bias * (self.lr_mul * gain)), self.weight, self.bias
        )


class EqualConv2d(nn.Module):
    """Convolution without bias with equalised learning rate: the weight acts as weight / sqrt(in * k * k)."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel_size, kernel_size))
        self.scale = 1.0 / math.sqrt(inputs * kernel_size**2)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Blur(nn.Module):
    """The FIR low-pass with fixed padding; its kernel is part of the published state dict."""

    kernel: Tensor

    def __init__(self, pad: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))
        self.pad = pad
        self.form: Form = "plain"

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, C, H + 2 pad - 3, W + 2 pad - 3); the fast form adds a (C,) bias."""
        if self.form == "plain":
            return upfirdn2d(x, self.kernel, pad=(self.pad, self.pad))
        return depthwise(x, self.kernel, bias, padding=self.pad)  # the kernel is symmetric: nothing to flip


class ConvLayer(nn.Sequential):
    """Convolution as encoder and discriminator use it: [FIR], equalised convolution, [bias and leaky ReLU].

    Down-sampling filters first (padding 2 for 3x3, 1 for 1x1), then convolves with stride 2 without padding, which
    halves the size exactly.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, downsample: bool = False, activate: bool = True
    ) -> None:
        layers: list[nn.Module] = []
        if downsample:
            layers.append(Blur(pad=(kernel_size + 1) // 2))
            layers.append(EqualConv2d(inputs, outputs, kernel_size, stride=2))
        else:
            layers.append(EqualConv2d(inputs, outputs, kernel_size, padding=kernel_size // 2))
        if activate:
            layers.append(FusedLeakyReLU(outputs))
        super().__init__(*layers)
        self.downsample = downsample
        self.activate = activate
        self.form: Form = "plain"
        self._scaled: Kept[tuple[Tensor, Tensor]] = Kept()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        if self.form == "fast" and self.activate and not torch.is_grad_enabled():
            return self._fast(x)
        for layer in self:
            x = layer(x)
        return x

    def _fast(self, x: Tensor) -> Tensor:
        # The convolution adds the bias, and the activation works in place.
        convolution, activation = cast(EqualConv2d, self[-2]), cast(FusedLeakyReLU, self[-1])
        weight, bias = self._scaled.get(
            lambda: (convolution.weight * (convolution.scale * SQRT_2), activation.bias * SQRT_2),
            convolution.weight,
            activation.bias,
        )
        x = self[0](x) if self.downsample else x
        y = F.conv2d(x, weight, bias, stride=convolution.stride, padding=convolution.padding)
        return F.leaky_relu(y, LEAKY_SLOPE, inplace=True)
