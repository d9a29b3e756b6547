from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gpen_video.train.unlikeness import ArcFaceUnlikeness, arcface_crop
from tests.nets.oracle import arcface

CPU = torch.device("cpu")


@pytest.mark.parametrize("scale", [1, 2])
def test_the_crop_is_the_published_one(scale: int) -> None:
    """Rows 35 s to 223 s, columns 32 s to 220 s, in 112 bins (gpen_spec 4.1): a ramp's mean in a bin is its middle."""
    side = 256 * scale
    ramp = torch.arange(side, dtype=torch.float32)
    rows, columns = ramp.view(1, 1, -1, 1).expand(1, 1, side, side), ramp.view(1, 1, 1, -1).expand(1, 1, side, side)
    made = arcface_crop(torch.cat([rows, columns, rows], 1))[0]

    def middles(start: int, stop: int) -> np.ndarray:
        edges = [(k * (stop - start) // 112, -(-(k + 1) * (stop - start) // 112)) for k in range(112)]
        return np.array([start + (low + high - 1) / 2 for low, high in edges])

    assert made.shape == (3, 112, 112)
    np.testing.assert_allclose(made[0, :, 0], middles(35 * scale, 223 * scale), rtol=1e-5)
    np.testing.assert_allclose(made[1, 0, :], middles(32 * scale, 220 * scale), rtol=1e-5)


@pytest.mark.parametrize("side", [128, 384])
def test_other_sizes_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="256 pixels or a multiple"):
        arcface_crop(torch.zeros(1, 3, side, side))


class _Mean(nn.Module):
    """A recogniser by colour."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return faces.mean((2, 3))


def test_it_is_one_minus_the_cosine_and_only_the_restored_face_learns() -> None:
    colours = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]]), torch.tensor([[2.0, 0, 0], [0, 1, 0], [-3, 0, 0]])
    made, target = (c[:, :, None, None].expand(3, 3, 256, 256).clone().requires_grad_() for c in colours)
    loss = ArcFaceUnlikeness(_Mean(), CPU)(made, target)
    assert loss.tolist() == pytest.approx([0, 1, 2], abs=1e-6)
    loss.sum().backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    assert target.grad is None


@pytest.mark.slow
def test_persons_are_as_unlike_as_the_published_network_says(shared: Path) -> None:
    golden = np.load(shared / "oracle" / "idloss.npz")
    crops = torch.nn.functional.interpolate(torch.from_numpy(golden["pool256"]), size=(188, 188), mode="nearest")
    faces = torch.zeros(2, 3, 256, 256)
    faces[:, :, 35:223, 32:220] = crops
    unlike = ArcFaceUnlikeness(arcface(shared), CPU)(faces[:1], faces[1:])
    assert unlike.item() == pytest.approx(1 - float(golden["cosine"]), abs=0.05)  # brought to 188 pixels and back
