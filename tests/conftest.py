"""What all tests share: the shared folder (absent on users' machines), one thread, read-only arrays."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does, before torch is imported

import torch
from safetensors.torch import save_file

settings.register_profile("busy", deadline=None)  # tests assert behaviour, never seconds; machines may be busy
settings.load_profile("busy")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media, portraits and oracle numbers; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, which is not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def small_network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights that keep a face but for its detail, for tests of what is around the network.

    They are a small part of the work of those that ship. What they make depends on the latents a little, as with those.
    """
    from gpen_video.nets.gpen import Gpen, GpenConfig
    from gpen_video.train.passthrough import pass_through

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = Gpen(GpenConfig(64, 1, 1 / 32, style_dim=16, mapping_layers=2))
        pass_through(net)
        for layer in net.generator.to_rgbs:
            layer.conv.weight += 0.05 * torch.randn_like(layer.conv.weight)
    path = tmp_path_factory.mktemp("networks") / "small.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    return str(path)
