import pytest
import torch

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.stylegan2 import ModulatedConv2d
from gpen_video.train.unet import UNet, UpConvLayer, parameter_count

TINY = GpenConfig(32, narrow=1 / 16, style_dim=32, mapping_layers=2)
SHIPPED = GpenConfig(256, channel_multiplier=1, narrow=0.25, style_dim=256, mapping_layers=4)


@pytest.mark.parametrize("config", [SHIPPED, GpenConfig(512), GpenConfig(256, 1, 0.5, 512, 8)])
def test_it_has_the_parameters_of_the_gpen_it_is_compared_with(config: GpenConfig) -> None:
    with torch.device("meta"):
        assert parameter_count(UNet(config)) == pytest.approx(parameter_count(Gpen(config)), rel=1e-3)


def test_its_encoder_is_that_of_gpen() -> None:
    with torch.device("meta"):
        own, gpen = UNet(SHIPPED).state_dict(), Gpen(SHIPPED).state_dict()
    encoder = {key: value.shape for key, value in gpen.items() if key.startswith("ecd")}
    assert encoder == {key: value.shape for key, value in own.items() if key.startswith("ecd")}


@torch.no_grad()
def test_it_enlarges_as_gpen_does_with_a_style_of_one() -> None:
    torch.manual_seed(0)
    own, gpen = UpConvLayer(4, 5), ModulatedConv2d(4, 5, 3, 8, demodulate=False, upsample=True)
    gpen.weight.copy_(own.conv.weight[None])
    gpen.modulation.weight.zero_()
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(own(x), own.activate(gpen(x, torch.randn(2, 8))))


@torch.no_grad()
def test_both_forms_compute_the_same() -> None:
    torch.manual_seed(0)
    net = UNet(TINY)
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    plain = net.use_form("plain")(crops)
    assert plain.shape == crops.shape
    torch.testing.assert_close(net.use_form("fast")(crops), plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_every_skip_connection_reaches_the_face() -> None:
    torch.manual_seed(0)
    net = UNet(TINY)
    crops = torch.rand(1, 3, 32, 32)
    before = net(crops)
    for level, module in enumerate([net.bottleneck[0], *net.convs]):
        parameters = list(module.parameters())
        kept = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.zero_()
        assert (net(crops) - before).abs().max() > 1e-3, level
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)
    for stage in range(net.depth):  # with the encoder's next stage cut off, the feature still arrives by its skip
        handle = net.get_submodule(f"ecd{stage}").register_forward_hook(lambda _module, _in, out: out + 1)
        assert (net(crops) - before).abs().max() > 1e-3, stage
        handle.remove()


@pytest.mark.parametrize("form", ["plain", "fast"])
@torch.no_grad()
def test_faces_equal_crops_at_the_start(form: str) -> None:
    net = UNet(TINY).use_form(form)  # type: ignore[arg-type]
    for parameter in net.parameters():
        parameter.normal_()
    net.pass_through()
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(net(crops), crops, atol=1e-5, rtol=0)


def test_all_of_it_learns_from_the_identity() -> None:
    torch.manual_seed(0)
    net = UNet(TINY)
    net.pass_through()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    crops, targets = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    for _ in range(2):
        optimiser.zero_grad()
        (net(crops) - targets).square().mean().backward()
        optimiser.step()
    dead = [name for name, parameter in net.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not dead


def test_a_network_too_narrow_for_the_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 6"):
        UNet(GpenConfig(256, channel_multiplier=1, narrow=1 / 16)).pass_through()


def test_a_size_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        UNet(GpenConfig(48))
