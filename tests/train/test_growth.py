"""Growing and embedding."""

import pytest
import torch

from gpen_video.nets.discriminator import Discriminator
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.nets.ops import fir_kernel, upfirdn2d
from gpen_video.train.growth import grow
from gpen_video.train.prior import prior_generator


def config(size: int, narrow: float = 1 / 32) -> GpenConfig:
    return GpenConfig(size, channel_multiplier=1, narrow=narrow, style_dim=8, mapping_layers=2)


def noises_for(generator: torch.nn.Module, count: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draw) for shape in generator.noise_shapes(count)]  # type: ignore[operator]


def test_a_grown_prior_makes_the_small_ones_faces_enlarged() -> None:
    small, large = prior_generator(config(16)), prior_generator(config(32))
    new = grow(small.state_dict(), large)
    assert all(key.startswith(("convs.4", "convs.5", "to_rgbs.2")) for key in new)
    noises = noises_for(large, 3)
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made, enlarged = large(z, noises), small(z, noises[: len(noises_for(small, 3))])
    assert torch.allclose(made, upfirdn2d(enlarged, fir_kernel(4.0), up=2, pad=(2, 1)), atol=1e-5)


def test_an_embedded_prior_makes_its_own_faces_when_given_its_noise() -> None:
    prior, net = prior_generator(config(16)), Gpen(config(16))
    assert grow(prior.state_dict(), net.generator) == []
    z = torch.randn(2, 8)
    noises = noises_for(prior, 2)
    with torch.no_grad():
        assert torch.equal(prior(z, noises), net.generator(z, noises))


def test_a_grown_discriminator_sees_what_the_small_one_saw_behind_its_new_block() -> None:
    small = Discriminator(16, channel_multiplier=1, narrow=1 / 32)
    large = Discriminator(32, channel_multiplier=1, narrow=1 / 32)
    new = grow(small.state_dict(), large)
    assert new and all(key.startswith(("convs.0.", "convs.1.")) for key in new)
    for name, value in small.state_dict().items():
        if name.startswith("convs.1."):
            assert torch.equal(value, large.state_dict()[name.replace("convs.1.", "convs.2.", 1)])


def test_a_grown_gpen_shifts_its_encoder() -> None:
    small, large = Gpen(config(16)), Gpen(config(32))
    new = grow(small.state_dict(), large)
    assert {key.split(".")[0] for key in new} == {"ecd0", "ecd1", "generator"}
    assert torch.equal(small.get_parameter("ecd1.0.1.weight"), large.get_parameter("ecd2.0.1.weight"))


@pytest.mark.parametrize(("start", "target"), [(config(32), config(16)), (config(16, 1 / 16), config(16))])
def test_what_does_not_fit_is_refused(start: GpenConfig, target: GpenConfig) -> None:
    with pytest.raises(ValueError, match=r"larger|widths must be equal"):
        grow(Gpen(start).state_dict(), Gpen(target))
    with pytest.raises(ValueError, match=r"larger|widths must be equal"):
        grow(prior_generator(start).state_dict(), prior_generator(target))
