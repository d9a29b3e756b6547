"""What the tests of whole runs share."""

import pytest
import torch
from safetensors.torch import save_file

from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.train.passthrough import pass_through


@pytest.fixture(scope="session")
def small_network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights that keep a face but for its detail, for tests of what is around the network.

    They are a small part of the work of those that ship. What they make depends on the latents a little, as with those.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = Gpen(GpenConfig(64, 1, 1 / 32, style_dim=16, mapping_layers=2))
        pass_through(net)
        for layer in net.generator.to_rgbs:
            layer.conv.weight += 0.05 * torch.randn_like(layer.conv.weight)
    path = tmp_path_factory.mktemp("networks") / "small.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    return str(path)
