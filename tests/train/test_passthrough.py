import pytest
import torch

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.passthrough import pass_through


@pytest.mark.parametrize("form", ["plain", "fast"])
@torch.no_grad()
def test_faces_equal_crops(form: str) -> None:
    net = Gpen(GpenConfig(32, narrow=1 / 16, style_dim=32, mapping_layers=2)).use_form(form)  # type: ignore[arg-type]
    for parameter in net.parameters():
        parameter.normal_()
    for name, parameter in net.named_parameters():
        if name.startswith("generator.to_rgb") and name.endswith(".bias") and "modulation" not in name:
            parameter.zero_()
    pass_through(net)
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(net(crops), crops, atol=1e-5, rtol=0)


def test_all_of_it_learns() -> None:
    net = Gpen(GpenConfig(32, narrow=1 / 16, style_dim=32, mapping_layers=2))
    pass_through(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    crops, targets = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    for _ in range(2):
        optimiser.zero_grad()
        (net(crops) - targets).square().mean().backward()
        optimiser.step()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert net.get_parameter("generator.convs.0.conv.weight").grad.abs().max() > 0
    assert net.get_parameter("final_linear.0.weight").grad.abs().max() > 0


def test_a_network_too_narrow_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 6"):
        pass_through(Gpen(GpenConfig(256, channel_multiplier=1, narrow=1 / 16)))
