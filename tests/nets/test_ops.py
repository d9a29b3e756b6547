from pathlib import Path

import numpy as np
import pytest
import torch

from gpen_video.nets import ops
from gpen_video.nets.discriminator import ResBlock
from gpen_video.nets.stylegan2 import ModulatedConv2d, NoiseInjection, ToRGB
from tests.nets.oracle import tensor

TOLERANCE = 3e-5


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "oracle" / "ops.npz"))


def entries(golden: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix + "/"): tensor(v) for key, v in golden.items() if key.startswith(prefix + "/")}


def load_parameters(module: torch.nn.Module, values: dict[str, torch.Tensor]) -> None:
    names = {"p_" + name.replace(".", "_"): name for name in module.state_dict()}
    module.load_state_dict({names[key]: value for key, value in values.items() if key.startswith("p_")}, strict=True)


UPFIRDN = [
    "blur_up", "upsample", "downsample", "blur_down3", "blur_down1", "asym_kernel", "asym_up", "asym_down", "negpad",
    "up2down3", "rect_kernel",
]  # fmt: skip


@pytest.mark.parametrize("case", UPFIRDN)
def test_upfirdn2d_equals_the_published_operation(golden: dict[str, np.ndarray], case: str) -> None:
    e = entries(golden, f"upfirdn2d/{case}")
    pad = (int(e["pad"][0]), int(e["pad"][1]))
    y = ops.upfirdn2d(e["x"], e["kernel"], up=int(e["up"]), down=int(e["down"]), pad=pad)
    torch.testing.assert_close(y, e["y"], atol=TOLERANCE, rtol=0)


def test_upsample2_is_upfirdn2d_without_inserted_zeros() -> None:
    x, kernel = torch.randn(2, 3, 5, 7), ops.fir_kernel(gain=4.0)
    expected = ops.upfirdn2d(x, kernel, up=2, pad=(2, 1))
    torch.testing.assert_close(ops.upsample2(x, kernel), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", ["4d", "2d"])
def test_fused_leaky_relu(golden: dict[str, np.ndarray], case: str) -> None:
    e = entries(golden, f"fused_lrelu/{case}")
    torch.testing.assert_close(ops.fused_leaky_relu(e["x"], e["bias"]), e["y"], atol=TOLERANCE, rtol=0)


MODULATED = {
    "plain3": (3, True, False),
    "up3": (3, True, True),
    "k1demod": (1, True, False),
    "nodemod3": (3, False, False),
    "rgb1": (1, False, False),
}


@pytest.mark.parametrize("form", ["plain", "fast"])
@pytest.mark.parametrize("case", MODULATED)
def test_modulated_convolution(golden: dict[str, np.ndarray], case: str, form: str) -> None:
    kernel, demodulate, upsample = MODULATED[case]
    e = entries(golden, f"modconv/{case}")
    layer = ModulatedConv2d(5, 7, kernel, 6, demodulate=demodulate, upsample=upsample)
    load_parameters(layer, e)
    layer.form = form  # type: ignore[assignment]
    torch.testing.assert_close(layer(e["x"], e["style"]), e["y"], atol=TOLERANCE, rtol=0)


def test_a_changed_weight_is_seen_by_the_fast_form_without_gradients() -> None:
    layer = ModulatedConv2d(5, 7, 3, 6)
    layer.form = "fast"
    x, style = torch.randn(2, 5, 8, 8), torch.randn(2, 6)
    with torch.no_grad():
        layer(x, style)
        layer.weight.add_(torch.randn_like(layer.weight))
        fast = layer(x, style)
        layer.form = "plain"
        torch.testing.assert_close(fast, layer(x, style), atol=1e-5, rtol=0)


LAYERS = {"k1": (1, False, True), "k3": (3, False, True), "k3down": (3, True, True), "k1down_skip": (1, True, False)}


@pytest.mark.parametrize("case", LAYERS)
def test_conv_layer(golden: dict[str, np.ndarray], case: str) -> None:
    kernel, downsample, activate = LAYERS[case]
    e = entries(golden, f"convlayer/{case}")
    layer = ops.ConvLayer(5, 7, kernel, downsample=downsample, activate=activate)
    load_parameters(layer, e)
    torch.testing.assert_close(layer(e["x"]), e["y"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("case", "lr_mul", "activate"), [("lin", 1, False), ("lin_act", 1, True)])
def test_equal_linear(golden: dict[str, np.ndarray], case: str, lr_mul: float, activate: bool) -> None:
    e = entries(golden, f"equal_linear/{case}")
    layer = ops.EqualLinear(6, 7, lr_mul=lr_mul, activate=activate)
    load_parameters(layer, e)
    torch.testing.assert_close(layer(e["x"]), e["y"], atol=TOLERANCE, rtol=0)


def test_equal_linear_with_learning_rate_multiplier(golden: dict[str, np.ndarray]) -> None:
    e = entries(golden, "equal_linear/lin_lrmul_act")
    layer = ops.EqualLinear(6, 7, lr_mul=0.01, activate=True)
    load_parameters(layer, e)
    torch.testing.assert_close(layer(e["x"]), e["y"], atol=TOLERANCE, rtol=0)


def test_pixel_norm(golden: dict[str, np.ndarray]) -> None:
    e = entries(golden, "pixelnorm")
    torch.testing.assert_close(ops.PixelNorm()(e["x"]), e["y"], atol=TOLERANCE, rtol=0)


def test_residual_block(golden: dict[str, np.ndarray]) -> None:
    e = entries(golden, "resblock")
    block = ResBlock(4, 6)
    load_parameters(block, e)
    torch.testing.assert_close(block(e["x"]), e["y"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_to_rgb(golden: dict[str, np.ndarray], form: str) -> None:
    e = entries(golden, "torgb")
    layer = ToRGB(5, 6)
    load_parameters(layer, e)
    layer.form = layer.conv.form = form  # type: ignore[assignment]
    torch.testing.assert_close(layer(e["x"], e["style"], e["skip"]), e["y"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("case", ["concat", "add"])
def test_noise_injection(golden: dict[str, np.ndarray], case: str) -> None:
    e = entries(golden, f"noise_injection/{case}")
    layer = NoiseInjection(concatenate=case == "concat")
    layer.load_state_dict({"weight": e["weight"].reshape(1)})
    torch.testing.assert_close(layer(e["x"], e["noise"]), e["y"], atol=TOLERANCE, rtol=0)
